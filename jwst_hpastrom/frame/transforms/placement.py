"""Where the detectors of a camera lie relative to each other: offsets, turns and scales with their errors."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

__all__ = ["Placement", "affine_changes", "solve_placement"]

#: variance (arcsec², rad², 1) below which differences of pointings are not taken at their word
TINY = 1e-18


@dataclass(frozen=True, eq=False)
class Placement:
    """Changes of the detectors' places in V2V3.

    Attributes
    ----------
    changes : ndarray, shape (n_detectors, 4)
        Shift along V2 and V3 at the detector's middle (arcsec), turn (rad, from V2 to V3) and relative scale.

    covariance : ndarray, shape (4 n_detectors, 4 n_detectors)

    attitudes : ndarray, shape (n_pointings, 3)
        What the pointings err by: shift along V2 and V3 (arcsec) at the middle of all, turn (rad).

    centers : ndarray, shape (n_detectors, 2)
        V2, V3 of the detectors' middles before, arcsec.
    """

    changes: np.ndarray
    covariance: np.ndarray
    attitudes: np.ndarray
    centers: np.ndarray

    def table(self, names):
        """Return the places as a table.

        Parameters
        ----------
        names : sequence of str
            Detectors.

        Returns
        -------
        `~astropy.table.Table`
            detector, v2, v3 (of its middle, arcsec), and the changes dv2, dv3 (mas), turn (degrees), scale
            (relative), with their errors. Mean shift and common rotation of the middles are zero.
        """
        errors = np.sqrt(np.maximum(np.diag(self.covariance), 0.0)).reshape(-1, 4)
        units = np.array([1e3, 1e3, np.rad2deg(1.0), 1.0])
        table = Table({"detector": list(names)})
        for k, c in enumerate(("v2", "v3")):
            table[c] = self.centers[:, k] + self.changes[:, k]
            table[c].unit = "arcsec"
        for k, (c, unit) in enumerate((("dv2", "mas"), ("dv3", "mas"), ("turn", "deg"), ("scale", ""))):
            table[c], table[f"{c}_error"] = self.changes[:, k] * units[k], errors[:, k] * units[k]
            table[c].unit = table[f"{c}_error"].unit = unit
        return table


def affine_changes(fit, k, to_v2v3, expected):
    """Change of one exposure's map to V2V3 that its transformation in the master frame stands for.

    Parameters
    ----------
    fit : `~jwst_hpastrom.frame.transforms.mosaic.MosaicFit`

    k : int
        Exposure.

    to_v2v3 : `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels to V2V3 (arcsec) through the master frame and the exposure's attitude.

    expected : `~jwst_hpastrom.geometry.LinearTransform`
        The same as it was taken to be.

    Returns
    -------
    change : ndarray, shape (4,)
        Shift at the exposure's middle (arcsec), turn (rad), relative scale.

    jacobian : ndarray, shape (4, 6)
        By the six parameters of ``fit``: offset and slopes of u, then of v.
    """
    center, half = fit.center[k], fit.half_width[k]
    shift = np.subtract(to_v2v3.forward(*center), expected.forward(*center))
    back = np.linalg.inv(expected.matrix)
    e = to_v2v3.matrix @ back - np.eye(2)
    change = np.array([*shift, 0.5 * (e[1, 0] - e[0, 1]), 0.5 * (e[0, 0] + e[1, 1])])
    turn = to_v2v3.matrix @ np.linalg.inv(fit.transforms[k].matrix)  # master pixels to V2V3
    jacobian = np.zeros((4, 6))
    for a in range(2):  # u, v
        jacobian[:2, 3 * a] = turn[:, a]
        for b in range(2):  # slopes along p and q
            e = np.outer(turn[:, a], back[b]) / half
            jacobian[2, 3 * a + 1 + b] = 0.5 * (e[1, 0] - e[0, 1])
            jacobian[3, 3 * a + 1 + b] = 0.5 * (e[0, 0] + e[1, 1])
    return change, jacobian


def solve_placement(changes, covariance, which, pointing, centers, *, absolute_scale):
    """Part the exposures' changes into those of the detectors and those of the pointings.

    A pointing's attitude moves and turns all detectors together. So the mean shift of the detectors' middles
    is zero, and so is their rotation about their common middle, which is known as well as SIAF knows the
    middles; the detectors' own turns are relative to that.

    Parameters
    ----------
    changes : ndarray, shape (n_exposures, 4)
        See `affine_changes`.

    covariance : ndarray, shape (4 n_exposures, 4 n_exposures)

    which, pointing : ndarray of int, shape (n_exposures,)
        Detector and pointing of each exposure.

    centers : ndarray, shape (n_detectors, 2)
        V2, V3 of the detectors' middles, arcsec.

    absolute_scale : bool
        Whether the master frame's scale is a catalog's; otherwise scales, too, are about their mean.

    Returns
    -------
    `Placement`

    Examples
    --------
    >>> moved = np.zeros((4, 4))
    >>> moved[1::2, 0] = 0.002  # the second detector lies 2 mas away from where it was thought to be
    >>> which, pointing = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    >>> centers = np.array([[0.0, 0.0], [60.0, 0.0]])
    >>> found = solve_placement(moved, 1e-8 * np.eye(16), which, pointing, centers, absolute_scale=True)
    >>> found.changes[:, 0].round(4).tolist()
    [-0.001, 0.001]
    """
    n_det, n_point = int(which.max()) + 1, int(pointing.max()) + 1
    n = 4 * n_det + 3 * n_point
    middle = centers.mean(0)
    design = np.zeros((4 * len(which), n))
    for k, (d, p) in enumerate(zip(which, pointing, strict=True)):
        design[4 * k : 4 * k + 4, 4 * d : 4 * d + 4] = np.eye(4)
        a = 4 * n_det + 3 * p
        arm = centers[d] - middle
        design[4 * k : 4 * k + 3, a : a + 3] = [[1, 0, -arm[1]], [0, 1, arm[0]], [0, 0, 1]]
    # what is known relative to the mean only: the middles neither move nor turn as a whole
    gauge = np.zeros((4 if not absolute_scale else 3, n))
    for c in range(len(gauge)):
        gauge[c, c : 4 * n_det : 4] = 1.0
    arms = centers - middle
    if np.sum(arms**2) > 1.0:  # more than one detector
        gauge[2] = 0.0
        gauge[2, 0 : 4 * n_det : 4], gauge[2, 1 : 4 * n_det : 4] = -arms[:, 1], arms[:, 0]
    scale = np.sqrt(np.diag(covariance) + TINY)
    weight = np.linalg.pinv(covariance / np.outer(scale, scale), rcond=1e-12, hermitian=True)
    scaled = design / scale[:, None]
    normal = scaled.T @ weight @ scaled
    right = scaled.T @ weight @ (changes.ravel() / scale)
    # the gauge as exact conditions; columns of like size
    size = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    g = gauge / size
    system = np.block([[normal / np.outer(size, size), g.T], [g, np.zeros((len(g), len(g)))]])
    inverse = np.linalg.pinv(system, rcond=1e-13)
    found = inverse @ np.r_[right / size, np.zeros(len(g))]
    cov = inverse[:n, :n] / np.outer(size, size)
    theta = found[:n] / size
    return Placement(
        theta[: 4 * n_det].reshape(-1, 4), cov[: 4 * n_det, : 4 * n_det],
        theta[4 * n_det :].reshape(-1, 3), centers,
    )  # fmt: skip
