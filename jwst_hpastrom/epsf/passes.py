"""Exposure to star list: detection, fits, subtraction of neighbours, repeated."""

import logging

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import _field_kernels, _kernels
from jwst_hpastrom.epsf.detect import find_stars, peaks, sky_map
from jwst_hpastrom.epsf.fit import (
    CONVERGED,
    RADXS_RING,
    FitResult,
    Pixels,
    add_models,
    check_fit_box,
    fit_positions,
    half_boxes,
    local_sky,
    star_table,
)
from jwst_hpastrom.epsf.quality import mark_shapes
from jwst_hpastrom.errors import ParameterError

__all__ = ["measure_stars"]

log = logging.getLogger("stpipe.hpastrom.epsf")

MODEL_ERROR = 0.03  # share of the subtracted light that a residual may be wrong by


def measure_stars(
    image,
    library,
    *,
    mode="isolated",
    threshold=5.0,
    fit_box=5,
    sky="annulus",
    sky_inner=8.0,
    sky_outer=12.0,
    passes=3,
    min_separation=1.0,
    isolation_radius=7.0,
    drop_cosmic_rays=True,
):
    """Find and measure the stars of one exposure.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    mode : {"isolated", "catalog"}
        In ``isolated`` mode every star is fitted by itself on the image as it is. In ``catalog`` mode all
        other stars are subtracted first, the fits are repeated until the models agree with each other, and
        stars that appear in the residuals are added.

    threshold : float
        Significance that a detection needs: its flux over the flux's standard error.

    fit_box : int
        Side of the fitted box, pixels, odd.

    sky : {"annulus", "fit"}
        Clipped mean of an annulus with all stars subtracted, or a parameter of the fit.

    sky_inner, sky_outer : float
        Radii of the annulus, pixels.

    passes : int
        Searches for more stars in the residuals, in ``catalog`` mode.

    min_separation : float
        Pixels; of two stars that the fit brings closer together the fainter one is dropped.

    isolation_radius : float
        Pixels; a star with a comparable or brighter one within gets the flag CROWDED.

    drop_cosmic_rays : bool
        Leave out detections that are far too sharp for a star and too faint to be of use; those kept have
        the flag COSMIC_RAY.

    Returns
    -------
    `~astropy.table.Table`
        Star list, brightest first, columns ``id`` to ``flags`` and ``radxs_err``.
    """
    if mode not in ("isolated", "catalog"):
        raise ParameterError(f"mode={mode!r}", "'isolated' or 'catalog'")
    if sky not in ("annulus", "fit"):
        raise ParameterError(f"sky={sky!r}", "'annulus' or 'fit'")
    if not 0 <= sky_inner < sky_outer:
        raise ParameterError(f"sky annulus {sky_inner} to {sky_outer}", "0 <= sky_inner < sky_outer")
    field = _Field(image, library, check_fit_box(fit_box), sky_inner, sky_outer)
    field.start(find_stars(image, library, threshold=threshold, sky=field.mesh))
    field.measure_sky()
    field.sweep()
    field.prune(threshold, min_separation)
    if mode == "catalog":
        for _ in range(passes):
            field.measure_sky()
            if not field.add_from_residuals(threshold):
                break
            field.sweep(2)
            field.prune(threshold, min_separation)
        field.measure_sky()
        field.sweep(2)
        field.prune(threshold, min_separation)
    field.measure_sky()
    table = field.final(mode, sky)
    mark_shapes(table)
    _mark_crowded(table, isolation_radius)
    if drop_cosmic_rays:
        table = table[~_useless(table)]
    table["id"] = np.arange(len(table))
    return table


def _mark_crowded(table, radius):
    """Set CROWDED where a star within ``radius`` has at least a tenth of the light (2.5 mag fainter)."""
    if len(table) < 2:
        return
    x, y, flux = (np.asarray(table[c], float) for c in ("x", "y", "flux"))
    pairs = cKDTree(np.c_[x, y]).query_pairs(radius, output_type="ndarray")
    for a, b in (pairs.T, pairs.T[::-1]):
        hit = a[flux[b] > 0.1 * flux[a]]
        table["flags"][np.unique(hit)] |= int(Flag.CROWDED)


