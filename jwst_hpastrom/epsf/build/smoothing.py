"""Constraints on an ePSF grid: radius-dependent smoothing and the centering convention."""

import numpy as np
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import convolve1d, map_coordinates, spline_filter

from jwst_hpastrom.epsf.resampling import FINER, middle_upsampled, moved

__all__ = ["center_offsets", "low_pass", "recenter", "smooth_update", "within_band"]

SPLINE_REACH = 16  # samples: a cubic spline's coefficients know of what is farther to less than 1e-9
TAPER = 1.2  # waves are let through up to the band limit, and none beyond this many times it


def low_pass(order):
    """Return the maximally flat low-pass kernel with response 1 - sin(πf)^(2 order).

    Its response lies between 1 (slow waves) and 0 (one sample up, one down) and is never negative, so that
    an update smoothed with it can be iterated without growing waves.

    Parameters
    ----------
    order : int
        1 or more; the larger, the less is smoothed. The response is 1/2 at f = 0.25 (order 1), 0.32 (2), 0.37
        (4) cycles per sample.

    Returns
    -------
    ndarray, shape (2 order + 1,)
    """
    wave = np.array([1.0])
    for _ in range(order):
        wave = np.convolve(wave, [-0.25, 0.5, -0.25])
    kernel = -wave
    kernel[order] += 1.0
    return kernel


def _separable(stack, kernel):
    for axis in (1, 2):
        stack = convolve1d(stack, kernel, axis=axis, mode="mirror")
    return stack


def _ramp(r, inner, outer):
    return np.clip((r - inner) / (outer - inner), 0.0, 1.0)


def within_band(stack, limit):
    """Take the waves beyond a band limit out of ePSFs or their updates.

    Parameters
    ----------
    stack : ndarray, shape (n_fields, n, n)

    limit : float
        Cycles per sample: the response is 1 up to here and falls to 0 at `TAPER` times as much.

    Returns
    -------
    ndarray, shape (n_fields, n, n)
    """
    border = min(16, stack.shape[-1] - 1)  # mirrored: the wings do not end at the grid's border
    padded = np.pad(stack, ((0, 0), (border, border), (border, border)), mode="reflect")
    side = padded.shape[-1]
    beyond = np.clip((np.hypot(rfftfreq(side), fftfreq(side)[:, None]) / limit - 1) / (TAPER - 1), 0, 1)
    out = irfft2(rfft2(padded) * np.cos(0.5 * np.pi * beyond) ** 2, padded.shape[-2:])
    return out[:, border:-border, border:-border]


def smooth_update(update, oversampling, *, band_limit=None, radii=(1.0, 2.5, 5.0, 7.5), orders=(4, 2, 1)):
    """Smooth updates of ePSFs, the more the larger the radius (L23 section 3; Anderson 2016).

    The *update* is smoothed, not the model: what the data hold in the pass band comes back in later
    iterations, waves beyond it never enter. (A 5 x 5 quartic kernel on the model itself costs F090W 0.4 % of
    its center.)

    Parameters
    ----------
    update : ndarray, shape (n_fields, n, n)
        Updates, center at n // 2.

    oversampling : int
        Samples per pixel.

    band_limit : float, optional
        Highest spatial frequency that an ePSF can hold, cycles per pixel (see `diffraction.band_limit`).

    radii : tuple of float
        Pixels: the first kernel inside radii[0], the second between radii[1] and radii[2], the third (applied
        twice) beyond radii[3]; linear ramps between (this project's choice).

    orders : tuple of int
        Orders of `low_pass` (this project's choice).

    Returns
    -------
    ndarray, shape (n_fields, n, n)
    """
    n = update.shape[-1]
    offset = (np.arange(n) - n // 2) / oversampling
    r = np.hypot(offset[:, None], offset)
    core, middle, wing = (_separable(update, low_pass(order)) for order in orders)
    wing = _separable(wing, low_pass(orders[2]))
    first, second = _ramp(r, radii[0], radii[1]), _ramp(r, radii[2], radii[3])
    smooth = (1 - first) * core + first * ((1 - second) * middle + second * wing)
    return smooth if band_limit is None else within_band(smooth, band_limit / oversampling)


def center_offsets(psf, oversampling):
    """Return the offset of an ePSF's center by the convention ψ(-½, 0) = ψ(½, 0), and the same in y.

    Parameters
    ----------
    psf : ndarray, shape (n, n)
        ePSF, nominal center at n // 2.

    oversampling : int
        Samples per pixel.

    Returns
    -------
    dx, dy : float
        Position of the center, pixels (Anderson & King 2000).
    """
    step, h = FINER * oversampling, 0.05
    coeff = spline_filter(middle_upsampled(psf, FINER, 2 * step + SPLINE_REACH), order=3, mode="mirror")
    c, dx, dy = coeff.shape[0] // 2, 0.0, 0.0
    half = np.array([0.5, -0.5])
    x, y = np.r_[half, 0, 0, half + h, 0, 0], np.r_[0, 0, half, 0, 0, half + h]
    for _ in range(8):
        at = [c + (dy + y) * step, c + (dx + x) * step]
        pairs = map_coordinates(coeff, at, order=3, mode="mirror", prefilter=False).reshape(4, 2)
        f, g, later_f, later_g = pairs[:, 0] - pairs[:, 1]
        fx, gy = (later_f - f) / h, (later_g - g) / h
        if fx == 0 or gy == 0:
            break
        step_x, step_y = np.clip(-f / fx, -0.2, 0.2), np.clip(-g / gy, -0.2, 0.2)
        dx, dy = dx + step_x, dy + step_y
        if max(abs(step_x), abs(step_y)) < 1e-7:
            break
    return float(dx), float(dy)


def recenter(data, oversampling):
    """Shift every ePSF so that ψ(-½, 0) = ψ(½, 0), and the same in y.

    Parameters
    ----------
    data : ndarray, shape (n_fields, n, n)
        ePSFs.

    oversampling : int
        Samples per pixel.

    Returns
    -------
    centered : ndarray, shape (n_fields, n, n)

    offsets : ndarray, shape (n_fields, 2)
        By how much each was off, pixels (x, y).
    """
    out, offsets = data.copy(), np.zeros((len(data), 2))
    for k, psf in enumerate(data):
        offsets[k] = dx, dy = center_offsets(psf, oversampling)
        if max(abs(dx), abs(dy)) > 1e-6:
            out[k] = moved(psf, -dx * oversampling, -dy * oversampling)
    return out, offsets
