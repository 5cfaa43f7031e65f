"""Perturb a library to one exposure's own PSF (L23 section 3.2, Methods §1)."""

import logging
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.epsf.brighter_fatter import without_charge
from jwst_hpastrom.epsf.build.smoothing import recenter, smooth_update
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps.drifts import drift_in_stamps
from jwst_hpastrom.epsf.stamps.frames import frame_from_list
from jwst_hpastrom.epsf.stamps.neighbors import refresh_stamps
from jwst_hpastrom.epsf.stamps.samples import (
    RINGS,
    collect_samples,
    fit_in_stamps,
    hat_weights,
    mean_residuals,
    sample_scatter,
)
from jwst_hpastrom.epsf.wavefront import LINEAR, MODES, Drift, modes_of
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.ranges import in_range

__all__ = ["PerturbResult", "perturb_library"]

log = logging.getLogger("stpipe.hpastrom.epsf")

CLIP = 4.0  # standard deviations of a ring's samples: one in 16,000 by chance
RIDGE = 0.1  # as in `build.RIDGE`, larger: one exposure has fewer samples
UNFIT = (
    Flag.SATURATED | Flag.BAD_PIXELS | Flag.NEAR_EDGE | Flag.CROWDED | Flag.NOT_CONVERGED | Flag.FEW_PIXELS
)


@dataclass(frozen=True)
class PerturbResult(Displayed):
    """What `perturb_library` returns.

    Attributes
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        The perturbed library; the one given where there are too few stars.

    table : `~astropy.table.Table`
        A row a zone: x, y (its node), n_stars (sum of bilinear weights), central_before, central_after
        (central value there), qfit_before, qfit_after (medians of its stars; after: with the perturbation
        that the *other* half of the stars gives), gain (share of the perturbation kept at the center).

    perturbed : bool
        Whether the library was changed.
    """

    library: EPSFLibrary
    table: Table
    perturbed: bool


@in_range
def perturb_library(
    image: Image,
    library: EPSFLibrary,
    stars: Table,
    *,
    zones: str = "global",
    n_iterations: int = 6,
    min_zone_stars: int = 30,
    perturb_sn: float = 100.0,
    max_zones: int = 3,
) -> PerturbResult:
    """Perturb a library to the PSF of one exposure.

    First the library follows the exposure's wavefront (see `~jwst_hpastrom.epsf.wavefront`). Then
    residuals of well-measured stars about it, all other stars subtracted, are gridded and smoothed
    as in building and added to the library; stars are fitted again, and so on. The stars are split into two
    halves that are iterated apart: what the halves do not have in common is noise, and their mean
    perturbation is damped, ring by ring, by its share of signal. So a perturbation that the stars cannot
    measure comes out as none.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`
        The exposure.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    stars : `~astropy.table.Table`
        Its star list, fitted with the library (columns x, y, flux, snr or flux_err, flags).

    zones : {"global", "zones"}
        One perturbation for the whole detector, or one at each node of a grid as fine as the stars allow.

    n_iterations : int
        Iterations (this project's choice). More sharpen the core slowly: without dithers the stars' fitted
        positions take part of the noise for signal.

    min_zone_stars : int
        Fewest bright stars of a zone (this project's choice).

    perturb_sn : float
        Smallest signal-to-noise ratio of the stars used (this project's choice).

    max_zones : int
        Most zones along an axis (this project's choice); five leave few stars in an exposure's corners.

    Returns
    -------
    `PerturbResult`

    Raises
    ------
    NotEnoughStarsError
        Fewer than ``min_zone_stars`` stars to perturb with.
    """
    good = _good_stars(stars, perturb_sn, max(min_zone_stars, 10), image.name)
    x, y, flux = (np.asarray(stars[c], float) for c in ("x", "y", "flux"))
    image, library = without_charge(image, library.brighter_fatter), image.local(library)
    finite = np.isfinite(x + y + flux) & (flux > 0)
    frame = frame_from_list(image, x[finite], y[finite], flux[finite], (np.cumsum(finite) - 1)[good])
    nodes = _zone_nodes(frame, zones, min_zone_stars, max_zones)
    (cx, cy, cf, *_), stamps = refresh_stamps(frame, library, detect=False, passes=1, mesh=64)
    n = good.size
    begin = np.stack([cx[:n], cy[:n], cf[:n]])
    seen = _Seen(stamps, frame.slope, begin)
    given, before = library, _qfit(library, *seen)
    library = _followed(library, *seen, image.name)
    followed = before if library is given else _qfit(library, *seen)
    steps = [_zone_nodes(frame, "global", 0, 1)] + ([nodes] if nodes[0].size > 1 else [])
    perturbed, after, gain = _perturbed(library, seen, steps, n_iterations)
    if library is not given and np.nanmedian(after) >= np.nanmedian(followed):
        log.info("%s: what the ePSF changes by beyond the wavefront is not known well enough", image.name)
        perturbed, after, gain = library, followed, 0 * gain
    table = _zone_table(given, perturbed, nodes, begin, before, after, gain)
    log.info(
        "perturbed with %d stars, %d zones: median QFIT %.4f -> %.4f",
        n, len(table), np.nanmedian(before), np.nanmedian(after),
    )  # fmt: skip
    meta = dict(library.meta, perturbed_to=image.name, perturbed_stars=int(n), perturbed_zones=nodes[0].size)
    return PerturbResult(replace(perturbed, meta=meta).shifted(*(image.origin or (0, 0))), table, True)


