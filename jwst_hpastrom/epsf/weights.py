"""What pixels weigh in the last fit of stars, and what the exposure shows beyond its stated errors."""

import logging
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import SKY_NOISE
from jwst_hpastrom.epsf.image import bright_boxes
from jwst_hpastrom.epsf.kernels.crowded import PSFGrid
from jwst_hpastrom.epsf.kernels.light_errors import light_variances
from jwst_hpastrom.numerics import robust_sigma, sigma_about_zero

__all__ = [
    "expected_weights", "learned_weights", "model_error", "sky_excess", "sky_ratio", "warn_of_epsf",
    "wing_light", "with_model_error",
]  # fmt: skip

log = logging.getLogger("stpipe.hpastrom.epsf")

FAINT = 0.3  # standard errors: starlight in pixels that tell how errors follow noise
STRIDE = 3  # every third pixel in x and y tells how errors follow noise
LEAST_SHARE = 0.3  # of a stated variance that is left when its noise is taken out
LEAST_PIXELS = 1000  # without stars, to tell anything
SURE = 3.0  # standard errors from which on something counts
REACH = 2  # pixels: half the box around a star that tells the model's error
MOST_STARS = 600  # the brightest ones; more add nothing
LEAST_STARS = 5  # their 125 pixels tell it to a third; without it bright stars have half their errors
BRIGHT_PIXEL = 30.0  # signal-to-noise ratio of a star's brightest pixel that tells of errors of 0.3 %
NO_STAR = 0.2  # of the flux: larger sums of residuals are those of hot pixels, cosmic rays and galaxies
MEAN_ABSOLUTE = 0.8  # of a standard normal deviate
LEAST_ERROR = 0.003  # of the light: a flat field's; the brightest few pixels must not outvote all others
NO_ERROR = 1e-6  # of the light: a smaller one is none
LARGEST_ERROR = 0.2  # of the light; more than any library of the right filter errs by
POOR_MODEL = 0.03  # of the light; six times what 0.3 % of flat field and unseen neighbors leave
BRIGHT_STAR = 300.0  # signal-to-noise ratio from which an ePSF's errors are to be feared
FEW_BRIGHT = 10  # stars whose median tells
LIMITING = 1.2  # times the error by photons: beyond, the ePSF decides what bright stars are good for
WINGS = 4, 8  # pixels from a star's middle: its core is not there, and its light is still seen
WINGS_SEEN = 5.0  # signal-to-noise ratio of a star's light there that tells
FAR, LIKE = 1.5, 1.2  # factors: errors that are wrong, and that are right
CLIPPED = 2.5  # standard deviations beyond which a pixel tells no more than that
CLIPPED_MEAN = 0.9776  # mean of min(z², CLIPPED²) of a standard normal z


def _starless(pixels, residual, level):
    """Variances and noise of pixels without stars whose errors are like most."""
    cut = (slice(None, None, STRIDE),) * 2
    w, left = pixels.weight[cut], residual[cut]
    dark = (w > 0) & (np.square(pixels.data[cut] - left) * w < FAINT**2)
    v, r = 1 / w[dark].astype(float), (left - level[cut])[dark].astype(float)
    quiet = v < 2 * np.median(v) if v.size else np.zeros(0, bool)
    return v[quiet], r[quiet]


def expected_weights(pixels, residual, level):
    """Weights from the expected instead of the observed light of every pixel.

    The errors of a ramp fit hold the Poisson noise of the pixel's own rate, so that pixels that fluctuated
    down weigh more: fluxes of faint stars come out low, by 0.7 % at a signal-to-noise ratio of 17. How the
    variance follows a pixel's noise is read from pixels without stars; that much of the residual is taken out
    of all. Errors that do not follow the noise stay as they are (this project's choice).

    Parameters
    ----------
    pixels : `Pixels`
        The image.

    residual : ndarray, shape (ny, nx)
        The image with all stars subtracted.

    level : ndarray, shape (ny, nx)
        The sky.

    Returns
    -------
    `Pixels`
        With other weights.
    """
    v, r = _starless(pixels, residual, level)
    if v.size < LEAST_PIXELS:
        return pixels
    core = np.abs(r) < 3 * np.sqrt(np.median(v))
    v, r = v[core], r[core]
    slope = np.cov(v, r)[0, 1] / max(r.var(), 1e-30)
    error = np.sqrt(v.var() / max(r.var() * r.size, 1e-30))
    if not slope > 3 * error:
        return pixels
    share = np.clip(1 - np.float32(slope) * (residual - level) * pixels.weight, LEAST_SHARE, None)
    return replace(pixels, weight=(pixels.weight / share).astype(np.float32))


