"""Dispersion of motions within a circle: a Gaussian cut at the circle's edge, on an even background."""

from typing import Any

import numpy as np
from scipy.optimize import minimize

from jwst_hpastrom.errors import DegenerateSolutionError
from jwst_hpastrom.kinematics.dispersion import Dispersion, Posterior

__all__ = ["fit_truncated"]

#: log likelihood that a background must gain to be taken: knots of chance among many places gain a few
BACKGROUND_GAIN = 6.0
#: a circle smaller than this times the total width hardly shows a Gaussian's curvature
SMALLEST = 1.2


class Circle:
    """Likelihood of the motions v (2, n) with variances e2 (2, n) within a circle.

    Parameters
    ----------
    v, e2 : ndarray, shape (2, n)
        Motions less the circle's center, and variances of their errors.

    limit : float
        Radius.
    """

    def __init__(self, v, e2, limit):
        self.v, self.e2, self.limit = v, e2, limit
        self.scale = np.sqrt(np.mean(v**2))

    def log_likelihood(self, s2: float, mean: np.ndarray, f: float) -> float:
        """Of the intrinsic variance, the mean and the background's share."""
        var = s2 + self.e2
        d = self.v - mean[:, None]
        x = 0.5 * self.limit**2 / np.mean(var, axis=0)
        inside = -np.expm1(-x)
        # the mean's distance from the circle's center costs probability, to second order
        loss = 0.5 * np.sum(mean[:, None] ** 2 / var, axis=0) * x * np.exp(-x) / inside
        gauss = np.exp(-0.5 * np.sum(d**2 / var, axis=0) + loss) / (2 * np.pi * np.sqrt(var.prod(0)) * inside)
        return float(np.log((1 - f) * gauss + f / (np.pi * self.limit**2) + 1e-300).sum())

    def best(self, s2: float | None = None, background: bool = True) -> tuple[Any, ...]:
        """Maximize over mean, share and, unless given, variance; (log likelihood, variance, mean, share)."""

        def unpack(p):
            f = 1 / (1 + np.exp(-p[2])) if background else 0.0
            return (np.exp(2 * p[-1]) if s2 is None else s2), p[:2] * self.scale, f

        start = np.array([0.0, 0.0, -2.0, np.log(self.scale)])[: 4 if s2 is None else 3]
        low = np.log(1e-3 * self.scale)
        bounds = [(-1.5, 1.5)] * 2 + [(-12, 6), (low, np.log(20 * self.limit))][: start.size - 2]
        found = minimize(lambda p: -self.log_likelihood(*unpack(p)), start, bounds=bounds, method="L-BFGS-B")
        return -found.fun, *unpack(found.x)


def fit_truncated(
    v: np.ndarray,
    e: np.ndarray,
    center: np.ndarray,
    limit: float,
    confidence: float = 0.95,
    only_width: bool = False,
) -> tuple[Dispersion | None, float]:
    """Mean and isotropic dispersion of the stars within ``limit`` of a motion.

    Parameters
    ----------
    v, e : ndarray, shape (2, n)
        Motions within the circle and their errors.

    center : ndarray, shape (2,)

    limit : float

    confidence : float
        Of the one-sided upper limit.

    only_width : bool
        Find no errors: the dispersion is None.

    Returns
    -------
    dispersion : `~jwst_hpastrom.kinematics.Dispersion`

    width : float
        Total width of the Gaussian.

    Raises
    ------
    DegenerateSolutionError
        The circle is too small for the width of what it holds.
    """
    circle = Circle(v - center[:, None], np.maximum(e, 1e-3 * limit) ** 2, limit)
    alone, with_field = circle.best(background=False), circle.best()
    background = with_field[0] > alone[0] + BACKGROUND_GAIN
    top, s2, mean, share = with_field if background else alone
    typical = float(np.median(circle.e2))
    width = float(np.sqrt(s2 + typical))
    if limit < SMALLEST * width:
        raise DegenerateSolutionError(
            f"motions as wide as {width:.3g} mas/yr within limit={limit:.3g}",
            f"a limit of {SMALLEST * width:.3g} or more",
            "raise limit, or leave it out",
        )
    if only_width:
        return None, width
    zero = circle.best(0.0, background)
    if zero[0] >= top - 1e-6:
        top, s2, mean, share = zero
    posterior = Posterior(lambda x: circle.best(x, background)[0], s2, s2 + typical, typical, n=41)
    var = s2 + circle.e2
    x = 0.5 * limit**2 / np.mean(var, axis=0)
    weight = (1 - share) / var * (1 - x * np.exp(-x) / -np.expm1(-x))
    mean_error = np.sum(weight, axis=1) ** -0.5
    known = s2 > 1e-6 * typical
    found = (posterior.quantile(0.5), posterior.error) if known else (0.0, np.nan)
    result = Dispersion(center + mean, mean_error, *found, posterior.quantile(confidence), v.shape[1])
    return result, width
