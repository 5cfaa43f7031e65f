"""What common pointings say of detectors off the catalog: places by the WCS, and how good these are.

Detectors that were exposed together share the error of their pointing. What the WCS makes of their relative
places has errors of some milliarcseconds, which show where the catalog has several of the detectors.
"""

from functools import cached_property

import numpy as np
from scipy.stats import norm, t

from jwst_hpastrom.frame.transforms.mosaic import LINEAR
from jwst_hpastrom.frame.transforms.registration import through_wcs
from jwst_hpastrom.geometry import LinearTransform

__all__ = ["Pointings", "detector_names", "simultaneous"]

#: part of a normal distribution that is below its standard deviation
SIGMA = float(norm.cdf(1.0))
#: years: exposures whose middles differ by less were taken at once (one second)
AT_ONCE = 3e-8


def detector_names(star_lists):
    """Return the detectors in the order of their first exposures, and each exposure's index among them.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`
        Metadata ``detector``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> lists = [Table(meta={"detector": d}) for d in ("NRCB1", "NRCB2", "NRCB1")]
    >>> names, which = detector_names(lists)
    >>> names, which.tolist()
    (['NRCB1', 'NRCB2'], [0, 1, 0])
    """
    own = [str(t.meta.get("detector") or "") for t in star_lists]
    names = list(dict.fromkeys(own))
    return names, np.array([names.index(d) for d in own])


def simultaneous(epochs, which):
    """Number the pointings: exposures of different detectors at one time have one attitude.

    Parameters
    ----------
    epochs : ndarray, shape (n_exposures,)
        Julian years; exposures without one are pointings of their own.

    which : ndarray of int, shape (n_exposures,)
        Detector of each exposure.

    Returns
    -------
    ndarray of int, shape (n_exposures,)
    """
    out = np.full(len(epochs), -1)
    for k in range(len(epochs)):
        if out[k] < 0:
            at_once = (out < 0) & (np.abs(epochs - epochs[k]) < AT_ONCE) if np.isfinite(epochs[k]) else []
            out[k] = out.max() + 1
            for j in np.flatnonzero(at_once):
                if which[j] not in which[out == out[k]]:
                    out[j] = out[k]
    return out


class Pointings:
    """The exposures' WCS, and pointings in common.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`
    plane : `~jwst_hpastrom.geometry.TangentPlane`
    which, pointing : ndarray of int, shape (n_exposures,)
        Detector and pointing of each exposure.
    """

    def __init__(self, m, plane, which, pointing):
        self.m, self.plane, self.which, self.pointing = m, plane, which, pointing

    @cached_property
    def transforms(self):
        """Each exposure's transformation to the master frame as its WCS has it."""
        return [through_wcs(self.m, k, self.plane).transform for k in range(self.m.n_exposures)]

    def _center(self, k):
        """Middle of an exposure in the master frame as its WCS has it."""
        s = self.m.of(k)
        return np.array(
            self.transforms[k].forward(*(0.5 * (c[s].min() + c[s].max()) for c in (self.m.x, self.m.y)))
        )

    def error(self, j, transforms):
        """What the WCS of a placed exposure errs by: shift at its middle (2,), and the matrix but for one."""
        middle = self._center(j)
        error = self.transforms[j].inverted().then(transforms[j])
        return np.array(error.forward(*middle)) - middle, error.matrix - np.eye(2), middle

    def move(self, own, placed, transforms):
        """Move of a detector to where the mean of the WCS's errors of placed ones in its pointing puts it.

        None where no pointing is in common.
        """
        for k in own:
            together = [j for j in placed if self.pointing[j] == self.pointing[k]]
            if together:
                shift, matrix, middle = (
                    np.mean(v, axis=0)
                    for v in zip(*(self.error(j, transforms) for j in together), strict=True)
                )
                error = LinearTransform(np.eye(2) + matrix, middle + shift, middle)
                return transforms[k].inverted().then(self.transforms[k]).then(error)
        return None

    def trust(self, known, transforms, radius):
        """How far the solution may be from the first transformations.

        Parameters
        ----------
        known : sequence of int
            Exposures that the catalog has placed.
        transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
            Current ones.
        radius : float
            Of the match, master pixels.

        Returns
        -------
        ndarray, shape (2, n_exposures)
            Deviations of place, and of scale and skew at the detector's edge, master pixels. Those of
            detectors off the catalog are what the WCS of the others errs by among themselves.
        """
        out = np.array([[radius], [LINEAR * radius]]) * np.ones(self.m.n_exposures)
        far = np.setdiff1d(np.arange(self.m.n_exposures), known)
        names = np.unique(self.which[list(known)]) if len(known) else []
        if len(names) < 2 or not far.size:
            return out
        shift, matrix, middle = self._apart(known, names, transforms)
        n = len(shift)
        if n < 2:
            return out
        # the mean square of so few is uncertain, and Student's distribution wider
        place, linear = (
            np.sum(v**2) / free * t.ppf(SIGMA, free) ** 2
            for v, free in ((shift, 2 * (n - 1)), (matrix, 4 * (n - 1)))
        )
        for k in far:
            if not np.isin(self.pointing[k], self.pointing[list(known)]):
                continue
            arm = np.hypot(*(self._center(k) - middle))
            exposures = np.sum(self.which[far] == self.which[k])  # they share the error
            s = self.m.of(k)
            edge = 0.5 * max(np.ptp(self.m.x[s]), np.ptp(self.m.y[s])) * transforms[k].scale
            out[0, k] = np.sqrt(exposures * (place * (1 + 1 / n) + linear * arm**2 / n))
            out[1, k] = np.sqrt(exposures * linear * (1 + 1 / n)) * edge
        return np.minimum(out, [[radius], [LINEAR * radius]])

    def _apart(self, known, names, transforms):
        """Errors of the detectors' WCS without those of the pointings: shifts, matrices; middle of all."""
        each = {d: ([], []) for d in names}
        middles = []
        for p in np.unique(self.pointing[list(known)]):
            here = [k for k in known if self.pointing[k] == p]
            if len(here) < 2:
                continue
            shift, matrix, middle = (
                np.array(v) for v in zip(*(self.error(k, transforms) for k in here), strict=True)
            )
            common, center = matrix.mean(0), middle.mean(0)
            left = shift - shift.mean(0) - (middle - center) @ common.T
            middles.append(center)
            for k, a, b in zip(here, left, matrix - common, strict=True):
                each[self.which[k]][0].append(a)
                each[self.which[k]][1].append(b)
        some = [v for v in each.values() if v[0]]
        shift, matrix = (np.array([np.mean(v[c], axis=0) for v in some]) for c in (0, 1))
        return shift, matrix, np.mean(middles, axis=0)