def sky_excess(pixels, residual, level):
    """Variance of pixels without stars beyond their stated one: 1/f noise, faint stars.

    Parameters
    ----------
    pixels, residual, level
        As in `expected_weights`.

    Returns
    -------
    float
        0 where there is none beyond doubt.
    """
    found, stated, n = _scatter(pixels, residual, level)
    # the variance of a normal scatter's robust estimate is 2.7 times that of the best one
    return found - stated if found - stated > SURE * found * np.sqrt(2 * 2.7 / max(n, 1)) else 0.0


def sky_ratio(pixels, residual, level, name=""):
    """Scatter of pixels without stars over their stated errors.

    Parameters
    ----------
    pixels, residual, level
        As in `expected_weights`.

    name : str
        Of the exposure, for a warning where errors are wrong, or are variances.

    Returns
    -------
    float
        1 where the errors are right; NaN where too few pixels are without stars.
    """
    found, stated, _ = _scatter(pixels, residual, level)
    ratio = np.sqrt(found / stated)
    as_variances = found / np.sqrt(stated)
    if not 1 / FAR < ratio < FAR and 1 / LIKE < as_variances < LIKE:
        log.warning(
            "%s: pixels without stars scatter by %.3g where their errors are %.3g: are these variances? "
            "Give standard errors, their square roots", name, np.sqrt(found), np.sqrt(stated),
        )  # fmt: skip
    elif not SKY_NOISE[0] <= ratio <= SKY_NOISE[1] and np.isfinite(ratio):
        log.warning(
            "%s: pixels without stars scatter by %.3g where their errors are %.3g: %.2g times as much; are "
            "the errors in the unit of the image, and of this image?",
            name, np.sqrt(found), np.sqrt(stated), ratio,
        )  # fmt: skip
    return float(ratio)


def _scatter(pixels, residual, level):
    """Variance of pixels without stars, found and stated, and their number; NaN where they are few."""
    v, r = _starless(pixels, residual, level)
    if v.size < LEAST_PIXELS:
        return np.nan, np.nan, v.size
    return float(sigma_about_zero(r - np.median(r)) ** 2), float(np.median(v)), v.size


def model_error(pixels, residual, library, x, y, flux, sky):
    """Error of the pixels' light in proportion to it: of the flat field and of the ePSF.

    The residuals of bright stars tell it, free of what position and flux take up (this project's choice;
    Anderson's programs put a fixed 1 % in its place).

    Parameters
    ----------
    pixels : `~jwst_hpastrom.epsf.fit.Pixels`

    residual : ndarray, shape (ny, nx)
        The image with all stars subtracted.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    x, y, flux, sky : ndarray, shape (n,)
        The stars; those without flux are left out.

    Returns
    -------
    total : float
        NaN where nothing tells.

    of_pixels : float
        What is left of it in the difference of stars at the same pixel phase: that of the pixels alone. The
        rest is the ePSF's, which moves light within a star and is not in its flux.

    Both are the likeliest values, since few stars prove none that counts.
    """
    peak = library.central_value(library.x.mean(), library.y.mean())
    known = np.where(np.isfinite(sky), flux, np.nan)
    rows, j, i = bright_boxes(pixels.weight, x, y, known, peak, REACH, BRIGHT_PIXEL)
    sigma = 1 / np.sqrt(pixels.weight[j, i])
    off = np.abs(residual[j, i] - sky[rows][:, None, None]) - MEAN_ABSOLUTE * sigma
    star = off.sum((1, 2)) < NO_STAR * flux[rows]
    rows, j, i = rows[star][:MOST_STARS], j[star][:MOST_STARS], i[star][:MOST_STARS]
    if rows.size < LEAST_STARS:
        return np.nan, np.nan
    at = [np.asarray(p, float)[rows][:, None, None] for p in (x, y)]
    psi, by_x, by_y = library.evaluate(i - at[0], j - at[1], *at, gradient=True)
    n = rows.size
    root = np.sqrt(pixels.weight[j, i].astype(float)).reshape(n, -1)
    own = np.stack([psi, by_x, by_y], -1).reshape(n, -1, 3) * root[..., None]
    basis, _ = np.linalg.qr(own)
    free = np.eye(root.shape[1]) - basis @ basis.transpose(0, 2, 1)
    left = (residual[j, i] - sky[rows][:, None, None]).reshape(n, -1) * root
    light = np.square((pixels.data[j, i] - residual[j, i]).reshape(n, -1) * root)
    left = (free @ left[..., None])[..., 0]
    noise, share = np.einsum("npp->np", free), (np.square(free) @ light[..., None])[..., 0]
    total = _share_of_light(np.square(left), noise, share)
    # differences of stars that look alike, each in units of its own light
    phases = cKDTree(np.c_[x[rows] - i[:, 0, REACH], y[rows] - j[:, REACH, 0]])
    one, other = phases.query(phases.data, 2)[1].T
    scale = root * np.asarray(flux, float)[rows][:, None]
    left, noise, share = left / scale, noise / scale**2, share / scale**2
    twins = [np.square(left[one] - left[other]), *(a[one] + a[other] for a in (noise, share))]
    return total, min(_share_of_light(*twins), total)


