"""Work of one process in two threads: for what leaves Python alone, compiled kernels and large arrays."""

from concurrent.futures import ThreadPoolExecutor

__all__ = ["at_once", "in_halves"]


def at_once(one, other):
    """Results of two tasks that run at the same time."""
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(one)
        second = other()
        return waiting.result(), second


def in_halves(function, items):
    """Results of a function of the first items and of the others, which run at the same time.

    Where both fail, the first ones' error is raised.

    Parameters
    ----------
    function : callable
        Takes a sequence.
    items : sequence

    Returns
    -------
    first, others : object

    Examples
    --------
    >>> from jwst_hpastrom.numerics.threads import in_halves
    >>> in_halves(sum, range(5))
    (3, 7)
    """
    middle = (len(items) + 1) // 2
    others, first = at_once(lambda: function(items[middle:]), lambda: function(items[:middle]))
    return first, others
