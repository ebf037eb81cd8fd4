"""Notice when another project of the same name has been installed over `particles` or `solvers`."""

import importlib
from pathlib import Path

MARKS = {"particles": "descend", "solvers": "Axis"}  # a name that only our package has


def require_neighbours() -> None:
    """Raise ImportError, in one line, unless the packages beside this one are ours."""
    home = Path(__file__).resolve().parent.parent
    for name, mark in MARKS.items():
        try:
            module = importlib.import_module(name)
            ours = hasattr(module, mark)
            where = Path(module.__file__ or "").parent
        except ImportError:
            ours, where = False, home / name
        if not ours:
            raise ImportError(
                f"the package {name!r} in {where} is not the one that liouville needs: another project of that name "
                "has been installed over it; uninstall that project and reinstall liouville"
            )