def _share_of_light(square, noise, share):
    """Robust s of squared residuals with variances noise + s² share."""

    def excess(s2):
        weight = np.square(share / (noise + max(s2, LEAST_ERROR**2) * share))
        z2 = square / np.maximum(noise + s2 * share, 1e-12)
        return np.sum(weight * (np.minimum(z2, CLIPPED**2) - CLIPPED_MEAN)) / np.sum(weight)

    least, s2 = NO_ERROR**2, LARGEST_ERROR**2
    if excess(least) <= 0:
        return 0.0
    if excess(s2) < 0:
        s2 = brentq(excess, least, s2, xtol=0.1 * least, rtol=1e-12)
    return float(np.sqrt(s2))


def learned_weights(pixels, residual, level):
    """Weights of the last fit: of the expected light, with the noise that pixels without stars show.

    Parameters
    ----------
    pixels, residual, level
        As in `expected_weights`.

    Returns
    -------
    `~jwst_hpastrom.epsf.fit.Pixels`
        With other weights, the same ones where the stated errors hold.
    """
    pixels = expected_weights(pixels, residual, level)
    more = np.float32(sky_excess(pixels, residual, level))
    return replace(pixels, weight=pixels.weight / (1 + more * pixels.weight)) if more else pixels


def with_model_error(fit, pixels, residual, library, shares):
    """Add to a fit's variances what an error of the pixels in proportion to their light does to it.

    The fits' weights do not hold that error: stars' cores would lose weight to their wings, where undetected
    neighbors do more harm than a flat field's errors.

    Parameters
    ----------
    fit : `~jwst_hpastrom.epsf.fit.FitResult`

    pixels, residual, library
        As in `model_error`.

    shares : (float, float)
        From `model_error`: the total counts for positions, that of the pixels for fluxes.

    Returns
    -------
    `~jwst_hpastrom.epsf.fit.FitResult`
    """
    total, of_pixels = shares
    if not total > 0:
        return fit
    light = (pixels.data - residual).astype(np.float32)
    more = np.empty((fit.x.size, 4))
    stars = fit.x, fit.y, fit.flux, fit.half_box
    light_variances(pixels.weight, light, PSFGrid.of(library), *stars, fit.n_parameters, more)
    x, y, xy = total**2 * more.T[:3]
    flux_var = fit.flux_var + of_pixels**2 * more[:, 3]
    return replace(fit, x_var=fit.x_var + x, y_var=fit.y_var + y, xy_cov=fit.xy_cov + xy, flux_var=flux_var)


