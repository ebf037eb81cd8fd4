"""What can go wrong through no fault of the program; each message is one line."""


class InputError(ValueError):
    """Unusable input: the message names the file, the key and what is allowed."""


class Misfit(ValueError):
    """Two keys of a table that do not fit together: the key to blame, and what it must be."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key, self.message = key, message


class RunFailed(RuntimeError):
    """A run that could not go on: the message says which quantity and when. What was committed stays."""
