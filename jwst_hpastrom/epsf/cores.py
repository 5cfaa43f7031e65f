"""What the fit of a star without all its core is off by, from stars that have theirs."""

import logging
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.fit import LARGEST_HALF_BOX, RINGS, Pixels, add_models, fit_positions
from jwst_hpastrom.epsf.image import boxes
from jwst_hpastrom.epsf.quality import lost_core
from jwst_hpastrom.numerics.robust import MAD_TO_SIGMA

__all__ = ["calibrate_cores"]

log = logging.getLogger("stpipe.hpastrom.epsf")

SMALLEST = 2  # half width of the square in which a missing pixel matters
APART = 25.0  # pixels between stars whose cores are taken out: their images do not overlap
MOST, FEWEST = 200, 8  # stars that tell; more add nothing, fewer tell no mean
BRIGHT = 100.0  # signal-to-noise ratio of a star that tells, or that is to be told of
WHOLE = 0.97  # of a box's pixels that have weight in a star that tells
CLIP = 4.0  # standard deviations


def calibrate_cores(fit, photons, pixels, residual, library, name=""):
    """Take out of bright stars that lack core pixels what core and wings of this exposure disagree by.

    They are as many pixels off as bright whole stars are when the same pixels are left out: a wavefront that
    differs from the library's moves wings against cores, alike in all stars of an exposure. The scatter of
    those differences beyond their noise is added to the errors (this project's choice). Fewer than eight
    whole stars move nothing: their mean squared difference is added.

    Parameters
    ----------
    fit : `~jwst_hpastrom.epsf.fit.FitResult`
        Of all stars.

    photons : `~jwst_hpastrom.epsf.fit.FitResult`
        The same with the errors of photons alone.

    pixels : `~jwst_hpastrom.epsf.fit.Pixels`

    residual : ndarray, shape (ny, nx)
        The image with all stars subtracted.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    name : str
        Of the exposure, for messages.

    Returns
    -------
    `~jwst_hpastrom.epsf.fit.FitResult`
        The same where there are no such stars.
    """
    groups, core = _without_core(photons, pixels.weight)
    if not groups:
        return fit
    fit = replace(
        fit, **{c: getattr(fit, c).copy() for c in ("x", "y", "flux", "x_var", "y_var", "flux_var")}
    )
    whole = _Whole(photons, pixels, residual, library, ~core)
    n = sum(map(len, groups.values()))
    if whole.rows.size == 0:
        log.warning(
            "%s: no bright star with all its pixels tells how far %d that lack core pixels are off; their "
            "errors are those of noise alone", name, n,
        )  # fmt: skip
        return fit
    moved = []
    for (half, lost), rows in groups.items():
        told = whole.differences(np.frombuffer(lost, bool), half)
        if told is None:
            continue
        for c, (shift, variance) in zip(("x", "y"), told, strict=False):
            getattr(fit, c)[rows] -= shift
            var = getattr(fit, f"{c}_var")
            var[rows] = np.maximum(var[rows], getattr(photons, f"{c}_var")[rows] + variance)
        share, variance = told[2]
        fit.flux[rows] /= 1 + share
        own = photons.flux_var[rows] / (1 + share) ** 2
        fit.flux_var[rows] = np.maximum(fit.flux_var[rows], own + variance * fit.flux[rows] ** 2)
        moved += [(told[0][0], told[1][0], share)] * len(rows)
    if np.any(moved):
        dx, dy, share = np.sqrt(np.mean(np.square(moved), axis=0))
        log.info(
            "%s: %d bright stars that lack core pixels are moved by %.4f %.4f px and %.4f mag (RMS), as "
            "whole stars tell", name, len(moved), dx, dy, 1.0857 * share,
        )  # fmt: skip
    return fit


