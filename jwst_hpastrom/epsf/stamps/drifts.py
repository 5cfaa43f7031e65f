"""How far the wavefronts of exposures drift about their mean, from the stamps of their bright stars."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.epsf.stamps.frames import charge_of
from jwst_hpastrom.epsf.wavefront import REACH, Modes, drift_of, field_equations
from jwst_hpastrom.epsf.weights import MOST_STARS

__all__ = ["Drifts", "drift_in_stamps", "field_in_stamps"]


@dataclass(frozen=True, eq=False)
class Drifts:
    """Drifts of exposures about the mean of all.

    Attributes
    ----------
    modes : `~jwst_hpastrom.epsf.wavefront.Modes`

    nm : ndarray, shape (exposures, modes)
        Coefficients of the Zernikes.
    """

    modes: Modes
    nm: np.ndarray

    def of(self, k, library):
        """Return the library as exposure ``k`` sees it."""
        return self.modes.change(self.nm[k], library)


def drift_in_stamps(stamps, library, modes, x, y, flux, use, slope, since=None):
    """Find an exposure's drift, as `~jwst_hpastrom.epsf.wavefront.drift_of` does.

    Parameters
    ----------
    stamps : `~jwst_hpastrom.epsf.stamps.neighbors.Stamps`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        That the stars were fitted with.

    modes : `~jwst_hpastrom.epsf.wavefront.Modes`

    x, y, flux : ndarray, shape (n,)
        Fitted.

    use : ndarray of bool, shape (n,)
        Stars that tell.

    slope : float
        Variance per unit of expected level.

    since : ndarray, shape (modes,), optional
        Drift that the library follows already.

    Returns
    -------
    `~jwst_hpastrom.epsf.wavefront.Drift`
        In all.
    """
    return drift_of(modes, library, *_bright(stamps, library, x, y, flux, use, slope), since=since)


def field_in_stamps(stamps, library, modes, x, y, flux, use, slope, charge):
    """Find the equations of the wavefront over an exposure's field, as `field_equations` does.

    Parameters are those of `drift_in_stamps`, and ``charge`` as there, or as a `Frame` keeps it.

    Returns
    -------
    normal, right : ndarray
        See there.
    """
    told = _bright(stamps, library, x, y, flux, use, slope)
    return field_equations(modes, library, *told, charge_of(charge))


def _bright(stamps, library, x, y, flux, use, slope):
    """Brightest stars, the pixels around them less their light, weights, and the pixels' columns and rows."""
    rows = np.flatnonzero(use & np.isfinite(x + y + flux))
    rows = rows[np.argsort(-flux[rows], kind="stable")][:MOST_STARS]
    x, y, flux = x[rows], y[rows], flux[rows]
    offset = np.arange(-REACH, REACH + 1)
    i, j = (np.rint(p).astype(int)[:, None] + offset for p in (x, y))
    i, j = i[:, None, :], j[:, :, None]
    at = rows[:, None, None], j - stamps.oy[rows][:, None, None], i - stamps.ox[rows][:, None, None]
    data, base = stamps.clean[at].astype(float), stamps.base[at].astype(float)
    a, b = x[:, None, None], y[:, None, None]
    light = flux[:, None, None] * library.evaluate(i - a, j - b, a, b)
    known = np.isfinite(data) & (base > 0)
    weight = np.where(known, 1 / np.maximum(base + slope * np.maximum(light, 0), 1e-30), 0)
    return x, y, flux, np.where(known, data - light, 0), weight, i, j
