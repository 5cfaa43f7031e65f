"""Proper motions from a master frame and a first epoch (L23 §5; Methods §4)."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.columns import values
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import LinearTransform, robust_sigma, sky_axes
from jwst_hpastrom.motion.selection import parse_polygon
from jwst_hpastrom.motion.two_epoch.catalog import motion_table
from jwst_hpastrom.motion.two_epoch.config import TwoEpochConfig
from jwst_hpastrom.motion.two_epoch.epochs import check_baseline, on_one_plane
from jwst_hpastrom.motion.two_epoch.pairs import all_pairs, reference_pairs
from jwst_hpastrom.motion.two_epoch.transformation import local_transformations, tie_epochs
from jwst_hpastrom.motion.two_epoch.zero_point import zero_point, zero_point_surface
from jwst_hpastrom.tables import as_catalog

__all__ = ["TwoEpochMotions", "two_epoch_motions"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: share of a star's own variance that its error keeps, however much of it the transformation shares
LEAST_OWN = 0.25


@dataclass(frozen=True, eq=False)
class TwoEpochMotions(Tabular):
    """Result of `two_epoch_motions`.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Columns of `jwst_hpastrom.columns.MOTION`, and x, y (first-epoch frame), n_local, master_row,
        first_epoch_row.

    transform : `~jwst_hpastrom.geometry.LinearTransform`
        Master frame to first epoch's frame.

    zero_point, zero_point_error : ndarray, shape (2,)
        Absolute minus relative motion in right ascension and declination, mas/yr; NaN without absolute
        motions.

    reference : ndarray of bool
        Rows of the table that defined the transformation.

    local_gain : float
        Scatter of the reference stars' motions with global over that with local transformations; NaN for
        global.

    given : tuple of `~astropy.table.Table`
        The first epoch and the master frame.
    """

    table: Table
    transform: LinearTransform
    zero_point: np.ndarray
    zero_point_error: np.ndarray
    reference: np.ndarray
    local_gain: float
    given: tuple = ()

    def __repr__(self):
        meta = self.table.meta
        what = f"{meta.get('motions', '')} motions over {meta.get('baseline', 0):.2f} yr"
        return (
            f"<{type(self).__name__}: {len(self.table)} {what}, {int(self.reference.sum())} reference stars>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the vector-point diagram, see `jwst_hpastrom.plot.motion_diagram`."""
        return plot.motion_diagram(self.table, ax)


@dataclass(frozen=True)
class Displaced:
    """Displacements of all pairs between the epochs, pixels.

    Attributes
    ----------
    d, variance : tuple of two ndarray
    reference : ndarray of bool
    local : ndarray of bool or None
        Stars with a local transformation.
    n_local : ndarray of int
        Reference stars of the local transformations.
    gain : float
        Factor by which these reduce the reference stars' scatter.
    """

    d: tuple
    variance: tuple
    reference: np.ndarray
    local: Any
    n_local: np.ndarray
    gain: float


@dataclass(frozen=True)
class Moved:
    """Motions of all pairs, mas/yr; arrays of shape (2, n).

    Attributes
    ----------
    relative, pm, error : ndarray
        Relative motions, motions with the zero point, their errors.
    zero, zero_error : ndarray, shape (2,)
    n_zero : int
        Stars of the zero point.
    per_pixel : ndarray, shape (n,)
        mas/yr of a displacement of one pixel.
    tie_error : float
        RMS of what the transformation's error has in the errors; 0 where a surface took it out.
    """

    relative: np.ndarray
    pm: np.ndarray
    error: np.ndarray
    zero: np.ndarray
    zero_error: np.ndarray
    n_zero: int
    per_pixel: np.ndarray
    tie_error: float

    @property
    def absolute(self):
        """Whether there is a zero point."""
        return bool(np.isfinite(self.zero).all())


@configured(TwoEpochConfig)
def two_epoch_motions(master: Any, first_epoch: Any, *, config) -> TwoEpochMotions:
    """Measure proper motions between a catalog (first epoch) and a master frame (second epoch).

    Parameters
    ----------
    master : `~astropy.table.Table` or `~jwst_hpastrom.frame.MasterFrame`
        Columns of `jwst_hpastrom.columns.MASTER`; metadata ``epoch`` and the tangent plane.

    first_epoch : `~astropy.table.Table`
        Catalog: ra, dec (deg), optional ra_error, dec_error (mas), pmra, pmdec, pmra_error, pmdec_error
        (mas/yr, absolute), mag, color; metadata ``epoch``.

    {options}

    Returns
    -------
    `TwoEpochMotions`

    Notes
    -----
    Relative motions are displacements in the first epoch's frame over the baseline, with variance (σ1² + σ2²
    + d C dᵀ)/baseline², C the covariance of the transformation's parameters from the reference stars'
    scatter, own motions included, d their coefficients at the star. Absolute motions add the clipped weighted
    mean of (absolute − relative), whose error is in the metadata and not in the single stars' errors; it
    takes out what the transformation's error has in common, so d counts from its mean over those stars.
    Stars of unknown motion beyond ``match_radius`` are found by a second search among those left over, up to
    ``fast_motion``, by distance and magnitude, as far as no more than a share of them are chance, which the
    same search in a displaced catalog measures (``n_fast``, ``n_fast_false`` in the metadata; column
    ``p_chance``: the share among pairs as good or better); they are flagged ``FAST``.
    Pairs of larger shares, up to 0.8, follow as candidates, flagged ``AMBIGUOUS`` as well
    (``n_fast_ambiguous``). So are pairs of unlike magnitudes, where another star within ``match_radius`` is
    alike: a star that moves far may have a nearer one by chance.
    Linear trends of the motions over the field are
    absorbed by the transformation. Positions in the table are those of the master frame at its own epoch.
    `jwst_hpastrom.checks.check_results` judges them by the catalog's own motions.
    """
    parse_polygon(config.cuts.polygon)  # refused before any work
    master, first_epoch = as_catalog(master, "master frame"), as_catalog(first_epoch, "first epoch")
    for table, what in ((master, "master frame"), (first_epoch, "first epoch")):
        if len(table) == 0:
            raise NotEnoughStarsError("an empty table", "stars of both epochs", "", what)
    radius = config.matching.match_radius
    epochs = on_one_plane(master, first_epoch, config.matching, config.errors)
    rows = reference_pairs(epochs, config.cuts, radius, int(config.transformation.parameters))
    tie = tie_epochs(epochs, rows, config.transformation)
    pairs = all_pairs(epochs, tie, radius, config.fast)
    displaced = _displacements(epochs, tie, pairs, config.transformation)
    moved = _motions(epochs, tie, pairs, displaced, config)
    table = motion_table(epochs, tie, pairs, displaced, moved, config)
    log.info(
        "%d motions, %d reference stars, zero point (%.4f, %.4f) mas/yr",
        len(table),
        tie.rows[0].size,
        *moved.zero,
    )
    return TwoEpochMotions(
        table, tie.fit.transform, moved.zero, moved.zero_error, displaced.reference, displaced.gain,
        (first_epoch, master),
    )  # fmt: skip


