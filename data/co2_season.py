"""The target of the problem `co2-season`: the mean seasonal cycle of CO2 at Mauna Loa in 52 points.

    python data/co2_season.py

reads `co2-weekly.csv` and rewrites `liouville/problems/co2-season.csv`: x, the centres of 52 equal bins of
the year as angles (0 = the start of 1 January, 2 pi = one year), and f, the mean over 1958-2001 of the
anomaly from a smooth trend, in units of 3 ppm.

The trend is a cubic spline with knots about every two years, fitted by least squares *jointly* with four
harmonics of the year. Jointly, because a trend fitted alone leans towards whatever season a gap leaves: of
1964 February to April are missing, and the mean of the rest is not the mean of the year. With both in the
model a gap only costs precision: a spline plus a cycle of four harmonics is recovered exactly, wherever the
weeks fall. The spline cannot take the cycle up: its knots resolve periods of four years and longer. The
harmonics serve to find the trend and are then dropped: the anomaly is data minus trend, so f keeps what is
not in their span. Four suffice: with eight f changes by less than 1e-4.
"""

import csv
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

Array = NDArray[np.float64]

SOURCE = Path(__file__).with_name("co2-weekly.csv")
PRODUCT = Path(__file__).parents[1] / "liouville" / "problems" / "co2-season.csv"
BINS = 52
UNIT = 3.0  # ppm: about half the range of the cycle, so that f is of order 1
KNOT_SPACING = 2.0  # years
HARMONICS = 4
DEGREE = 3


def decimal_year(day: date) -> float:
    """Noon of a day in years; leap years are divided by 366, so that the fraction is the time of the year."""
    start = date(day.year, 1, 1)
    return day.year + ((day - start).days + 0.5) / (date(day.year + 1, 1, 1) - start).days


def read_weekly(path: Path) -> tuple[Array, Array]:
    """Times (decimal years) and weekly means (ppm) of the weeks that have one."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["co2"]]
    time = [decimal_year(date.fromisoformat(row["date"])) for row in rows]
    return np.array(time), np.array([float(row["co2"]) for row in rows])


def anomaly(time: Array, co2: Array) -> Array:
    """Data minus the spline part of the joint fit of spline and harmonics; ppm, shape (weeks,)."""
    intervals = round((time[-1] - time[0]) / KNOT_SPACING)
    knots = np.linspace(time[0], time[-1], intervals + 1)
    knots = np.pad(knots, DEGREE, mode="edge")
    spline = BSpline.design_matrix(time, knots, DEGREE).toarray()
    angle = 2 * np.pi * np.outer(time, np.arange(1, HARMONICS + 1))
    design = np.hstack([spline, np.cos(angle), np.sin(angle)])
    coefficients = np.linalg.lstsq(design, co2)[0]
    trend: Array = spline @ coefficients[: spline.shape[1]]
    return co2 - trend


def season(time: Array, co2: Array) -> tuple[Array, Array]:
    """Bin centres x (radians) and bin means f of the anomaly in units of 3 ppm; shapes (52,)."""
    week = (BINS * (time % 1)).astype(np.intp)
    f = np.bincount(week, anomaly(time, co2), BINS) / np.bincount(week, minlength=BINS) / UNIT
    return 2 * np.pi * (np.arange(BINS) + 0.5) / BINS, f


def write(path: Path, x: Array, f: Array) -> None:
    """x to the last bit, so that sums over the points integrate harmonics to rounding; f to 1e-6."""
    lines = [f"{angle!r},{value:.6f}" for angle, value in zip(x.tolist(), f.tolist(), strict=True)]
    path.write_text("\n".join(["x,f", *lines, ""]))


if __name__ == "__main__":
    write(PRODUCT, *season(*read_weekly(SOURCE)))