def _useless(table):
    """Detections that are no stars: sharper than any, with residuals like their flux."""
    cosmic = (np.asarray(table["flags"]) & int(Flag.COSMIC_RAY)) > 0
    return cosmic & (np.asarray(table["qfit"]) > 0.5)


def _radial_maximum(library):
    """Return radii, in steps of half a pixel, and the largest |ψ| from each radius outwards."""
    n = library.data.shape[1]
    offset = np.abs(np.arange(n) - n // 2) / library.oversampling
    ring = np.rint(2 * np.hypot(*np.meshgrid(offset, offset))).astype(int).ravel()
    strongest = np.abs(library.data).max(0).ravel()
    peak = np.zeros(ring.max() + 1)
    np.maximum.at(peak, ring, strongest)
    peak = np.maximum.accumulate(peak[::-1])[::-1]
    inside = np.arange(peak.size) / 2 <= library.half_width
    return np.arange(peak.size)[inside] / 2.0, peak[inside]


class _Field:
    """The stars of one exposure and the image with their models subtracted."""

    def __init__(self, image, library, half, inner, outer):
        self.image, self.library, self.half, self.inner, self.outer = image, library, half, inner, outer
        self.pixels = Pixels.of(image)
        self.mesh = sky_map(image)
        self.residual = Pixels(self.pixels.data.copy(), self.pixels.weight, self.pixels.saturated)
        self.noise = float(np.median(self.mesh.sigma))
        self.profile = _radial_maximum(library)

    def start(self, found):
        self.saturation = found.saturation_radius
        self.halves = half_boxes(self.saturation, self.half)
        level, scatter = self.mesh.at(found.x, found.y)
        self.sky, self.sky_err = level, scatter / 8
        self.fallback = np.zeros(len(found), bool)
        fit = fit_positions(
            self.pixels, self.library, found.x, found.y, level, scatter / 8, self.halves, max_shift=2.5
        )
        self.x, self.y = fit.x, fit.y
        self.flux = np.where(fit.fitted & (fit.flux > 0), fit.flux, 0.0)
        self.flux_err = np.sqrt(np.where(fit.fitted, fit.flux_var, np.inf))
        self._keep(self.flux > 0)
        self._sort()
        self.radius = self._radii(self.flux)
        self._add(-1.0, np.ones(self.x.size, bool))

    def _keep(self, rows):
        for name in ("x", "y", "flux", "flux_err", "sky", "sky_err", "saturation", "halves", "fallback"):
            setattr(self, name, getattr(self, name)[rows])

    def _sort(self):
        self._keep(np.argsort(-self.flux, kind="stable"))

    def _radii(self, flux):
        """Radius beyond which a star's image stays below a twentieth of the sky's noise."""
        radius, peak = self.profile
        k = np.searchsorted(-peak, -0.05 * self.noise / np.maximum(flux, 1e-30), side="right")
        return radius[np.minimum(k, radius.size - 1)]

    def _add(self, sign, rows):
        add_models(
            self.residual.data,
            self.library,
            self.x[rows],
            self.y[rows],
            self.flux[rows],
            sign,
            self.radius[rows],
        )

    def measure_sky(self):
        self.sky, self.sky_err, self.fallback = local_sky(
            self.residual, self.x, self.y, self.mesh, inner=self.inner, outer=self.outer
        )

    def sweep(self, times=1):
        """Fit all stars in turn, brightest first, each with all the others subtracted."""
        for _ in range(times):
            self._sweep(update=True)

    def _sweep(self, *, update, fit_sky=False):
        lib, n = self.library, self.x.size
        fits = np.empty((0 if update else n, _kernels.N_OUT))
        quality = np.empty((0 if update else n, _field_kernels.N_QUALITY))
        iterations, tolerance, shift = (8, 1e-3, 0.5) if update else (50, CONVERGED, 1.0)
        _field_kernels.sweep(
            self.residual.data, self.residual.weight, lib.coefficients, lib.x, lib.y, lib.oversampling,
            self.x, self.y, self.flux, self.flux_err, self.sky, self.sky_err, self.halves, self.radius,
            fit_sky, iterations, tolerance, shift, *self.profile, 0.05 * self.noise, update, *RADXS_RING,
            fits, quality,
        )  # fmt: skip
        return fits, quality

    def prune(self, threshold, separation):
        """Drop stars that are no longer significant, or have run into a brighter one."""
        significant = self.flux > threshold * self._noise_of(self.x, self.y, self.flux, self.flux_err)
        keep = significant & np.isfinite(self.flux_err)
        pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(separation, output_type="ndarray")
        if pairs.size:
            both = pairs[keep[pairs].all(1)]
            faint = np.where(self.flux[both[:, 0]] < self.flux[both[:, 1]], both[:, 0], both[:, 1])
            keep[faint] = False
        self._add(1.0, ~keep)
        self.radius = self.radius[keep]
        self._keep(keep)

    def _noise_of(self, x, y, flux, flux_err):
        """Standard error of fluxes with the subtraction's own error: what neighbours put under a star."""
        j = np.clip(np.rint(y).astype(int), 0, self.image.shape[0] - 1)
        i = np.clip(np.rint(x).astype(int), 0, self.image.shape[1] - 1)
        peak = self.profile[1][0]
        neighbours = np.maximum(self.pixels.data[j, i] - self.mesh.at(x, y)[0] - flux * peak, 0)
        return np.hypot(flux_err, MODEL_ERROR * neighbours / peak)

    def add_from_residuals(self, threshold):
        """Add the peaks of the residual image; return how many."""
        good = self.residual.weight > 0
        level = self.mesh.image(self.image.shape)
        data = np.where(good, self.residual.data - level, 0).astype(np.float32)
        subtracted = np.maximum(self.pixels.data - self.residual.data, 0)
        err = np.hypot(np.asarray(self.image.err, np.float32), MODEL_ERROR * subtracted)
        found = peaks(data, err, good, self.image, self.library, threshold)
        found = found[found.saturation_radius == 0]
        if len(found) == 0:
            return 0
        distance, _ = cKDTree(np.c_[self.x, self.y]).query(np.c_[found.x, found.y])
        found = found[distance > 0.8]
        n = len(found)
        if n == 0:
            return 0
        level, scatter = self.mesh.at(found.x, found.y)
        added = {
            "x": found.x, "y": found.y, "flux": np.zeros(n), "flux_err": np.full(n, np.inf), "sky": level,
            "sky_err": scatter / 8, "saturation": np.zeros(n), "halves": np.full(n, self.half),
            "fallback": np.ones(n, bool), "radius": self._radii(found.flux),
        }  # fmt: skip
        for name, values in added.items():
            setattr(self, name, np.concatenate([getattr(self, name), values]))
        return n

    def final(self, mode, sky):
        """Fit once more, on the image as it is or with the neighbours subtracted, and make the table."""
        flags = np.where(self.fallback, int(Flag.SKY_FALLBACK), 0)
        free = sky == "fit"
        if mode == "isolated":
            fit = fit_positions(
                self.pixels, self.library, self.x, self.y, self.sky, self.sky_err, self.halves, fit_sky=free
            )
            statistics = None
        else:
            rows, statistics = self._sweep(update=False, fit_sky=free)
            fit = FitResult.of(rows, np.zeros_like(self.sky) if free else self.sky_err, self.halves)
            pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(self.half + self.outer, output_type="ndarray")
            flags[np.unique(pairs)] |= int(Flag.SUBTRACTED)
        return star_table(
            self.pixels,
            self.library,
            fit,
            statistics=statistics,
            flags=flags,
            box=self.half,
            outer=self.outer,
        )