def wing_light(pixels, residual, library, x, y, flux, radius):
    """Light of bright stars a few pixels from their middles, over that of the ePSF there.

    A sky that was taken from a few pixels, as by a median filter, was subtracted with that light.

    Parameters
    ----------
    pixels, residual, library
        As in `model_error`.

    x, y, flux, radius : ndarray, shape (n,)
        Stars, and how far out they are subtracted in ``residual``.

    Returns
    -------
    value, error : float
        Median of the stars, and its standard error; NaN where few tell.
    """
    near, far = WINGS
    ny, nx = residual.shape
    inside = (np.minimum(x, y) >= far) & (x <= nx - 1 - far) & (y <= ny - 1 - far)
    rows = np.flatnonzero(inside & (radius >= far))
    rows = rows[np.argsort(-flux[rows], kind="stable")[:MOST_STARS]]
    if rows.size < FEW_BRIGHT:
        return np.nan, np.nan
    step = np.arange(-far, far + 1)
    at = [np.asarray(c, float)[rows][:, None, None] for c in (x, y)]
    i, j = (np.rint(at[0]).astype(int) + step, np.rint(at[1]).astype(int) + step[:, None])
    away = np.hypot(i - at[0], j - at[1])
    psi = library.evaluate(i - at[0], j - at[1], *at)
    # all around alike: a filter leaves spikes and speckles
    rings = np.rint(2 * away).astype(int).ravel()
    mean = (np.bincount(rings, psi.ravel()) / np.maximum(np.bincount(rings), 1))[rings].reshape(psi.shape)
    weight = pixels.weight[j, i] * ((away >= near) & (away <= far))
    total = np.maximum(weight.sum((1, 2), keepdims=True), 1e-30)
    # each star has a sky of its own
    profile = (mean - (weight * mean).sum((1, 2), keepdims=True) / total) * flux[rows][:, None, None]
    light = psi * flux[rows][:, None, None]
    power, left = ((weight * v * profile).sum((1, 2)) for v in (light, residual[j, i]))
    told = power > WINGS_SEEN * np.sqrt((weight * profile**2).sum((1, 2)))
    if told.sum() < FEW_BRIGHT:
        return np.nan, np.nan
    found = left[told] / power[told]
    return 1 + float(np.median(found)), float(1.25 * robust_sigma(found) / np.sqrt(found.size))


def warn_of_epsf(name, fit, pixels, residual, library, shares):
    """Warn where the ePSF's own errors, and not photons, limit the positions of bright stars.

    The part of the light's error that stars at the same pixel phase have in common is the ePSF's; that of the
    flat field and of neighbors, which no other library would change, is left out.

    Parameters
    ----------
    name : str
        Of the exposure.

    fit : `~jwst_hpastrom.epsf.fit.FitResult`
        Its variances are the photons'.

    pixels, residual, library, shares
        As in `with_model_error`.

    Returns
    -------
    float
        Median ratio of the position errors of stars with a signal-to-noise ratio above 300, with the ePSF's
        errors to without; 1 where nothing tells.
    """
    total, of_pixels = shares
    bright = np.flatnonzero(fit.fitted & (fit.snr > BRIGHT_STAR))
    ratio = 1.0
    if total > of_pixels and bright.size >= FEW_BRIGHT:
        light, more = (pixels.data - residual).astype(np.float32), np.empty((bright.size, 4))
        stars = (np.ascontiguousarray(a[bright]) for a in (fit.x, fit.y, fit.flux, fit.half_box))
        light_variances(pixels.weight, light, PSFGrid.of(library), *stars, fit.n_parameters, more)
        own = (total**2 - of_pixels**2) * (more[:, 0] + more[:, 1])
        ratio = float(np.sqrt(1 + np.nanmedian(own / (fit.x_var + fit.y_var)[bright])))
    if total > POOR_MODEL:
        log.warning(
            "%s: the light of bright stars differs from the ePSF's by %.1f %% a pixel; the stated errors "
            "hold it; an ePSF of these exposures, or perturbed, is better", name, 100 * total,
        )  # fmt: skip
    elif ratio > LIMITING:
        log.warning(
            "%s: the ePSF limits the positions of bright stars (signal-to-noise ratio above %.0f): their "
            "errors are %.1f times those by photons, and the stated errors hold it; more dithers, more stars "
            "or a given ePSF (start_epsf) help", name, BRIGHT_STAR, ratio,
        )  # fmt: skip
    return ratio
