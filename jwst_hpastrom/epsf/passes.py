"""Exposure to star list: detection, fits, subtraction of neighbors, repeated."""

import logging
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.epsf.brighter_fatter import undo_beside_lost, without_charge
from jwst_hpastrom.epsf.cores import calibrate_cores
from jwst_hpastrom.epsf.detect import find_stars, peaks, sky_map
from jwst_hpastrom.epsf.exchange.given import as_image, as_library
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
from jwst_hpastrom.epsf.kernels import crowded, star_fit
from jwst_hpastrom.epsf.kernels.crowded import PSFGrid
from jwst_hpastrom.epsf.quality import mark_cosmic_rays, mark_crowded, mark_shapes, useless
from jwst_hpastrom.epsf.star_config import StarFitConfig
from jwst_hpastrom.epsf.summary import errors_follow_light
from jwst_hpastrom.epsf.wavefront import LINEAR, follow, warn_of_given
from jwst_hpastrom.epsf.weights import (
    learned_weights,
    model_error,
    sky_ratio,
    warn_of_epsf,
    wing_light,
    with_model_error,
)

__all__ = ["measure_stars"]

log = logging.getLogger("stpipe.hpastrom.epsf")

MODEL_ERROR = 0.03  # share of the subtracted light that a residual may be wrong by, at most
CAUTION = 2.0  # times the share that bright stars show: an ePSF's errors are alike in neighboring pixels
SUBTRACT_TO = 0.1  # of the sky's noise: fainter wings are left
REACH_OF_CHANGE = 5.0  # pixels within which a star that changed makes its neighbors be fitted again
SETTLED = 0.05  # standard errors: smaller changes count as none
TILE = 128  # pixels
ROWS = 32  # of an image, that are worked on at once: they stay in the cache
CONTRAST = 4.0  # a residual peak over the residual light around it
HALO = 6.0  # pixels around a source
TOO_MANY = 3  # residual peaks that appear at once in the halo of a brighter source are a galaxy's light
BORDER = 2.0  # pixels; nearer to the image's border half of a star's box is missing


@configured(StarFitConfig)
def measure_stars(
    image: Any, library: Any, err: Any = None, mask: Any = None, *, config: StarFitConfig
) -> Table:
    """Find and measure the stars of one exposure.

    Parameters
    ----------
    image : object
        `~jwst_hpastrom.epsf.Image`, exposure, data model, NDData, CCDData or array, see
        `~jwst_hpastrom.epsf.as_image`.

    library : `~jwst_hpastrom.epsf.EPSFLibrary` or a gridded PSF model

    err, mask : ndarray, optional
        Standard errors, and pixels that must not count, of an array.

    {options}

    Returns
    -------
    `~astropy.table.Table`
        Star list, brightest first, columns ``id`` to ``flags`` and ``radxs_err``; of an exposure also
        ``ra dec`` through its WCS, and its metadata.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import EPSFLibrary, measure_stars
    >>> r2 = np.add.outer(np.arange(-40, 41) ** 2, np.arange(-40, 41) ** 2) / 16.0
    >>> library = EPSFLibrary(np.exp(-r2 / 2)[None] / (2 * np.pi), [20], [20])
    >>> y, x = np.mgrid[:40, :40]
    >>> pixels = 1e4 * library.evaluate(x - 20.3, y - 12.1, 20.0, 20.0)
    >>> pixels += np.random.default_rng(1).normal(0, 1, x.shape)
    >>> stars = measure_stars(pixels, library, err=np.ones(x.shape), threshold=10.0)
    >>> stars["x"].round(1).tolist(), stars["y"].round(1).tolist()
    ([20.3], [12.1])
    """
    given, library = image, as_library(library, image)
    meta = getattr(given, "meta", None)
    warn_of_given(library, meta if isinstance(meta, dict) else {})
    threshold, mode, box = config.threshold, config.mode, check_fit_box(config.fit_box)
    seen = as_image(given, err, mask)
    field = _Field(seen, library, box, config.sky_inner, config.sky_outer)
    image = field.image
    field.start(find_stars(image, library, threshold=threshold, sky=field.mesh))
    if mode == "catalog":
        field.measure_sky()
        field.sweep()
    drift = field.follow() if config.follow_wavefront else None
    field.prune(threshold, config.min_separation)
    for _ in range(config.passes if mode == "catalog" else 0):
        if not field.add_from_residuals(threshold):
            break
        field.sweep()
        field.sweep()
        field.prune(threshold, config.min_separation)
    field.measure_sky()
    table = field.final(mode, config.sky)
    ny, nx = image.shape
    listed = np.isfinite(table["flux"]) & np.isfinite(table["x_err"]) & np.isfinite(table["y_err"])
    for p, n in ((table["x"], nx), (table["y"], ny)):
        listed &= (p >= BORDER) & (p <= n - 1 - BORDER)
    table = table[listed]
    table = table[np.argsort(-table["flux"], kind="stable")]
    mark_shapes(table)
    mark_cosmic_rays(table, field.pixels, library)
    mark_crowded(table, config.isolation_radius)
    if config.drop_cosmic_rays:
        table = table[~useless(table)]
    table["id"] = np.arange(len(table))
    table.meta["err_follows_light"] = errors_follow_light(seen, table)
    _tell_origin(image.stated(table), given)
    if drift is not None and drift.found:
        table.meta["wavefront_nm"] = drift.nm.tolist()
    return table


