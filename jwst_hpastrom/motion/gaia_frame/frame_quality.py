"""How well motions realize a reference frame: bias, common epoch, budget, joint test (H25 §3.3, §4.2)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2 as chi2_law

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError

__all__ = [
    "FrameBias",
    "JointTest",
    "common_epoch",
    "error_budget",
    "frame_bias",
    "joint_test",
    "weighted_bias",
]


@dataclass(frozen=True)
class FrameBias(Displayed):
    """Mean differences from a reference catalog; arrays are (East, North).

    Attributes
    ----------
    position, position_error : ndarray, shape (2,)
        mas, at ``epoch``.

    motion, motion_error : ndarray, shape (2,)
        mas/yr.

    epoch : float
        Common epoch of the positions.

    n : int
        Stars.
    """

    position: np.ndarray
    position_error: np.ndarray
    motion: np.ndarray
    motion_error: np.ndarray
    epoch: float
    n: int


def weighted_bias(difference, error):
    """Error-weighted mean difference and its error (H25 eq. 10, 11).

    Parameters
    ----------
    difference, error : ndarray, shape (n, ...)
        Differences and their standard errors, both catalogs' in quadrature.

    Returns
    -------
    bias, bias_error : ndarray
        Σ w d/Σ w and (Σ w)^-½, w = 1/σ².
    """
    d, w = np.asarray(difference, float), np.asarray(error, float) ** -2.0
    ok = np.isfinite(d) & np.isfinite(w)
    w, d = np.where(ok, w, 0.0), np.where(ok, d, 0.0)
    total = w.sum(0)
    if np.any(total <= 0):
        raise NotEnoughStarsError("no star with finite differences and errors", "at least one")
    return (w * d).sum(0) / total, total**-0.5


def common_epoch(sigma_1, epoch_1, sigma_2, epoch_2):
    """Epoch at which positions of two catalogs are best compared (H25 eq. 12).

    Parameters
    ----------
    sigma_1, sigma_2 : ndarray, shape (n,) or (n, 2)
        Errors of the motions, mas/yr; both axes count alike.

    epoch_1, epoch_2 : ndarray, shape (n,) or float
        Reference epochs, at which position and motion are uncorrelated.

    Returns
    -------
    float
        Σ(σ1² t1 + σ2² t2)/Σ(σ1² + σ2²): variances as weights, since the difference's variance grows as
        σ1²(t − t1)² + σ2²(t − t2)².
    """
    v1, v2 = (np.asarray(s, float) ** 2 for s in (sigma_1, sigma_2))
    v1, v2 = (v.sum(-1) if v.ndim > 1 else v for v in (v1, v2))
    t1, t2 = np.broadcast_to(epoch_1, v1.shape), np.broadcast_to(epoch_2, v2.shape)
    return float(np.sum(v1 * t1 + v2 * t2) / np.sum(v1 + v2))


def frame_bias(difference, error, epoch):
    """Bias of positions and motions together.

    Parameters
    ----------
    difference, error : ndarray, shape (n, 4)
        East, North position (mas) at ``epoch``; East, North motion (mas/yr).

    epoch : float

    Returns
    -------
    `FrameBias`
    """
    bias, sigma = weighted_bias(difference, error)
    return FrameBias(bias[:2], sigma[:2], bias[2:], sigma[2:], float(epoch), len(difference))


@dataclass(frozen=True)
class FrameCovariance:
    """What a frame's realization may be off, from `frame_covariance`.

    Attributes
    ----------
    epoch : float
        Reference epoch.

    covariance : ndarray, shape (2, 2, 2)
        Per axis, of position at the epoch (mas) and motion (mas/yr).
    """

    epoch: float
    covariance: np.ndarray


def frame_covariance(common, error, epochs, group=None):
    """Errors of position and motion that all stars share, from the transformations' common errors.

    Parameters
    ----------
    common : ndarray, shape (2, n_epochs, n_epochs)
        Covariance of the stars' mean displacement per axis, mas².

    error : ndarray, shape (2, n_epochs)
        Error of a typical star, mas: the weights of its fit.

    epochs : ndarray, shape (n_epochs,)

    group : ndarray of int, shape (n_epochs,), optional
        Groups of epochs with free offsets in the stars' fits.

    Returns
    -------
    `FrameCovariance`
    """
    w = np.where(np.isfinite(error), error, np.inf) ** -2.0
    t0 = float(np.sum(w * epochs) / w.sum())
    rows = [np.ones(len(epochs)), epochs - t0]
    if group is not None:
        rows += [(group == g) * 1.0 for g in np.unique(group)[1:]]
    h, out = np.stack(rows), np.empty((2, 2, 2))
    for axis in (0, 1):
        operator = (np.linalg.pinv((h * w[axis]) @ h.T) @ (h * w[axis]))[:2]
        out[axis] = operator @ common[axis] @ operator.T
    return FrameCovariance(t0, out)


def error_budget(terms: Any) -> dict[str, tuple[float, float, float]]:
    """Add error terms in quadrature (H25 Table 5).

    Parameters
    ----------
    terms : mapping of str to pair of float
        (σ_x, σ_y) of each step from one frame to the next.

    Returns
    -------
    dict of str to tuple of float
        After each step, in order: the accumulated (σ_x, σ_y, σ), σ = √(σ_x² + σ_y²).

    Examples
    --------
    >>> from jwst_hpastrom.motion import error_budget
    >>> budget = error_budget({"frame to Gaia": (0.02, 0.01), "Gaia to ICRS": (0.01, 0.01)})
    >>> [round(float(v), 4) for v in budget["Gaia to ICRS"]]
    [0.0224, 0.0141, 0.0265]
    """
    total, out = np.zeros(2), {}
    for name, value in terms.items():
        value = np.asarray(value, float)
        if value.shape != (2,) or np.any(value < 0):
            raise ParameterError(f"{name}: {value}", "two errors, x and y")
        total = np.hypot(total, value)
        out[name] = (float(total[0]), float(total[1]), float(np.hypot(*total)))
    return out


@dataclass(frozen=True)
class JointTest:
    """Result of `joint_test`.

    Attributes
    ----------
    chi2 : float
        dᵀ C⁻¹ d, two degrees of freedom.

    probability : float
        exp(−χ²/2): of a larger χ² by chance.

    consistent : bool
        Whether zero lies inside the region of the stated confidence.

    limit : float
        The χ² of that region's edge: 11.618 for 99.7 %.

    total_error : float
        √(σ_x² + σ_y²): H25's "consistent to within", not a radius of any confidence.

    radius : float
        Upper limit of the true offset's length at the stated confidence along d: its length + √limit σ_along.
    """

    chi2: float
    probability: float
    consistent: bool
    limit: float
    total_error: float
    radius: float


def joint_test(
    difference: Any, error: Any, *, correlation: Any = 0.0, confidence: float = 0.997
) -> JointTest:
    """Test whether a two-dimensional difference is consistent with zero (H25 §4.2.3).

    Parameters
    ----------
    difference, error : pair of float
        x and y.

    correlation : float
        Of the two errors.

    confidence : float
        Of the region.

    Returns
    -------
    `JointTest`

    Examples
    --------
    >>> from jwst_hpastrom.motion import joint_test
    >>> joint_test((0.02, 0.01), (0.02, 0.02)).consistent
    True
    >>> joint_test((0.2, 0.1), (0.02, 0.02)).consistent
    False
    """
    d, s = np.asarray(difference, float), np.asarray(error, float)
    c = np.array([[s[0] ** 2, correlation * s[0] * s[1]], [correlation * s[0] * s[1], s[1] ** 2]])
    value = float(d @ np.linalg.solve(c, d))
    limit = float(chi2_law.ppf(confidence, 2))
    length = np.hypot(*d)
    unit = d / length if length > 0 else np.array([1.0, 0.0])
    along = np.sqrt(unit @ c @ unit)
    return JointTest(
        value,
        float(np.exp(-0.5 * value)),
        value < limit,
        limit,
        float(np.hypot(*s)),
        float(length + np.sqrt(limit) * along),
    )
