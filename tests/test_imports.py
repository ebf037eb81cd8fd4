"""Imports run one way: liouville -> solvers -> particles; neither engine knows what a problem is."""

import ast
import re
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from engines import ROOT

ALLOWED = {"particles": {"particles"}, "solvers": {"particles", "solvers"}}
OURS = {"particles", "solvers", "liouville"}


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it; a relative import counts as the file's own package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(path.parent.name if node.level else str(node.module).split(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_engines_import_nothing_from_above(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    upward = {file.name: above for file in files if (above := (imported(file) & OURS) - ALLOWED[package])}
    assert upward == {}


def test_engines_need_nothing_that_is_not_declared() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extra = setup["options.extras_require"]["mpi"]  # imported by those runs alone that a launcher has started
    declared = {re.split(r"\W", line)[0] for line in (setup["options"]["install_requires"] + extra).split()}
    files = [file for package in ALLOWED for file in (ROOT / package).rglob("*.py")]
    outside = set().union(*map(imported, files)) - OURS - set(sys.stdlib_module_names)
    assert outside <= declared
