"""Effective PSFs between their samples: band-limited interpolation where a cubic spline is not enough.

An ePSF's waves end where those of the telescope do (D/λ) and four samples a pixel catch nearly all of them,
but a cubic spline through the samples damps those that are shorter than four samples. In filters whose
images are narrower than a pixel that moves stars by a thousandth of a pixel, by their pixel phase. So the
samples are first brought to twice as fine a grid by the cosine series that goes through them, and the spline
is put through those (this project's choice; `benchmarks/undersampled.py` has the figures).
"""

from functools import lru_cache

import numpy as np
from scipy.fft import dct, fftfreq, idct, irfft2, rfft2, rfftfreq
from scipy.ndimage import spline_filter, zoom

__all__ = ["middle_upsampled", "moved", "refinement", "spline_coefficients", "upsampled"]

FINER = 2  # times; four times would gain another 0.03 of the errors of a star of 1 % of the full well
TOLERATED = 3.5e-4  # pixels: a third of the errors of the brightest stars, a twentieth in quadrature
REACH = 5  # pixels along a side of the box that stars are fitted in
FAINTEST = 0.01  # of the peak: light below weighs like that much
BORDER = 16  # samples mirrored around an ePSF that is moved, so that its wings do not come back


def upsampled(data, factor):
    """Bring ePSFs to a finer grid through their own samples, mirrored at the border.

    Parameters
    ----------
    data : ndarray, shape (..., n, n)

    factor : int
        How many times finer.

    Returns
    -------
    ndarray, shape (..., factor (n - 1) + 1, factor (n - 1) + 1)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf.resampling import upsampled
    >>> wave = np.cos(0.5 * np.pi * np.arange(5))
    >>> (upsampled(np.outer(np.ones(5), wave), 2)[0].round(2) + 0.0).tolist()
    [1.0, 0.71, 0.0, -0.71, -1.0, -0.71, 0.0, 0.71, 1.0]
    """
    if factor == 1:
        return data
    finer = _between(data.shape[-1], factor)
    return finer @ data @ finer.T


@lru_cache(maxsize=8)
def _between(n, factor):
    """Matrix that brings a row of n samples to the finer grid."""
    waves = dct(np.eye(n), type=1, axis=0)
    waves[-1] *= 0.5  # the shortest wave is the last one there, and one of many here
    return idct(np.pad(waves, ((0, (factor - 1) * (n - 1)), (0, 0))), type=1, axis=0) * factor


def middle_upsampled(data, factor, reach):
    """Return `upsampled` samples up to ``reach`` of the finer ones from the middle of each ePSF.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf.resampling import middle_upsampled, upsampled
    >>> wave = np.outer(np.hanning(9), np.hanning(9))
    >>> bool(np.allclose(middle_upsampled(wave, 2, 3), upsampled(wave, 2)[5:12, 5:12]))
    True
    """
    n = data.shape[-1]
    first = max(factor * (n - 1) // 2 - reach, 0)
    finer = _between(n, factor)[first : factor * (n - 1) + 1 - first]
    return finer @ data @ finer.T


def refinement(data, oversampling):
    """How many times finer than the samples the knots of the spline through ePSFs must be.

    Parameters
    ----------
    data : ndarray, shape (n_fields, n, n)

    oversampling : int
        Samples per pixel.

    Returns
    -------
    int
        1, or 2 where a spline through the samples alone moves stars by more than 0.00035 pixels RMS.
    """
    psf = data.mean(0)
    n, side = psf.shape[0], FINER * oversampling
    first = n - 1 - REACH * side // 2
    peak = np.abs(psf).max()
    if first < 0 or not peak > 0:
        return 1
    box = slice(first, first + REACH * side)
    fine = upsampled(psf, FINER)
    off = (fine - zoom(psf, (2 * n - 1) / n, order=3, mode="mirror"))[box, box]
    weight = 1 / np.maximum(fine[box, box], FAINTEST * peak)
    share = REACH, side, REACH, side  # pixels and phases along y and x
    for axis in (0, 1):
        slope = np.gradient(fine, 1 / side, axis=axis)[box, box]
        gain, power = ((weight * slope * a).reshape(share).sum((0, 2)) for a in (off, slope))
        if np.sqrt(np.mean(np.square(gain / power))) > TOLERATED:
            return FINER
    return 1


def spline_coefficients(data, factor, pad):
    """Cubic B-spline coefficients of ePSFs, mirrored at the border.

    Parameters
    ----------
    data : ndarray, shape (n_fields, n, n)

    factor : int
        Knots a sample, see `refinement`.

    pad : int
        Coefficients beyond the border.

    Returns
    -------
    ndarray, shape (n_fields, factor (n - 1) + 1 + 2 pad, factor (n - 1) + 1 + 2 pad)
    """
    filtered = [spline_filter(psf, order=3, mode="mirror") for psf in upsampled(data, factor)]
    return np.ascontiguousarray(np.pad(filtered, ((0, 0), (pad, pad), (pad, pad)), mode="reflect"))


def moved(psf, dx, dy):
    """Move an ePSF without damping any of its waves.

    Parameters
    ----------
    psf : ndarray, shape (n, n)

    dx, dy : float
        Samples.

    Returns
    -------
    ndarray, shape (n, n)
    """
    n = psf.shape[0]
    border = min(BORDER, n - 1)
    padded = np.pad(psf, border, mode="reflect")
    side = padded.shape[0]  # odd: each wave has its mirror image
    turn = np.exp(-2j * np.pi * (dx * rfftfreq(side) + dy * fftfreq(side)[:, None]))
    return irfft2(rfft2(padded) * turn, padded.shape)[border : border + n, border : border + n]
