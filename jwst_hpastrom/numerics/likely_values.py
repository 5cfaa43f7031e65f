"""Few values of which some may be wrong: which of them, by the evidence."""

from typing import NamedTuple

import numpy as np
from scipy.special import gammainc, gammaln

from jwst_hpastrom.numerics.choices import FACTORS, log_kinds, log_shares, probabilities

__all__ = ["FEWEST", "LikelyValues", "likely_values", "scatter"]

#: values below which none is told, and how many are kept at least of more where more than one is left out:
#: three of five agree by chance so well that their scatter says nothing
FEWEST, LEAST_KEPT = 5, 6


class LikelyValues(NamedTuple):
    """Choices of the good values: ``first`` to ``last`` (exclusive) of the values in ``order``.

    ``probability``: of each choice; ``variance``: of its mean, with what is unknown of the scatter.
    """

    order: np.ndarray
    first: np.ndarray
    last: np.ndarray
    probability: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @property
    def best(self):
        """Values of the most probable choice."""
        k = int(self.probability.argmax())
        keep = np.zeros(self.order.size, bool)
        keep[self.order[self.first[k] : self.last[k]]] = True
        return keep


def likely_values(values, weights=None, *, sigma=3.0):
    """Weigh all choices of good values next to each other, more than half of all, by their evidence.

    Values are good, normally distributed with any scatter; off alike, those on one side, by one shift; or
    stray. As `~jwst_hpastrom.geometry.wrong_pairs.likely_choices` does for transformations.

    Parameters
    ----------
    values : ndarray
        At least `FEWEST`, finite.

    weights : ndarray, optional
        1/σ²; the scatter is as likely that of σ as any larger one.

    sigma : float
        Errors beyond which values may be wrong.

    Returns
    -------
    `LikelyValues`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics.likely_values import likely_values
    >>> values = np.random.default_rng(1).normal(size=12)
    >>> values[:2] += 10
    >>> likely = likely_values(values)
    >>> int(likely.best[:2].sum()), int(likely.best.sum()), bool(likely.probability.max() > 0.5)
    (0, 10, True)
    """
    n, known = values.size, weights is not None
    middle = np.median(values)
    w = weights if known else np.ones(n)
    order = np.argsort((values - middle) * np.sqrt(w), kind="stable")
    v, w = (values - middle)[order], w[order]
    first, last = np.triu_indices(n + 1, 1)
    enough = last - first >= max(n // 2 + 1, min(LEAST_KEPT, n - 1))
    first, last = first[enough], last[enough]
    sums = [np.r_[0.0, np.cumsum(c)] for c in (w, w * v, w * v**2)]
    tiny = 1e-24 * max(sums[2][-1], 1e-270)
    total, mean, squares = _moments(sums, first, last)
    number = last - first
    size = np.maximum(squares, tiny) / (number - 1)
    if known:
        size = np.maximum(size, 1.0)
    within = sigma**2 * size[:, None]
    stray = -np.log(2 * FACTORS * np.sqrt(np.maximum((v - mean[:, None]) ** 2 * w, within)))
    stray = np.concatenate([np.zeros((number.size, 1)), np.cumsum(stray, axis=1)], axis=1)
    row = np.arange(number.size)
    below, above = stray[row, first], stray[row, n] - stray[row, last]
    # the others all stray; those below alike; those above
    evidence, variance = np.full((3, number.size), -np.inf), np.zeros((3, number.size))
    nothing, end = np.zeros_like(first), np.full_like(first, n)
    for k, (a, b, others) in enumerate(
        ((nothing, nothing, below + above), (nothing, first, above), (last, end, below))
    ):
        alike = b - a
        own, shifted, more = _moments(sums, a, b)
        dof = number - 1 + np.maximum(alike - 1, 0)
        value, scatter = _scatter(dof, np.maximum(squares + more, tiny), known)
        value += others - 0.5 * np.log(total)
        value += log_shares(number, n - number) + log_kinds(alike, n - number - alike)
        if k > 0:
            off = np.maximum((shifted - mean) ** 2, sigma**2 * size * number / total)
            value += -0.5 * np.log(np.maximum(own, 1e-300)) - np.log(2 * FACTORS * np.sqrt(off))
            value[alike < 2] = -np.inf
        evidence[k], variance[k] = value, scatter / total
    probability = probabilities(evidence)
    each = probability.sum(axis=0)
    variance = np.sum(probability * variance, axis=0) / np.maximum(each, 1e-300)
    return LikelyValues(order, first, last, each, middle + mean, variance)


def _moments(sums, first, last):
    """Sum of the weights, weighted mean, and sum of squares about it, of runs of values."""
    total, one, two = (s[last] - s[first] for s in sums)
    mean = one / np.maximum(total, 1e-300)
    return total, mean, np.maximum(two - mean * one, 0.0)


def _scatter(dof, squares, known):
    """Logarithm of the evidence over all scatters, and the mean variance.

    Of unknown scatter that is Student's; else half of the evidence is the stated errors'.
    """
    a, x = 0.5 * dof, 0.5 * squares
    if not known:
        return gammaln(a) - a * np.log(2 * np.pi * x), squares / np.maximum(dof - 2, 0.5)
    # over σ from 1 on, in units of the stated errors; incomplete gamma functions are below that
    with np.errstate(divide="ignore"):
        wider = gammaln(a) + np.log(gammainc(a, x)) - a * np.log(x) - np.log(2 * FACTORS)
        square = gammaln(a - 1) + np.log(gammainc(a - 1, x)) - (a - 1) * np.log(x) - np.log(2 * FACTORS)
    value = np.logaddexp(-x, wider)
    return value - a * np.log(2 * np.pi), np.exp(-x - value) + np.exp(square - value)


def scatter(dof, squares):
    """Mean variance of values with stated errors, in units of these; as likely theirs as any larger one.

    Parameters
    ----------
    dof : float
        Degrees of freedom.

    squares : float
        Sum of the squares of the residuals in their errors.

    Examples
    --------
    >>> from jwst_hpastrom.numerics.likely_values import scatter
    >>> round(float(scatter(20, 20.0)), 2), round(float(scatter(20, 80.0)), 2)
    (1.01, 4.44)
    """
    # what few tell has no mean
    return _scatter(dof, squares, known=True)[1] if dof > 2 else max(1.0, squares / max(dof, 1))
