"""What can go wrong through no fault of the program; each message is one line."""


class InputError(ValueError):
    """Unusable input: the message names the file, the key and what is allowed."""


class RunFailed(RuntimeError):
    """A run that could not go on: the message says which quantity and when. What was committed stays."""
