"""Two tasks at once: in two threads, in order, with the first one's error."""

import threading

import pytest

from jwst_hpastrom.numerics.threads import at_once, in_halves


def test_at_once_runs_both_at_the_same_time():
    both = threading.Barrier(2, timeout=10)

    def task(value):
        both.wait()
        return value

    assert at_once(lambda: task(1), lambda: task(2)) == (1, 2)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_halves_are_all_items_in_order(n):
    first, others = in_halves(list, range(n))
    assert first + others == list(range(n))
    assert 0 <= len(first) - len(others) <= 1


def test_the_first_items_error_is_told():
    def fail(items):
        raise ValueError(items[0])

    with pytest.raises(ValueError, match="a"):
        in_halves(fail, ["a", "b"])
