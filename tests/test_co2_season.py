"""The data of `co2-season` follow from the weekly series, and a second method finds the same cycle."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROOT = Path(__file__).parents[1]
WEEKLY = ROOT / "data" / "co2-weekly.csv"
SHIPPED = ROOT / "liouville" / "problems" / "co2-season.csv"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("co2_season", ROOT / "data" / "co2_season.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped() -> Array:
    return np.loadtxt(SHIPPED, delimiter=",", skiprows=1).T


def moving_average_cycle() -> tuple[Array, Array]:
    """52 bin means of data minus a centred 52-week average (units of 3 ppm), and their standard errors.

    The average has 53 terms, the end ones halved; a window with an empty week is left out. Calendar and bins
    are computed here, by numpy's dates.
    """
    table = np.genfromtxt(WEEKLY, delimiter=",", skip_header=1, dtype=None, encoding="ascii")
    co2 = table["f1"].astype(float)
    day = np.array([f"{d // 10000}-{d // 100 % 100:02}-{d % 100:02}" for d in table["f0"]], dtype="M8[D]")
    year = day.astype("M8[Y]")
    length = ((year + 1).astype("M8[D]") - year.astype("M8[D]")).astype(float)
    week = np.floor(52 * ((day - year.astype("M8[D]")).astype(float) + 0.5) / length).astype(int)[26:-26]
    weights = np.r_[0.5, np.ones(51), 0.5] / 52
    anomaly = (co2[26:-26] - np.convolve(co2, weights, "valid")) / 3
    bins = [anomaly[(week == k) & np.isfinite(anomaly)] for k in range(52)]
    error = [values.std(ddof=1) / np.sqrt(len(values)) for values in bins]
    return np.array([values.mean() for values in bins]), np.array(error)


def agrees(f: Array) -> bool:
    """Whether f is within 3 standard errors of the moving-average cycle, plus what the average lets through.

    Both are bin means of the same series, but gaps cost the average whole windows: n of N years remain in
    a bin. Such a subset's mean differs from that of all by s sqrt(1/n - 1/N), s the year-to-year spread, here
    about half the standard error s/sqrt(n): three of those are six deviations, in each of the 52 bins.
    The average (53 terms, weekly) passes the period of 365.25 days by H = sin(26 q) / (52 tan(q / 2)), 0.0034
    for q = 2 pi 7 / 365.25, as 364 days are not a year; |f| <= 1.2 bounds that part by 1.2 H.
    """
    mean, error = moving_average_cycle()
    q = 2 * np.pi * 7 / 365.25
    leak = np.sin(26 * q) / (52 * np.tan(q / 2))
    return bool(np.all(np.abs(f - mean) <= 3 * error + 1.2 * leak))


def test_the_script_reproduces_the_shipped_file(script: ModuleType, shipped: Array) -> None:
    x, f = script.season(*script.read_weekly(WEEKLY))
    np.testing.assert_array_equal(shipped[0], x)
    # Half a unit of the sixth decimal, plus room for another machine's least squares.
    np.testing.assert_allclose(shipped[1], f, rtol=0, atol=0.5e-6 + 1e-9)


def test_the_written_file_has_the_shipped_form(script: ModuleType, shipped: Array, tmp_path: Path) -> None:
    script.write(tmp_path / "season.csv", *shipped)
    assert (tmp_path / "season.csv").read_text() == SHIPPED.read_text()


def test_all_weeks_with_a_value_are_read(script: ModuleType) -> None:
    time, co2 = script.read_weekly(WEEKLY)
    assert len(time) == len(co2) == 2284 - 59
    # 29 March 1958 is day 88 of 365, 29 December 2001 day 363; noon is half a day in.
    np.testing.assert_allclose(time[[0, -1]], [1958 + 87.5 / 365, 2001 + 362.5 / 365], rtol=1e-15, atol=0)
    np.testing.assert_array_equal(co2[[0, -1]], [316.1, 371.5])


def test_angles_are_52_bin_centres(shipped: Array) -> None:
    assert SHIPPED.read_text().splitlines()[0] == "x,f"
    np.testing.assert_allclose(shipped[0], np.pi / 52 * np.arange(1, 104, 2), rtol=1e-15, atol=0)


def test_a_planted_cycle_is_recovered_through_the_gaps(script: ModuleType) -> None:
    """A cubic is a spline and four harmonics are in the model: the anomaly is the cycle, to rounding."""
    time, _ = script.read_weekly(WEEKLY)
    s = (time - 1980) / 20
    angle = 2 * np.pi * time
    cycle = 3 * np.sin(angle) - np.cos(2 * angle) + 0.2 * np.sin(4 * angle + 1)
    trend = 340 + 25 * s + 4 * s**2 - s**3
    # eps * 370 ppm * the condition number 18 of the fit is 1.5e-12 ppm; times sqrt(2225 weeks) at worst.
    np.testing.assert_allclose(script.anomaly(time, trend + cycle), cycle, rtol=0, atol=7e-11)


def test_the_cycle_is_that_of_mauna_loa(shipped: Array) -> None:
    """About 3 ppm above the trend in May, as the northern growing season starts, 3 ppm below at its end."""
    day = shipped[0] / (2 * np.pi) * 365
    f = shipped[1]
    assert 120 <= day[f.argmax()] <= 151  # May
    assert 263 <= day[f.argmin()] <= 304  # 21 September to 31 October
    assert f.max() == pytest.approx(1, rel=0, abs=0.2)
    assert f.min() == pytest.approx(-1, rel=0, abs=0.2)


def test_the_mean_is_small(shipped: Array) -> None:
    """The trend takes the mean; what is left is within a standard error of one bin, 0.014 or more."""
    assert abs(shipped[1].mean()) <= moving_average_cycle()[1].min()


def test_a_moving_average_finds_the_same_cycle(shipped: Array) -> None:
    assert agrees(shipped[1])


@pytest.mark.wrong_prediction
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_cycle_one_week_off_is_rejected(shipped: Array, shift: int) -> None:
    assert not agrees(np.roll(shipped[1], shift))
