"""All epochs' transformations in one solution: Gaia gives the frame, straight paths hold the epochs."""

import logging
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from scipy.linalg import block_diag

from jwst_hpastrom.configuration import configured
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.motion.gaia_frame.config import PlateSettings
from jwst_hpastrom.motion.gaia_frame.field_motion import hold_by_motions
from jwst_hpastrom.motion.gaia_frame.frame_quality import FrameCovariance
from jwst_hpastrom.motion.gaia_frame.plate_stars import (
    Epochs,
    best_stars,
    designs,
    field_stars,
    reference_stars_terms,
    star_weights,
    time_basis,
    weighted_inverse,
)
from jwst_hpastrom.motion.gaia_frame.reference_choice import measured
from jwst_hpastrom.motion.gaia_frame.reference_mixture import BAD_FACTORS, solve_mixture
from jwst_hpastrom.motion.gaia_frame.reference_terms import reference_table, weighted_terms
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES, fit_motions
from jwst_hpastrom.numerics.polynomials import cubic_of_inverse

__all__ = ["PlateSolution", "add_frame_errors", "solve_plates"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: factors on the catalog's errors: good stars, then bad ones
FACTORS = (1.0, *BAD_FACTORS)
#: sampling of the memberships while the solution still moves
ROUGH = {"n_sweeps": 60, "n_burn": 30}


@dataclass(frozen=True)
class PlateSolution:
    """Transformations of all epochs, from `solve_plates`.

    Attributes
    ----------
    ties : list of `~jwst_hpastrom.motion.gaia_frame.frame_tie.EpochTie`

    covariance : ndarray, shape (2, n_epochs n_terms, n_epochs n_terms)
        Of all their coefficients, mas², East and North; epoch by epoch.

    width : float
        Standard deviation, mas, of the terms above the degree: what the prior took it to be.

    references : `~astropy.table.Table` or None
        Every reference star's difference from the catalog and its membership probability, where asked for.
    """

    ties: list
    covariance: np.ndarray
    width: float
    references: Table | None = None

    def epoch_errors(self, x, y):
        """Errors of the transformations at pixel positions (n, n_epochs), mas; (2, n, n_epochs)."""
        design = designs(self.ties, x, y, np.isfinite(x + y))
        n_terms, out = design.shape[2], np.empty((2, *x.shape))
        for k in range(x.shape[1]):
            s, d = slice(k * n_terms, (k + 1) * n_terms), design[:, k]
            for axis in (0, 1):
                out[axis, :, k] = np.sqrt(np.sum((d @ self.covariance[axis, s, s]) * d, 1))
        return out


def _raised(tie, degree):
    """Give a tie the terms of a higher degree, with zero coefficients."""
    coefficients = np.zeros((2, len(polynomial_terms(degree))))
    coefficients[:, : tie.coefficients.shape[1]] = tie.coefficients
    return replace(tie, degree=degree, coefficients=coefficients)


@configured(PlateSettings)
def solve_plates(
    ties, links, epochs, reference, star, *, config, group=None, offsets=None, log_odds=None, executor=None
):
    """Solve for the transformations of all epochs at once.

    Parameters
    ----------
    ties : list of `~jwst_hpastrom.motion.gaia_frame.frame_tie.EpochTie`
        First transformations.

    links : `~jwst_hpastrom.motion.many_epoch.linking.LinkedStars`

    epochs : ndarray

    reference : `~jwst_hpastrom.motion.gaia_frame.reference.ReferenceStars`

    star : ndarray of int
        Their stars in ``links``.

    group : ndarray of int, optional
        Groups of epochs in which every star has an offset of its own.

    offsets : `~jwst_hpastrom.motion.gaia_frame.angle_offsets.AngleOffsets`, optional
        What is known of these: positions are corrected by the expected ones, the rest is as large as they
        say. Without, offsets are free.

    {options}

    log_odds : ndarray, shape (n_reference,), optional
        Of being bad, from `~jwst_hpastrom.motion.gaia_frame.reference_mixture.quality_log_odds`: the
        reference stars are then a mixture of good and bad ones. Without, all are good.

    executor : `concurrent.futures.Executor`, optional
        For the stars' fits.

    Returns
    -------
    `PlateSolution`

    Raises
    ------
    NotEnoughStarsError
        An epoch with fewer stars that link it to others, or to the catalog, than its polynomials have terms.

    Notes
    -----
    Beyond H25, where every epoch stands on its reference stars alone (0.2-0.5 mas an epoch). Generalized
    least squares: a field star has a free position and motion, and free offsets by group; a reference star
    has Gaia's, with Gaia's covariance as prior, and offsets by group as large as its own fit found, or as a
    measurement's error. What the field stars leave undetermined, a polynomial that is linear in time, is
    the frame: only the reference stars determine it, each with one weight at all epochs. Two epochs are held
    by the reference stars, and by all others as far as their motions stream no more over the field than the
    catalog needs; from three on all stars help, those of few epochs with Student's weights.
    """
    rows = best_stars(links, star, config.max_stars)
    links, star = links.take(rows), np.arange(star.size)
    offsets = None if offsets is None else offsets.take(rows)
    unknowns = _Unknowns.of(links, star, ties, group, config.regularised_degree)
    ties = [_raised(tie, max(config.regularised_degree, tie.degree)) for tie in ties]
    catalog, solved = _Catalog(reference, star, log_odds), _Solved(ties, np.ones((star.size, 1)))
    for step in range(config.n_iterations):
        now = _followed(solved.ties, links, epochs, unknowns, offsets, config.outlier_sigma, executor)
        solved = _solve_once(now, unknowns, catalog, solved, last=step == config.n_iterations - 1)
    log.info(
        "%d stars and %d reference stars hold %d epochs of %d groups; regularised terms have %.3f mas",
        solved.n_field, star.size, len(solved.ties), np.unique(unknowns.group).size, solved.prior.width,
    )  # fmt: skip
    return PlateSolution(solved.ties, solved.covariance, solved.prior.width, solved.references)


class _Unknowns(NamedTuple):
    """What the plates are solved for."""

    #: of every epoch, one where no groups have offsets of their own; models of the stars' fits
    group: np.ndarray
    models: tuple
    #: of all epochs' terms, those above the degree; terms of an epoch up to it
    soft: np.ndarray
    n_hard: int
    #: stars that are no reference stars
    field: np.ndarray

    @classmethod
    def of(cls, links, star, ties, group, regularised_degree):
        n, n_epochs = links.index.shape
        has_group = group is not None and 1 < np.unique(group).size < n_epochs
        group = np.asarray(group) if has_group else np.zeros(n_epochs, int)
        models = ("poly", "group") if has_group else ("poly",)
        degree = ties[0].degree
        terms = polynomial_terms(max(regularised_degree, degree))
        soft = np.tile([i + j > degree for i, j in terms], n_epochs)
        field = np.ones(n, bool)
        field[star] = False
        return cls(group, models, soft, ties[0].coefficients.shape[1], field)


class _Catalog(NamedTuple):
    """The reference stars, their stars in the lists, and the odds that they are bad."""

    reference: Any
    star: np.ndarray
    log_odds: np.ndarray | None


class _Prior(NamedTuple):
    """On the terms above the degree: which they are, what is expected of them, and its standard deviation."""

    soft: np.ndarray
    center: Any
    width: float

    def terms(self, old):
        """Diagonal of its normal matrix, and its right-hand side for changes of the coefficients ``old``."""
        precision = self.soft / self.width**2 if self.soft.any() else np.zeros(self.soft.size)
        return precision, -precision * (old - self.center)


class _Solved(NamedTuple):
    """Transformations so far, the reference stars' memberships, and what went with them."""

    ties: list
    states: np.ndarray
    prior: _Prior | None = None
    covariance: np.ndarray | None = None
    n_field: int = 0
    references: Table | None = None


def _followed(ties, links, epochs, unknowns, offsets, outlier_sigma, executor):
    """All stars at the epochs by the current transformations, with fits of their paths."""
    position, error = measured(links, ties, len(ties))
    if offsets is not None:
        position = position - offsets.shift
    fits = fit_motions(
        epochs, position[0], position[1], error[0], error[1], models=unknowns.models, group=unknowns.group,
        use=links.usable, executor=executor, outlier_sigma=outlier_sigma,
    )  # fmt: skip
    own = None if offsets is None else offsets.spread
    return Epochs(ties, links, epochs, unknowns.group, fits, position, error, own)


def _by_field(now, unknowns, star):
    """Normal matrix and right-hand side by the field stars' paths, and how many stars these are."""
    fits, size = now.fits, unknowns.soft.size
    share = star_weights(fits, now.position, now.error, now.epochs)
    rows = np.flatnonzero(unknowns.field & (share > 0) & (fits.used.sum(1) > 2))
    _unless_enough(fits.used[rows].sum(0) + fits.used[star].sum(0), unknowns.n_hard, now.epochs)
    normal, right = np.zeros((2, size, size)), np.zeros((2, size))
    for first in range(0, rows.size, 5000):
        part = rows[first : first + 5000]
        field_stars(normal, right, part, share[part], now)
    return normal, right, rows.size


def _solve_once(now, unknowns, catalog, solved, last):
    """Coefficients by all stars, given their paths; the last time with the memberships' own uncertainty."""
    ties, states, soft, references = solved.ties, solved.states, unknowns.soft, None
    normal, right, n_field = _by_field(now, unknowns, catalog.star)
    told = reference_stars_terms(normal, right, catalog.reference, catalog.star, now)
    old = np.stack([t.coefficients for t in ties], 1).reshape(2, -1)
    start = 3 * float(np.nanmedian(now.error))
    prior = solved.prior or _Prior(soft, 0.0, start)
    if len(ties) == 2:
        held, pulled, _ = weighted_terms(told, states, FACTORS[: states.shape[1]])
        precision, pull = prior.terms(old)
        movers = np.flatnonzero(unknowns.field & (now.fits.model >= 0))
        hold_by_motions(normal, right, now, movers, (held + np.diag(precision), pulled + pull))
    if catalog.log_odds is not None:
        states = _mixture(normal, right, old, prior, told, catalog.log_odds, **ROUGH).states
    catalog_normal, catalog_right, _ = weighted_terms(told, states, FACTORS[: states.shape[1]])
    total = normal + catalog_normal, right + catalog_right
    solutions = [(*_solve(*total, old, soft, c, start), c) for c in _centers(ties, soft)]
    new, covariance, width, center = min(solutions, key=lambda solution: solution[2])
    prior = _Prior(soft, center, width)
    if catalog.log_odds is not None and last:
        mixture = _mixture(normal, right, old, prior, told, catalog.log_odds)
        new, covariance = old + mixture.change, mixture.covariance
        references = reference_table(
            catalog.reference, catalog.star, told, mixture.change, covariance, mixture.states, FACTORS
        )
    ties = [
        replace(t, coefficients=c)
        for t, c in zip(ties, np.swapaxes(new.reshape(2, len(ties), -1), 0, 1), strict=True)
    ]
    return _Solved(ties, states, prior, covariance, n_field, references)


def _unless_enough(n_linked, n_terms, epochs):
    """Raise where an epoch has too few stars to hold it."""
    worst = int(np.argmin(n_linked))
    if n_linked[worst] < n_terms + 1:
        raise NotEnoughStarsError(
            f"{int(n_linked[worst])} stars that link epoch {epochs[worst]:.4f} to others or to the catalog",
            f"{n_terms + 1}", "lower the degree, or leave the epoch out",
        )  # fmt: skip


def _mixture(normal, right, old, prior, told, log_odds, **sampling):
    """Memberships and frame, given the width of the terms above the degree."""
    precision, pull = prior.terms(old)
    base = normal + np.diag(precision)
    # what nothing but the catalog determines
    scale = np.maximum(np.diagonal(base, axis1=1, axis2=2), 1e-300)
    base = base + 1e-11 * scale[:, :, None] * np.eye(precision.size)
    return solve_mixture(base, right + pull, told, log_odds, **sampling)


def _centers(ties, soft):
    """What the prior may expect of the terms above the degree: nothing, or the inverse of a quadratic map."""
    yield np.zeros((2, soft.size))
    if ties[0].degree > 2 and soft[3:6].sum() == 0 and soft[6:10].all():
        out = np.zeros((2, len(ties), soft.size // len(ties)))
        for k, tie in enumerate(ties):
            out[:, k, 6:10] = cubic_of_inverse(tie.coefficients)
        yield out.reshape(2, -1)


def _solve(normal, right, old, soft, center, width):
    """Coefficients, their covariance, and the prior's width by expectation and maximization."""
    new, covariance = old.copy(), np.empty_like(normal)
    for _ in range(60):
        prior = soft / width**2
        for axis in (0, 1):
            covariance[axis] = np.linalg.inv(normal[axis] + np.diag(prior))
            new[axis] = old[axis] + covariance[axis] @ (right[axis] - prior * (old - center)[axis])
        if not soft.any():
            return new, covariance, 0.0
        variance = np.diagonal(covariance, axis1=1, axis2=2)[:, soft]
        last, width = width, max(float(np.sqrt(np.mean((new - center)[:, soft] ** 2 + variance))), 1e-4)
        if abs(width / last - 1) < 0.01:
            break
    return new, covariance, width


def add_frame_errors(fits, plates, links, error, epochs, group=None, offsets=None):
    """Add what the transformations' errors do to each star's position and motion, less what is common to all.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    plates : `PlateSolution`

    links : `~jwst_hpastrom.motion.many_epoch.linking.LinkedStars`

    error : ndarray, shape (2, n_stars, n_epochs)
        Errors of the lists, mas.

    epochs : ndarray

    group : ndarray of int, optional

    offsets : `~jwst_hpastrom.motion.gaia_frame.angle_offsets.AngleOffsets`, optional
        The positions were corrected by: their errors are added as well.

    Returns
    -------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`
        With the larger covariances.

    shared : ndarray, shape (n, 2)
        What was added to the errors of the motions (in quadrature), mas/yr: neighbors have it in common.

    frame : `~jwst_hpastrom.motion.gaia_frame.frame_quality.FrameCovariance`
        Of the mean displacement of all stars.
    """
    n, k = fits.t0.size, fits.degree + 1
    if group is None or (offsets is None and not (fits.model == MODEL_CODES["group"]).any()):
        group = np.zeros(len(epochs), int)
    fitted = np.flatnonzero(fits.model >= 0)
    epoch = float(np.median(fits.t0[fitted]))
    out, common, shared = fits.covariance.copy(), np.empty((2, 2, 2)), np.full((n, 2), np.nan)
    for axis in (0, 1):
        covariance = plates.covariance[axis]
        if offsets is not None:
            covariance = block_diag(covariance, offsets.covariance[axis])
        mean, effect = np.zeros((2, len(covariance))), np.zeros((n, k, len(covariance)))
        for first in range(0, fitted.size, 2000):
            s = fitted[first : first + 2000]
            effect[s] = _effect(fits, s, axis, plates.ties, links, error[axis], epochs, group, offsets)
        shift = (epoch - fits.t0)[:, None]
        mean[0] = np.mean(effect[fitted, 0] + shift[fitted] * effect[fitted, 1], 0)
        mean[1] = np.mean(effect[fitted, 1], 0)
        common[axis] = mean @ covariance @ mean.T
        effect[fitted, 1] -= mean[1]
        effect[fitted, 0] -= mean[0] - shift[fitted] * mean[1]
        rows = slice(k * axis, k * axis + k)
        for first in range(0, fitted.size, 2000):
            s = fitted[first : first + 2000]
            added = (effect[s] @ covariance) @ np.swapaxes(effect[s], 1, 2)
            out[s, rows, rows] += added
            shared[s, axis] = np.sqrt(added[:, 1, 1])
    return replace(fits, covariance=out), shared, FrameCovariance(epoch, common)


def _effect(fits, stars, axis, ties, links, error, epochs, group, offsets):
    """Derivatives of the stars' polynomial in time by the transformations' coefficients, (n, k, E·T).

    With offsets by their curves' values in addition.
    """
    k, used = fits.degree + 1, fits.used[stars]
    basis = time_basis(epochs, fits.t0[stars], group, fits.degree)
    sigma = np.nan_to_num(error[stars], nan=1.0)
    spread = 1e-3 * np.median(sigma, axis=1) if offsets is None else offsets.spread[axis, stars]
    has = fits.model[stars] == MODEL_CODES["group"]
    spread = np.where(has, np.maximum(np.exp(fits.theta[stars, axis, 0]), spread), spread)
    precision = np.zeros((stars.size, basis.shape[-1], basis.shape[-1]))
    for g in range(k, basis.shape[-1]):
        precision[:, g, g] = spread**-2.0
    operator, _ = weighted_inverse(np.where(used, sigma**-2.0, 0.0), basis, precision)
    design = designs(ties, links.x[stars], links.y[stars], used)
    by_plates = (operator[:, :k, :, None] * design[:, None]).reshape(stars.size, k, -1)
    if offsets is None:
        return by_plates
    return np.concatenate([by_plates, offsets.response(operator[:, :k], stars)], -1)
