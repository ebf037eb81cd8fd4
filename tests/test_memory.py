"""Memory and size of three- and four-dimensional grids, through the command, in a process of their own (slow)."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import runs

import liouville as lv


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "gigabytes"),
    [(runs.SPACE, 2.0), (runs.text("tanh-plane", cells=[128, 128, 128]), 1.0)],
    ids=["48x48x48x32", "128x128x128"],
)
def test_large_grids_fit_into_little_memory(text: str, gigabytes: float, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    solve = [sys.executable, "-c", MEASURED, "solve", str(tmp_path / "run.toml"), "-o", str(tmp_path / "run.h5")]
    done = subprocess.run(solve, check=True, capture_output=True, text=True)
    used = int(done.stdout.splitlines()[-1]) / 1e6
    run = lv.open(tmp_path / "run.h5")
    difference = np.sqrt((run.density.f - run.characteristics.f) ** 2 @ run.density.weight).max()
    print(f"{used:.2f} GB, f_0 off by {difference:.1e} ({run.density_error.f_error.max():.1e} estimated)")
    assert used <= gigabytes
    assert difference <= 10 * (run.density_error.f_error.max() + run.characteristics.error_estimate.max())


MEASURED = """
import resource, sys
from liouville.cli import run
status = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # kilobytes
sys.exit(status)
"""