def _tell_origin(table, given):
    """Give the list of an exposure its metadata and, through its WCS, places on the sky."""
    if not (isinstance(getattr(given, "meta", None), dict) and hasattr(given, "to_sky")):
        return
    table.meta.update(given.meta)
    if given.wcs is not None:
        table["ra"], table["dec"] = given.to_sky(table["x"], table["y"])
        table["ra"].unit = table["dec"].unit = "deg"


class _Field:
    """The stars of one exposure and the image with their models subtracted."""

    COLUMNS = (
        "x", "y", "flux", "flux_err", "sky", "sky_err", "saturation", "halves", "fallback", "radius", "moved",
    )  # fmt: skip

    def __init__(self, given, library, half, inner, outer):
        self.image = image = without_charge(given, library.brighter_fatter)
        self.charge, self.library = given.charge, library
        self.half, self.inner, self.outer = half, inner, outer
        self.pixels = Pixels.of(image)
        self.mesh = sky_map(image)
        self.level = self.mesh.image(image.shape)
        self.residual = Pixels(self.pixels.data.copy(), self.pixels.weight, self.pixels.saturated)
        self.faintest = SUBTRACT_TO * float(np.median(self.mesh.sigma))
        self.profile = library.radial_maximum
        self.share = MODEL_ERROR

    def start(self, found):
        """Fit the detections on the image as it is, and subtract them."""
        found = found[self._tiles(found.x, found.y).argsort(kind="stable")]
        self.saturation = found.saturation_radius
        self.halves = half_boxes(self.saturation, self.half)
        self.sky, scatter = self.mesh.at(found.x, found.y)
        self.sky_err = scatter / 8
        fit = fit_positions(
            self.pixels, self.library, found.x, found.y, self.sky, self.sky_err, self.halves, max_shift=2.5
        )
        self.x, self.y = fit.x, fit.y
        self.flux = np.where(fit.fitted & (fit.flux > 0), fit.flux, 0.0)
        self.flux_err = np.sqrt(np.where(fit.fitted, fit.flux_var, np.inf))
        self.fallback, self.moved = np.zeros(len(found), bool), np.ones(len(found), bool)
        self.radius = self._radii(self.flux)
        self._keep(self.flux > 0)
        self._add(-1.0, slice(None))
        self._see_wings()

    def _keep(self, rows):
        for name in self.COLUMNS:
            setattr(self, name, getattr(self, name)[rows])

    def _radii(self, flux):
        """Radius beyond which a star's image is too faint to be subtracted."""
        radius, peak = self.profile
        k = np.searchsorted(-peak, -self.faintest / np.maximum(flux, 1e-30), side="right")
        return radius[np.minimum(k, radius.size - 1)]

    def _add(self, sign, rows):
        stars = (getattr(self, name)[rows] for name in ("x", "y", "flux"))
        add_models(self.residual.data, self.library, *stars, sign, self.radius[rows])

    def follow(self):
        """Let the library follow the exposure's wavefront as far as bright stars tell; return its drift."""
        given, drift = self.library, None
        for _ in range(2):
            stars, before = (self.x, self.y, self.flux, self.sky), drift.nm if drift else 0.0
            drift, library = follow(given, self.pixels, self.residual.data, *stars, since=drift)
            moved = np.linalg.norm(drift.nm - before)
            if not moved:
                break
            self._add(1.0, slice(None))
            self.library, self.profile = library, library.radial_maximum
            self._add(-1.0, slice(None))
            self.moved[:] = True
            self.sweep()
            if moved < LINEAR:
                break
        if drift.found:
            log.info("%s: %s", self.image.name, drift)
        return drift

    def _see_wings(self):
        """Map the light of bright stars that lies beyond the ePSF's border, as an error of the residuals."""
        self.wings = np.zeros(self.image.shape, np.float32)
        radius, peak = self.profile
        border = max(self.library.half_width - 1.5, 0.5)
        level = self.flux * np.interp(border, radius, peak)
        crowded.wing_levels(self.wings, self.x, self.y, level, border, 2 * border, self.faintest)

    def measure_sky(self, rows=slice(None)):
        """Read the annulus skies from the residual image."""
        self.sky[rows], self.sky_err[rows], self.fallback[rows] = local_sky(
            self.residual, self.x[rows], self.y[rows], self.mesh, inner=self.inner, outer=self.outer
        )

    def sweep(self):
        """Fit the stars that need it, each with all the others subtracted, in classes of brightness.

        Those need it that moved in the last sweep, and their neighbors. Within a class the order is that of
        tiles of the image, to stay near what the processor has at hand.
        """
        rows = self.moved.copy()
        if not rows.all():
            pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(REACH_OF_CHANGE, output_type="ndarray")
            rows[pairs[self.moved[pairs].any(1)]] = True
        rows = np.flatnonzero(rows)
        old = self.x[rows].copy(), self.y[rows].copy(), self.flux[rows].copy()
        self._sweep(self._order(rows), update=True)
        with np.errstate(invalid="ignore"):
            error = self.flux_err[rows] / np.maximum(self.flux[rows], 1e-30)
            shift = np.hypot(self.x[rows] - old[0], self.y[rows] - old[1]) / error
            change = np.abs(self.flux[rows] - old[2]) / self.flux_err[rows]
        self.moved[:] = False
        self.moved[rows] = np.isfinite(error) & ((shift > SETTLED) | (change > SETTLED))

    def _order(self, rows):
        brightness = np.floor(-np.log(np.maximum(self.flux[rows], 1e-30)))
        return rows[np.lexsort((self._tiles(self.x[rows], self.y[rows]), brightness))]

    @staticmethod
    def _tiles(x, y):
        """Number of the tile of each position; what is worked on in this order stays in the cache."""
        return (y // TILE) * 1000 + x // TILE

    def _counts(self):
        return crowded.Counts(self.residual.data, self.residual.weight)

    def _sweep(self, order, *, update, fit_sky=False):
        n = 0 if update else self.x.size
        fits, quality = np.empty((n, star_fit.N_OUT)), np.empty((n, crowded.N_QUALITY))
        iterations, tolerance, shift = (8, 1e-3, 0.5) if update else (50, CONVERGED, 1.0)
        stars = crowded.Stars(
            self.x, self.y, self.flux, self.flux_err, self.sky, self.sky_err, self.halves, self.radius
        )
        fitting = crowded.Fitting(fit_sky, iterations, tolerance, shift)
        profile = crowded.Profile(*self.profile, self.faintest)
        crowded.sweep(
            self._counts(), PSFGrid.of(self.library), order, stars, fitting, profile, update, RADXS_RING,
            fits, quality,
        )  # fmt: skip
        return fits, quality

    def prune(self, threshold, separation):
        """Drop stars that are not significant without their neighbors' light, or ran into a brighter one."""
        change = np.empty(self.x.size)
        crowded.flux_changes(
            self._counts(), PSFGrid.of(self.library), self.x, self.y, self.sky, self.half, change
        )
        change[self.saturation > 0] = 0
        keep = self.flux + change > threshold * self._noise()
        pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(separation, output_type="ndarray")
        both = pairs[keep[pairs].all(1)]
        if both.size:
            faint = np.where(self.flux[both[:, 0]] < self.flux[both[:, 1]], both[:, 0], both[:, 1])
            keep[faint] = False
        self._add(1.0, ~keep)
        near, _ = (
            cKDTree(np.c_[self.x, self.y][~keep]).query(np.c_[self.x, self.y]) if not keep.all() else (9e9, 0)
        )
        self.moved |= near < REACH_OF_CHANGE
        self._keep(keep)

    def _noise(self):
        """Standard error of fluxes with the subtraction's own error: what neighbors put under a star."""
        j = np.clip(np.rint(self.y).astype(int), 0, self.image.shape[0] - 1)
        i = np.clip(np.rint(self.x).astype(int), 0, self.image.shape[1] - 1)
        peak = self.profile[1][0]
        others = self.pixels.data[j, i] - self.sky - self.flux * peak
        extra = np.hypot(self.share * np.maximum(others, 0), self.wings[j, i])
        return np.hypot(self.flux_err, extra / peak)

    def learn_shares(self):
        """Return the model's errors in proportion to the light; see `model_error`."""
        stars = self.x, self.y, self.flux, self.sky
        return model_error(self.pixels, self.residual.data, self.library, *stars)

    def add_from_residuals(self, threshold):
        """Add the peaks of the residual image; return how many."""
        self.share = np.fmin(CAUTION * self.learn_shares()[0], MODEL_ERROR)
        good = self.residual.weight > 0
        data, err = self._residuals(good)
        found = peaks(data, err, good, self.image, self.library, threshold, rim=1.0)
        found = found[(found.saturation_radius == 0) & self._stands_out(found, data, good)]
        if len(found) and self.x.size:
            hosts, peaked = cKDTree(np.c_[self.x, self.y]), cKDTree(np.c_[found.x, found.y])
            keep = hosts.query(peaked.data)[0] > 0.8
            for host, near in enumerate(hosts.query_ball_tree(peaked, HALO)):
                if len(near) >= TOO_MANY and (found.flux[near] < self.flux[host]).all():
                    keep[near] = False
            found = found[keep]
        n = len(found)
        level, scatter = self.mesh.at(found.x, found.y)
        added = {
            "x": found.x, "y": found.y, "flux": np.zeros(n), "flux_err": np.full(n, np.inf), "sky": level,
            "sky_err": scatter / 8, "saturation": np.zeros(n), "halves": np.full(n, self.half),
            "fallback": np.ones(n, bool), "radius": self._radii(found.flux), "moved": np.ones(n, bool),
        }  # fmt: skip
        for name, values in added.items():
            setattr(self, name, np.concatenate([getattr(self, name), values]))
        self.measure_sky(slice(self.x.size - n, None))
        return n

    def _residuals(self, good):
        """Residuals less the sky, 0 where not good, and errors that hold those of the light subtracted."""
        data, err = (np.empty(good.shape, np.float32) for _ in range(2))  # one kind of array, compiled once
        noise = np.asarray(self.image.err, np.float32)
        for j in range(0, len(data), ROWS):
            k = slice(j, j + ROWS)
            left = self.residual.data[k]
            data[k] = np.where(good[k], left - self.level[k], 0)
            subtracted = self.share * np.maximum(self.pixels.data[k] - left, 0)
            err[k] = np.sqrt(noise[k] ** 2 + subtracted**2 + self.wings[k] ** 2)
        return data, err

    def _stands_out(self, found, data, good):
        """Whether residual peaks rise above the light around them: a galaxy must not be cut into stars."""
        dj, di = (k.ravel() for k in np.mgrid[-4:5, -4:5])
        ring = (dj**2 + di**2 > 4) & (dj**2 + di**2 <= 16)
        ny, nx = data.shape
        j = np.rint(found.y).astype(int)[:, None] + dj[ring]
        i = np.rint(found.x).astype(int)[:, None] + di[ring]
        j, i = np.clip(j, 0, ny - 1), np.clip(i, 0, nx - 1)
        around = np.median(np.where(good[j, i], data[j, i], 0), axis=1) if len(found) else np.empty(0)
        return found.flux * self.profile[1][0] > CONTRAST * around

    def final(self, mode, sky):
        """Fit once more, on the image as it is or with the neighbors subtracted, and make the table."""
        free = sky == "fit"
        level, data, weight = self.level, self.residual.data, self.pixels.weight
        undo_beside_lost(self.pixels.data, data, weight, level, self.charge, self.library.brighter_fatter)
        ratio = sky_ratio(self.pixels, data, level, self.image.name)
        self.pixels = learned_weights(self.pixels, data, level)
        self.residual = Pixels(self.residual.data, self.pixels.weight, self.pixels.saturated)
        flags = np.where(self.fallback & (not free), int(Flag.SKY_FALLBACK), 0)
        statistics = None
        if mode == "isolated":
            args = self.x, self.y, self.sky, self.sky_err, self.halves
            fit = fit_positions(self.pixels, self.library, *args, fit_sky=free)
        else:
            self.moved[:] = True
            self.sweep()
            rows, statistics = self._sweep(self._order(np.arange(self.x.size)), update=False, fit_sky=free)
            fit = FitResult.of(
                rows, np.sqrt(rows[:, 14]) if free else self.sky_err, self.halves, 4 if free else 3
            )
            pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(self.half + self.outer, output_type="ndarray")
            flags[np.unique(pairs)] |= int(Flag.SUBTRACTED)
        shares = self.learn_shares()
        snr = fit.snr  # stars are bright by their photons, however wrong the ePSF may be
        image = self.pixels, self.residual.data, self.library
        warn_of_epsf(self.image.name, fit, *image, shares)
        fit = calibrate_cores(with_model_error(fit, *image, shares), fit, *image, self.image.name)
        how = {"flags": flags, "box": self.half, "outer": self.outer, "snr": snr}
        table = star_table(self.pixels, self.library, fit, statistics=statistics, **how)
        wings = wing_light(*image, self.x, self.y, self.flux, self.radius)
        names = ("sky_noise_ratio", "light_error", "light_error_pixels", "wing_light", "wing_light_error")
        told = (np.nan, np.nan) if mode == "isolated" else shares  # neighbors are in it
        table.meta |= dict(zip(names, (ratio, *told, *wings), strict=True))
        if np.isfinite(shift := self.library.wing_shift()):
            table.meta["wing_shift"] = shift
        return table