def _displacements(epochs, tie, pairs, how):
    """Displacements, less what the nearest reference stars have in common where that is asked for."""
    i, j, *_ = pairs
    d = tuple(f[i] - x[j] for f, x in zip(pairs.uv, tie.xy, strict=True))
    variance = tuple(a[j] ** 2 + b[i] ** 2 for a, b in zip(tie.e1, epochs.e2, strict=True))
    is_reference = np.zeros(len(epochs.master), bool)
    is_reference[tie.rows[0]] = True
    reference = is_reference[i]
    if how.transformation != "local":
        return Displaced(d, variance, reference, None, np.zeros(i.size, int), np.nan)
    at = tuple(f[i] for f in pairs.uv)
    lx, ly, lex, ley, n_used = local_transformations(at, d, reference, variance, tie.intrinsic, how)
    done = np.isfinite(lx)
    before = np.hypot(*(robust_sigma(c[reference & done]) for c in d))
    d = tuple(np.where(done, c - c0, c) for c, c0 in zip(d, (lx, ly), strict=True))
    variance = tuple(np.where(done, v + e**2, v) for v, e in zip(variance, (lex, ley), strict=True))
    gain = float(before / np.hypot(*(robust_sigma(c[reference & done]) for c in d)))
    log.info("local transformations: scatter of the reference stars falls by a factor %.3f", gain)
    return Displaced(d, variance, reference, done, n_used, gain)


def _motions(epochs, tie, pairs, displaced, config):
    """Displacements become motions, relative ones absolute, and the transformation's error is theirs, too."""
    first, plane, sigma = epochs.first, epochs.plane, config.transformation.sigma
    i, j, *_ = pairs
    (dx, dy), f = displaced.d, plane.scale_mas / epochs.baselines[j]
    relative = np.stack([-dx * f, dy * f])
    # from the plane's axes to East and North at the star
    axes = sky_axes(plane, *plane.from_pixels(tie.xy[0][j], tie.xy[1][j]))
    relative = np.einsum("nij,jn->in", np.linalg.inv(axes), relative)
    error = np.stack([np.sqrt(v) * abs(f) for v in displaced.variance])
    absolute = np.stack([values(first, "pmra")[j], values(first, "pmdec")[j]])
    absolute_error = np.stack([values(first, "pmra_error")[j], values(first, "pmdec_error")[j]])
    zero, zero_error, n_zero = zero_point(relative, error, absolute, absolute_error, sigma=sigma)
    has_zero = np.isfinite(zero).all()
    # a varying zero point takes the transformation's error out, and has its own
    varying, tie_error = config.zero_point_degree > 0 and has_zero, 0.0
    if config.errors != "l23" and not varying:
        common = np.isfinite(absolute).all(0) if has_zero else None
        error, tied = (v * abs(f) for v in _with_transformation(epochs, tie, i, displaced, common))
        tie_error = float(np.sqrt(np.mean(tied**2)))
    check_baseline(relative, error, absolute, first.meta.get("catalog"), epochs.t1, epochs.t2)
    pm = relative + zero[:, None] if has_zero else relative
    if varying:
        surface, surface_error = zero_point_surface(
            pairs.uv[0][i], pairs.uv[1][i], relative, error, absolute, absolute_error, zero,
            degree=config.zero_point_degree, sigma=sigma,
        )  # fmt: skip
        pm, error = pm + surface, np.hypot(error, surface_error)
    return Moved(relative, pm, error, zero, zero_error, n_zero, f, tie_error)


def _with_transformation(epochs, tie, i, displaced, common):
    """Errors of displacements with the transformation's, beyond its mean at ``common`` stars, and these."""
    shared = tie.fit.variance(epochs.uv[0][i], epochs.uv[1][i], common)
    if displaced.local is not None:  # the local offsets took it out
        shared = np.where(displaced.local, 0.0, shared)
    own = np.stack(displaced.variance)
    # a reference star's own errors are in the transformation, too, and go with its displacement
    with np.errstate(invalid="ignore", divide="ignore"):
        own_share = own / (own + tie.intrinsic**2)
        shared = np.where(displaced.reference, shared * (1 - 2 * own_share), shared)
    return np.sqrt(np.maximum(own + shared, LEAST_OWN * own)), np.sqrt(np.maximum(shared, 0.0))