class _Seen(NamedTuple):
    """What the stars show: stamps, slope of the noise, and their positions and fluxes to begin with."""

    stamps: Any
    slope: Any
    begin: np.ndarray


def _good_stars(stars, least_sn, least, name):
    """Rows of the stars to perturb with."""
    flags = np.asarray(stars["flags"], np.int64) if "flags" in stars.colnames else np.zeros(len(stars), int)
    x, y, flux = (np.asarray(stars[c], float) for c in ("x", "y", "flux"))
    sn = values(stars, "snr") if "snr" in stars.colnames else flux / np.asarray(stars["flux_err"], float)
    good = np.flatnonzero((flags & int(UNFIT) == 0) & (sn >= least_sn) & np.isfinite(x + y + flux))
    if good.size < least:
        raise NotEnoughStarsError(
            f"{good.size} isolated stars of S/N >= {least_sn:g}",
            f"{least} to perturb the ePSF",
            "lower perturb_sn or min_zone_stars, or use perturb=none",
            name or None,
        )
    return good


def _perturbed(library, seen, steps, n_iterations):
    """The library perturbed by what two halves of the stars have in common.

    Returns it, every star's QFIT with the perturbation that the other half gives, and the share of the
    perturbation that was kept.
    """
    half = np.arange(seen.begin.shape[1]) % 2 == 0
    halves, perturbed, gain = [library, library], library, 0.0
    for one in steps:  # the whole detector first, what the zones differ by on top of it
        parts = [_iterate(perturbed, *seen, k, one, n_iterations) for k in (half, ~half)]
        first, second = (p - perturbed.data for p in parts)
        share = _shared(first, second, library.oversampling)
        halves = [_finish(h, h.data + share * d) for h, d in zip(halves, (first, second), strict=True)]
        perturbed = _finish(perturbed, perturbed.data + share * 0.5 * (first + second))
        gain = share if np.isscalar(gain) else gain
    after = np.full(half.size, np.nan)
    for k, others in ((half, halves[1]), (~half, halves[0])):
        after[k] = _qfit(others, *seen)[k]
    return perturbed, after, gain


def _followed(library, stamps, slope, begin, name):
    """Return the library at the exposure's own wavefront; itself where the stars do not tell that."""
    modes, drift = modes_of(library), Drift(np.zeros(MODES))
    for _ in range(2 if modes else 0):
        before, now = drift.nm, modes.change(drift.nm, library)
        at, ok = _fit(now, stamps, slope, begin)
        drift = drift_in_stamps(stamps, now, modes, *at, ok, slope, before)
        if np.linalg.norm(drift.nm - before) < LINEAR:
            break
    if not drift.found:
        return library
    log.info("%s: %s", name, drift)
    changed = modes.change(drift.nm, library)
    return replace(changed, meta=dict(changed.meta, wavefront_nm=drift.nm.tolist()))


def _zone_nodes(frame, zones, least, most):
    ny, nx = frame.data.shape
    x, y = frame.x[frame.bright], frame.y[frame.bright]
    best = (np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2]))
    if zones == "zones":
        for k in range(2, most + 1):
            nodes = (np.linspace(0, nx - 1, k), np.linspace(0, ny - 1, k))
            if hat_weights(nodes, x, y).sum(0).min() < least:
                break
            best = nodes
    return best


