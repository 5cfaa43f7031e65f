"""Build a grid of effective PSFs from dithered exposures (L23 section 3, Methods §1)."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table
from tqdm.auto import tqdm

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.epsf.build.config import BuildConfig
from jwst_hpastrom.epsf.build.convergence import phase_diagram
from jwst_hpastrom.epsf.build.fixed_sources import leave_out_fixed_sources
from jwst_hpastrom.epsf.build.from_optics import better_than_given
from jwst_hpastrom.epsf.build.iterations import FEWEST_STARS, begin, iterate
from jwst_hpastrom.epsf.build.trust import (
    one_phase,
    pixel_phases,
    refuse_one_phase,
    trusted,
    warn_of_few,
    warn_of_phases,
    well_sampled,
)
from jwst_hpastrom.epsf.exchange.given import as_image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps.bright_stars import Job, make_room
from jwst_hpastrom.epsf.stamps.frames import open_frame
from jwst_hpastrom.epsf.wavefront import warn_of_another_filter
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import LinearTransform, Mapping
from jwst_hpastrom.storage import Store

__all__ = ["BuildResult", "build_library"]

log = logging.getLogger("stpipe.hpastrom.epsf")

PHASES_TOLD = 3  # iterations, after which positions change by some hundredths of a pixel

MADE_FOR = "instrument", "detector", "filter"  # without these names fits follow no wavefront


@dataclass(frozen=True)
class BuildResult(Displayed):
    """What `build_library` returns.

    Attributes
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    convergence : `~astropy.table.Table`
        One row an iteration.

    stars : `~astropy.table.Table`
        Every measurement of the last iteration: exposure, star, x, y (fitted), flux, x_err, y_err, dx, dy
        (fitted less predicted by the exposures' mean), used.

    phases : `~astropy.table.Table`
        Pixel-phase diagram (L23 Fig. 1, 3) before and after: phase (bin centers), and for the first and the
        last iteration the number of stars and the median of dx and dy at that phase of x and y.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels of each exposure to the builder's master frame.

    hot_pixels : ndarray of int, shape (n, 2)
        Rows and columns of pixels that shine at every pointing, though not flagged (see
        `~jwst_hpastrom.epsf.build.fixed_sources.leave_out_fixed_sources`).
    """

    library: EPSFLibrary
    convergence: Table
    stars: Table
    phases: Table
    transforms: list
    hot_pixels: np.ndarray

    def __repr__(self):
        return f"<{type(self).__name__}: {self.library!r} after {len(self.convergence)} iterations>"

    def plot(self, ax: Any = None, *, difference: bool = False) -> Any:
        """Draw the library, see `jwst_hpastrom.plot.epsf_grid`."""
        return self.library.plot(ax, difference=difference)


def _opens_later(image):
    """Whether it is a function that reads the image, in the process that needs it."""
    return callable(image) and not hasattr(image, "data")


@configured(BuildConfig)
def build_library(
    images: Sequence[Any],
    to_plane: Sequence[Callable],
    *,
    correction: Mapping | None = None,
    start: EPSFLibrary | None = None,
    made_for: dict | None = None,
    config: BuildConfig,
    checkpoint: Any = None,
    store: Store | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> BuildResult:
    """Build effective PSFs from dithered exposures (L23 section 3).

    Bright isolated stars start at their photocenters; they are cross-identified, averaged over the exposures
    by six-parameter transformations and carried back to each exposure. The pixels around them, less a smooth
    mesh sky and the models of all other stars found, sample the ePSF; the clipped weighted means of the
    residuals about the interpolated model are smoothed and added to it; it is centered and normalized, and
    all stars are fitted anew.

    Parameters
    ----------
    images : sequence of object
        The exposures: `~jwst_hpastrom.epsf.Image`, exposures, data models, NDData or CCDData (see
        `~jwst_hpastrom.epsf.as_image`), or callables returning an Image. Of a subarray's exposures, ``start``
        and ``correction`` are of the full detector, and so is the library returned.

    to_plane : sequence of callable
        Per exposure, (x, y) -> approximate tangent-plane coordinates in pixels, good to about an arcsecond.

    correction : `~jwst_hpastrom.geometry.Mapping`, optional
        Raw to corrected pixels; without it, the polynomial part of ``to_plane`` and a polynomial of the
        builder's own. What is fixed to the detector and left over is learned as a local mean of the residuals
        either way.

    start : `~jwst_hpastrom.epsf.library.EPSFLibrary`, optional
        A library of the same detector and filter, as of another date, to start from. Its field positions are
        kept, and only its difference from the exposures' ePSF is learned, as far as the stars can tell it
        from noise (see `~jwst_hpastrom.epsf.build.start.Difference`); ``grid``, ``choose_grid``, ``refine``
        and ``min_cell_stars`` are not used.

    made_for : dict, optional
        INSTRUME, detector and filter, as in a library's metadata (keys ``instrument``, ``detector``,
        ``filter``): what a model of the optics needs, with which the ePSF follows the wavefront from exposure
        to exposure (see `~jwst_hpastrom.epsf.wavefront`), and what tells its ``band_limit``. Without it, a
        given library's own; else the ePSF is the same in all exposures.

    {options}

    checkpoint : object, optional
        With ``save(state)``, called after each iteration, and ``load()``, which gives the last state saved
        or None (see `~jwst_hpastrom.io.files.checkpoint.Checkpoint`): the build goes on from there.

    store : `~jwst_hpastrom.storage.Store`, optional
        Holds pixels and stamps: in memory as far as its budget goes, the rest in files; without one all are
        in memory. The result is the same.

    executor : `concurrent.futures.Executor`, optional
        Works on the exposures in parallel; the result is the same without.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `BuildResult`

    Raises
    ------
    NotEnoughStarsError
        Fewer than 20 stars to build from.

    ParameterError
        The stars of all exposures take more memory than the store says there is, or parameters do not go
        together.

    DegenerateSolutionError
        Positions keep pixel-phase errors of more than 0.03 pixels.
    """
    images = [i if _opens_later(i) else as_image(i) for i in images]
    x0, y0 = _common_origin(images)
    if (x0 or y0) and start is not None:
        start = start.shifted(-x0, -y0)
    if (x0 or y0) and correction is not None:
        correction = LinearTransform(offset=np.array([x0, y0], float)) | correction
    to_plane = list(to_plane)
    if not images or len(images) != len(to_plane):
        raise ParameterError(
            f"{len(images)} images, {len(to_plane)} plane functions", "as many of each, 1 or more"
        )
    if wrong := [type(plane).__name__ for plane in to_plane if not callable(plane)]:
        raise ParameterError(
            f"a {wrong[0]} in to_plane", "functions of x and y, in pixels",
            "make them of WCSs with jwst_hpastrom.geometry.common_planes; lambda x, y: (x, y) does for one",
        )  # fmt: skip
    config = config.of_filter(made_for or (start.meta if start is not None else {}))
    if start is not None:
        config = config.of_given_library()
    job, store = Job(executor), store or Store()
    frames, hot = _open(job, images, to_plane, config, store)
    run = checkpoint.load() if checkpoint else None
    if run is None:
        if start is not None:
            warn_of_another_filter(start, made_for or start.meta)
        run = begin(job, frames, to_plane, correction, start, config, store)
    else:
        log.info("%d iterations are done", run.it)
        run.averager.base = correction or run.averager.base
        run.stars.reopen(job, frames, store)
    run.made_for, run.fine = made_for, well_sampled(config.band_limit)
    off = None if progress else True
    with tqdm(total=run.n_iterations, initial=run.it, desc="ePSF", disable=off, unit="iteration") as bar:
        while not run.done:
            iterate(job, run, config)
            bar.update()
            if start is None and run.it == PHASES_TOLD:
                refuse_one_phase(run, frames)
            if checkpoint:
                checkpoint.save(run.without(correction))
    kept = start is not None and _kept(job, run, config)
    phaseless = run.fine or kept
    if not (undetermined := one_phase(run)) and not phaseless:
        warn_of_phases(run)
    safe = start if run.followed is None else run.followed  # each star tells the wavefront, dithers or none
    run.library = trusted(run, frames, undetermined, safe)
    if kept or run.library is safe:  # what charge does is known beside it
        charge = config.brighter_fatter
        charge = run.stars.brighter_fatter or run.library.brighter_fatter if charge is None else charge
        run.library = replace(run.library, brighter_fatter=charge)
    if start is None:
        warn_of_few(run.star, run.use)
    result = _result(job, run, frames, hot, phaseless)
    return replace(result, library=result.library.shifted(x0, y0))


def _common_origin(images):
    """Pixel of the full detector that is the first of all images; those that are read later do not tell."""
    origins = sorted({getattr(i, "origin", None) or (0, 0) for i in images})
    if len(origins) > 1:
        raise ParameterError(
            f"images that begin at the detector's pixels {' and '.join(map(str, origins[:2]))}",
            "one subarray, or full frames", "build from each by itself",
        )  # fmt: skip
    return origins[0] if origins else (0, 0)


def _kept(job, run, config):
    """Keep a given library where the stars tell no better one; return whether they did not.

    Its pixel-phase errors are then not these dithers': what these hide did not get into it.
    """
    run.library = better_than_given(job, run, config)
    kept = run.library is run.difference.start or not run.difference.power.any()
    if kept:
        run.rows[-1] |= {f"{axis}_phase_error": np.nan for axis in "xy"}
    return kept


def _open(job, images, to_plane, config, store):
    """Return the exposures with their bright stars, and the hot pixels that are none."""
    frames = [f.put_away(store) for f in job.map(open_frame, images, **config.opening)]
    make_room(frames, store)
    hot, left_out = leave_out_fixed_sources(frames, to_plane, store)
    if left_out:
        log.info(
            "%d bright sources that no other dither confirms are not built from; %d hot pixels",
            left_out,
            len(hot),
        )
    count = [f.bright.size for f in frames]
    log.info("stars to build from: %s", count)
    if sum(count) < FEWEST_STARS:
        raise NotEnoughStarsError(
            f"{sum(count)} bright isolated stars with whole cores in {len(frames)} exposures, "
            f"of {sum(f.x.size for f in frames)} sources",
            f"{FEWEST_STARS}",
            "lower min_sn or isolation, or fit with a given library (epsf_file)",
            frames[0].name if len(frames) == 1 else None,
        )
    return frames, hot


def _result(job, run, frames, hot, phaseless):
    """Measure the stars with the library that is kept, and put all together."""
    stars = run.stars
    stars.fit(job, run.library)
    predicted = run.averager.update(stars.x, stars.y, stars.flux, stars.err)
    made_for = run.made_for or run.library.meta
    meta = {key: made_for[key] for key in MADE_FOR if key in made_for}
    meta |= {"n_exposures": len(frames), "n_stars": int(run.use.sum()), "n_iterations": len(run.rows)}
    # of no account to fine pixels, and to a given ePSF that is kept
    phases = {f"{a}_pixel_phases": pixel_phases(run, a)[0] for a in ("" if phaseless else "xy")}
    return BuildResult(
        replace(run.library, meta=meta),
        Table(run.rows, meta=phases),
        stars.table(run.star, predicted, run.use),
        phase_diagram(run.first, (stars.x, stars.y, predicted), run.use),
        predicted.transforms,
        hot,
    )
