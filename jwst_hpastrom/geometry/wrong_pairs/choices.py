"""Which of some dozen pairs are wrong: the likely choices, and how probable each is."""

from typing import NamedTuple

import numpy as np

from jwst_hpastrom.geometry.wrong_pairs._kernels import ALIKE, GATHERED, GOOD, STRAY, settle
from jwst_hpastrom.numerics.choices import LEAST, log_kinds, log_shares, probabilities

__all__ = ["Choice", "likely_choices"]

#: starts from as few pairs as fix a transformation: where two in five are wrong three are all good in 20 % of
#: the draws, and one of thirty draws is of good ones only in 99.9 % of the cases
STARTS = 30


class Choice(NamedTuple):
    """Pairs that are good, shape (n,), and how probable that is."""

    good: np.ndarray
    probability: float


def likely_choices(design, data, x, kept, few, tiny):
    """Choices of good pairs that are likely, the most probable first.

    A pair is good, with a normal error of one unknown size, or wrong; wrong ones are off alike, by one shift,
    or each by its own, of any size from three errors on, and the share of them is unknown (a mixture as in
    Hogg, Bovy & Lang 2010, section 3). From several starts the kinds are followed until they agree with the
    fit to them; what is found is weighed by its evidence, in which transformation, size of the errors, shift
    and share are integrated out. Most pairs are good. Wrong ones tilt a fit to all of them, so that other
    starts are fits to a handful, drawn by a fixed seed, each followed to its nearest half of the pairs
    (Rousseeuw and van Driessen 1999).

    Parameters
    ----------
    design : ndarray, shape (2, n, q)
        Columns of the parameters for both coordinates, over the pairs' errors.

    data : ndarray, shape (2, n)
        The same of the data.

    x : ndarray, shape (n,)
        Some coordinate: draws are the same in whatever order pairs are given.

    kept : ndarray of bool, shape (n,)
        Pairs that clipping keeps, another start.

    few : int
        Pairs that fix a transformation.

    tiny : float
        Rounding error of the data.

    Returns
    -------
    list of `Choice`
        Empty where none has half of the pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry.wrong_pairs import likely_choices
    >>> rng, n = np.random.default_rng(1), 20
    >>> data, design = rng.normal(0, 1, (2, n)), np.zeros((2, n, 2))
    >>> design[0, :, 0] = design[1, :, 1] = 1.0  # two offsets
    >>> data[0, :6] += 8.0
    >>> best = likely_choices(design, data, np.arange(20.0), np.ones(n, bool), 1, 1e-9)[0]
    >>> int(best.good[:6].sum()), int(best.good.sum()), bool(best.probability > 0.9)
    (0, 14, True)
    """
    n = x.size
    rng, in_order = np.random.default_rng(n), np.argsort(x)
    starts = np.full((STARTS + 2, n), STRAY, dtype=np.int64)
    starts[0], starts[1, kept] = GOOD, GOOD
    for start in starts[2:]:
        start[in_order[rng.choice(n, few, replace=False)]] = GOOD
    gathered = np.r_[0, 0, np.full(STARTS, GATHERED)]
    values = np.empty(STARTS + 2)
    settle(np.ascontiguousarray(design), np.ascontiguousarray(data), gathered, tiny, starts, values)
    if not np.isfinite(values).any():
        return []
    kinds, first = np.unique(starts[np.isfinite(values)], axis=0, return_index=True)
    number = np.stack([np.sum(kinds == kind, axis=1) for kind in (GOOD, ALIKE, STRAY)])
    value = values[np.isfinite(values)][first] + log_shares(number[0], number[1] + number[2])
    value += log_kinds(*number[1:])
    good, of = np.unique(kinds == GOOD, axis=0, return_inverse=True)
    with np.errstate(divide="ignore"):
        probability = probabilities(np.log(np.bincount(of.ravel(), probabilities(value))), LEAST)
    order = np.argsort(-probability, kind="stable")[: np.count_nonzero(probability)]
    return [Choice(good[k], float(probability[k])) for k in order]