def _fit(library, stamps, slope, at):
    out = fit_in_stamps(stamps, library, *at, slope)
    ok = np.isfinite(out[:, 4]) & (out[:, 2] > 0)
    return np.where(ok, out[:, :3].T, at), ok


def _iterate(library, stamps, slope, begin, mine, nodes, n_iterations):
    """EPSFs after adding the smoothed residuals of the stars ``mine``, several times."""
    current, at = library, begin.copy()
    limit, misfit = np.full(RINGS, np.inf), np.full(at.shape[1], np.nan)
    share = hat_weights(nodes, *(a.ravel() for a in np.meshgrid(library.x, library.y)))
    for it in range(n_iterations):
        at, ok = _fit(current, stamps, slope, at)
        use = ok & mine
        known = use & np.isfinite(misfit)
        if known.sum() > 20:
            use &= ~(misfit > np.median(misfit[known]) + 4 * robust_sigma(misfit[known]))
        samples = collect_samples(stamps, current, *at, use, slope, limit, nodes)
        misfit = np.where(use, samples.misfit, misfit)
        if it > 0:  # before the first update the scatter is the library's misfit
            limit = CLIP * sample_scatter(samples.histogram)
        update = smooth_update(mean_residuals(samples, RIDGE, library.oversampling), library.oversampling)
        current = _finish(library, current.data + np.tensordot(share, update, 1))
    return current.data


def _finish(library, data):
    data, _ = recenter(data, library.oversampling)
    return replace(library, data=data).normalized()


def _shared(first, second, oversampling):
    """Share of signal in the mean of two half-sample perturbations, ring by ring (0 ... 1), per ePSF."""
    n = first.shape[-1]
    offset = (np.arange(n) - n // 2) / oversampling
    r = np.hypot(offset[:, None], offset)
    edges = np.array([0, 2.5, 5.0, 8.0, 100.0])
    middle = np.array([2.0, 3.7, 6.5, 10.0])
    gains = np.ones((len(first), middle.size))
    for b in range(middle.size):
        k = (r >= edges[b]) & (r < edges[b + 1])
        signal = np.maximum((first[:, k] * second[:, k]).mean(1), 0.0)
        noise = ((first[:, k] - second[:, k]) ** 2).mean(1) / 4
        gains[:, b] = signal / np.maximum(signal + noise, 1e-300)
    return np.array([np.interp(r, middle, g) for g in gains])


def _qfit(library, stamps, slope, begin):
    """Σ|P - s - zψ|/z over the inner 5 x 5 pixels of every star, fitted with the library."""
    at, ok = _fit(library, stamps, slope, begin)
    x, y, z = at
    k = np.arange(-2, 3)
    px, py = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    jj, ii = py[:, None, None] + k[:, None] + 0 * k, px[:, None, None] + k + 0 * k[:, None]
    data = stamps.clean[
        np.arange(x.size)[:, None, None], jj - stamps.oy[:, None, None], ii - stamps.ox[:, None, None]
    ]
    x, y, z = (a[:, None, None] for a in (x, y, z))
    model = z * library.evaluate(ii - x, jj - y, x, y)
    q = np.nansum(np.abs(data - model), (1, 2)) / z[:, 0, 0]
    return np.where(ok, q, np.nan)


def _zone_table(before, after, nodes, at, qfit_before, qfit_after, gain):
    x, y = (a.ravel() for a in np.meshgrid(*nodes))
    weights = hat_weights(nodes, at[0], at[1])
    home = weights.argmax(1)
    nearest = [
        int(np.argmin(np.abs(before.y - b)) * before.x.size + np.argmin(np.abs(before.x - a)))
        for a, b in zip(x, y, strict=True)
    ]
    middle = gain.shape[-1] // 2

    def median(q, k):
        return float(np.nanmedian(q[home == k])) if (home == k).any() else np.nan

    return Table(
        {
            "x": x,
            "y": y,
            "n_stars": weights.sum(0),
            "central_before": before.central_value(x, y),
            "central_after": after.central_value(x, y),
            "qfit_before": [median(qfit_before, k) for k in range(x.size)],
            "qfit_after": [median(qfit_after, k) for k in range(x.size)],
            "gain": gain[nearest][:, middle, middle],
        }
    )
