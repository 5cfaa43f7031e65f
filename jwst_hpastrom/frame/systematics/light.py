"""Errors by the light of other stars that was not subtracted."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.instrument import INSTRUMENTS

__all__ = ["light_errors"]

#: reach of the ePSF libraries, pixels: closer neighbors that were subtracted leave nothing behind
REACH = 12.5
#: shift of a star, pixels, by the wings of an unsubtracted one as bright, r pixels away: WINGS λ² / r³ (µm),
#: where no ePSF told it
WINGS = 0.13
#: the most that an ePSF tells, in that unit: true ones of seven filters have 0.07 to 0.27, so that beyond
#: it the wings of a library, of few stars, are noise
MOST_WINGS = 0.3


def _wavelength(name, instrument=""):
    """Wavelength in µm of a filter of JWST; NaN for others: HST's F438W is 438 nm.

    Without an instrument only NIRISS's own names count.
    """
    instrument, name = instrument.strip().upper() or "NIRISS", str(name).strip().upper()
    known = INSTRUMENTS.get(instrument)
    row = known.filters.get(name) if known else None
    if row and instrument == "NIRISS":
        return int(name[1:4]) / 100
    return row.wavelength if row else np.nan


def light_errors(x, y, mag, flags, name, pixel, instrument="", wing_shift=None):
    """Errors by other stars' light that was not subtracted.

    The envelope of a diffraction pattern falls as λ/r³, and a gradient of the light shifts a star by it times
    the square of the star's own width. Neighbors within the ePSF library's reach count only where they were
    not subtracted (no flag SUBTRACTED). Exposures of one orientation share these errors.

    Parameters
    ----------
    x, y, mag : ndarray, shape (n,)
        Stars in the master frame.

    flags : ndarray of int

    name : str
        Filter; for one that is not JWST's the errors are zero.

    pixel : float
        Master pixels per detector pixel.

    instrument : str
        INSTRUME; where it is not given only the names of NIRISS's filters are known.

    wing_shift : float, optional
        Shift of a star, detector pixels, by one as bright 10 pixels away, as the ePSF has it
        (`~jwst_hpastrom.epsf.EPSFLibrary.wing_shift`); where it is not known, or larger than a telescope's
        can be, that of an envelope for all filters counts.

    Returns
    -------
    ndarray, shape (n,)
        Error of either coordinate, master pixels.
    """
    error = np.zeros(x.size)
    wavelength = _wavelength(name, instrument)
    ok = np.flatnonzero(np.isfinite(x + y + mag))
    if not np.isfinite(wavelength) or ok.size < 2:
        return error
    wings = WINGS * wavelength**2
    if wing_shift is not None and np.isfinite(wing_shift):
        told = 1e3 * float(wing_shift)
        wings = told if told <= MOST_WINGS * wavelength**2 else wings
    flux = 10 ** (-0.4 * (mag - mag[ok].min()))
    subtracted = flags & int(Flag.SUBTRACTED) != 0
    # the brightest stars reach far, the others as far as they have any effect
    bright = ok[flux[ok] >= np.partition(flux[ok], -max(1, ok.size // 8))[-max(1, ok.size // 8)]]
    variance = np.zeros(x.size)
    tree = cKDTree(np.c_[x[ok], y[ok]])
    for others, low, high in ((ok, 0.0, 2 * REACH), (bright, 2 * REACH, 4 * REACH)):
        if others is ok:
            i, j = tree.query_pairs(high * pixel, output_type="ndarray").reshape(-1, 2).T
            a, b = np.r_[ok[i], ok[j]], np.r_[ok[j], ok[i]]
        else:
            near = cKDTree(np.c_[x[others], y[others]]).query_ball_tree(tree, high * pixel)
            b = np.repeat(others, [len(k) for k in near])
            a = ok[np.concatenate([np.asarray(k, int) for k in near])]
        r = np.hypot(x[a] - x[b], y[a] - y[b]) / pixel
        keep = (r > low) & (r <= high) & ~(subtracted[a] & (r < REACH))
        a, b, r = a[keep], b[keep], r[keep]
        ratio = flux[b] / flux[a]
        shift = np.minimum(ratio * np.minimum(wings / r**3, 0.2), 1.0)
        variance += np.bincount(a, shift**2, minlength=x.size)
    return np.sqrt(variance) * pixel
