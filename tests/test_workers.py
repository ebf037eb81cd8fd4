"""Work over threads of Python's own."""

import threading
from typing import Any

import engines
import numba
import numpy as np
import pytest

from particles import beside, over_threads


@pytest.mark.parametrize("threads", [1, 2])
def test_every_piece_of_the_work_is_done_once(threads: int) -> None:
    done = np.zeros(37, dtype=int)

    def work(low: int, high: int) -> None:
        done[low:high] += 1

    with engines.threads(threads):
        over_threads(work, done.size)
    assert np.all(done == 1)


def test_work_beside_goes_on_meanwhile_and_on_one_thread() -> None:
    """Each waits for the other: in turn they would never end."""
    begun, go_on = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        assert go_on.wait(10)
        return numba.get_num_threads()

    with engines.threads(2):
        with beside(work) as result:
            assert begun.wait(10)
            go_on.set()
            assert result() == 1
            assert numba.get_num_threads() == 1
        assert numba.get_num_threads() == 2


@pytest.mark.parametrize("alone", ["one thread", "workqueue"])
def test_where_there_is_nothing_beside_work_waits_until_it_is_asked_for(
    alone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if alone == "workqueue":
        monkeypatch.setattr(numba, "threading_layer", lambda: alone)
    called: list[Any] = []
    with engines.threads(1 if alone == "one thread" else 2), beside(lambda: called.append(1)) as result:
        assert not called
        result()
    assert called == [1]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_work_raises_is_raised_where_it_is_asked_for(threads: int) -> None:
    def work() -> None:
        raise ArithmeticError("no number")

    with engines.threads(threads), pytest.raises(ArithmeticError, match="no number"), beside(work) as result:
        result()