def _without_core(fit, weight):
    """Bright stars that lack core pixels, by box and missing pixels; and all stars that lack any."""
    core = lost_core({"x": fit.x, "y": fit.y}, weight)
    rows = np.flatnonzero(core & fit.fitted & (np.nan_to_num(fit.snr) > BRIGHT))
    j, i, inside = boxes(fit.x[rows], fit.y[rows], LARGEST_HALF_BOX, weight.shape)
    rows, lost = rows[inside], weight[j, i][inside] == 0
    half = fit.half_box[rows]
    offset = np.abs(np.arange(-LARGEST_HALF_BOX, LARGEST_HALF_BOX + 1))
    # a larger box was taken for a core that reaches to so many rings from its border
    lost &= np.maximum.outer(offset, offset) <= np.maximum(SMALLEST, half - RINGS)[:, None, None]
    groups = {}
    for row, size, pixels in zip(rows, half, lost, strict=True):
        groups.setdefault((int(size), pixels.tobytes()), []).append(row)
    return groups, core


class _Whole:
    """Bright stars with all their pixels, far from one another, on an image without the others."""

    def __init__(self, fit, pixels, residual, library, whole):
        rows = np.flatnonzero(whole & fit.fitted & fit.converged & (np.nan_to_num(fit.snr) > BRIGHT))
        rows = rows[np.argsort(-fit.flux[rows], kind="stable")]
        if rows.size:
            pairs = cKDTree(np.c_[fit.x, fit.y][rows]).query_pairs(APART, output_type="ndarray")
            rows = np.delete(rows, np.unique(pairs.max(axis=1)))  # the fainter of each pair
        j, i, inside = boxes(fit.x[rows], fit.y[rows], LARGEST_HALF_BOX, residual.shape)
        own = pixels.weight[j, i]
        k = np.flatnonzero(inside & ((own > 0).mean((1, 2)) > WHOLE))[:MOST]
        self.rows, self.box, self.own = rows[k], (j[k], i[k]), own[k]
        self.fit, self.library, self.saturated = fit, library, pixels.saturated
        self.data, self.weight = residual.copy(), pixels.weight.copy()
        x, y, flux = (getattr(fit, c)[self.rows] for c in ("x", "y", "flux"))
        add_models(self.data, library, x, y, flux, 1.0, 0.5 * APART)

    def differences(self, lost, half):
        """What leaving out pixels does to x, y and flux (a share): mean, and variance of one more."""
        fit, rows = self.fit, self.rows
        self.weight[self.box] = np.where(lost.reshape(self.own.shape[1:]), 0, self.own)
        image = Pixels(self.data, self.weight, self.saturated)
        start = fit.x[rows], fit.y[rows], fit.sky[rows], fit.sky_err[rows]
        without = fit_positions(image, self.library, *start, half, max_shift=1.0)
        self.weight[self.box] = self.own
        out = []
        for name, unit in (("x", 1.0), ("y", 1.0), ("flux", fit.flux[rows])):
            var, was = (getattr(f, f"{name}_var") for f in (without, fit))
            d = (getattr(without, name) - getattr(fit, name)[rows]) / unit
            v = np.maximum(var - was[rows], 0.01 * var) / np.square(unit)
            ok = without.fitted & without.converged & np.isfinite(d + v)
            if not ok.any():
                return None
            few = ok.sum() < FEWEST
            out.append((0.0, float(np.mean(d[ok] ** 2))) if few else _mean(d[ok], v[ok]))
        return out


def _median(v):
    """Median of a few finite values: `numpy.median` takes ten times as long for them."""
    v = np.sort(v)
    return 0.5 * float(v[(v.size - 1) // 2] + v[v.size // 2])


def _mean(d, v):
    """Mean of values of variances v and a scatter of their own; the variance of one more about it."""
    middle = _median(d)
    for _ in range(5):
        best = v <= _median(v)
        own = max(0.0, (MAD_TO_SIGMA * _median(np.abs(d - middle)[best])) ** 2 - _median(v[best]))
        w = 1 / (v + own)
        z = np.abs(d - middle) * np.sqrt(w)
        keep = z < CLIP * max(1.0, MAD_TO_SIGMA * _median(z))
        d, v, w = d[keep], v[keep], w[keep]
        middle = np.sum(w * d) / w.sum()
    return float(middle), own + float(1 / w.sum())
