"""Per-epoch transformations, and the rejection of reference stars that contradict the others."""

import logging
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from tqdm.auto import tqdm

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.motion.gaia_frame.frame_quality import common_epoch
from jwst_hpastrom.motion.gaia_frame.frame_tie import formal_errors, resamples, tie_epoch
from jwst_hpastrom.motion.gaia_frame.reference import ReferenceStars
from jwst_hpastrom.motion.star_fits.config import FitMotionsConfig
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES, fit_motions

__all__ = ["Candidates", "choose_reference", "compare_with_reference", "measured", "tie_all"]

log = logging.getLogger("stpipe.hpastrom.motion")


def tie_all(reference, star, links, list_error, epochs, *, degree, counts=None, dropped=None, offsets=None):
    """Fit the transformations of all epochs.

    Parameters
    ----------
    reference : `~jwst_hpastrom.motion.gaia_frame.reference.ReferenceStars`

    star : ndarray of int
        Their stars in ``links``.

    links : `~jwst_hpastrom.motion.many_epoch.linking.LinkedStars`

    list_error : ndarray, shape (2, n_stars, n_epochs)
        Errors of the lists, mas.

    epochs : ndarray

    degree : int

    counts : ndarray, optional
        Bootstrap multiplicities.

    dropped : ndarray of bool, shape (n_reference, n_epochs), optional
        Measurements that take no part.

    offsets : ndarray, shape (2, n_reference, n_epochs), optional
        Known systematic shifts of the reference stars' measurements, mas.

    Returns
    -------
    list of `~jwst_hpastrom.motion.gaia_frame.frame_tie.EpochTie`
    """
    ties = []
    for k, epoch in enumerate(epochs):
        xi, eta, c = reference.at(epoch)
        target = np.stack([xi, eta])
        if offsets is not None:
            target = target + offsets[:, :, k]
        variance = list_error[:, star, k] ** 2
        usable = links.usable[star, k] if dropped is None else links.usable[star, k] & ~dropped[:, k]
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = 1 / (variance + np.stack([c[:, 0, 0], c[:, 1, 1]]))
        weights = np.where(usable & np.isfinite(weights), weights, 0.0)
        variance = np.where(np.isfinite(variance), variance, 0.0)
        try:
            tie = tie_epoch(
                links.x[star, k],
                links.y[star, k],
                target,
                weights,
                variance,
                counts=counts,
                degree=degree,
            )
        except NotEnoughStarsError as err:
            raise err.about(f"epoch {epoch:.4f}") from None
        ties.append(tie)
    return ties


def gaia_factors(reference, epochs):
    """Factors of the covariance between epochs of the reference stars' positions, (n, 2, n_epochs, 2)."""
    out = np.empty((len(reference.xi), 2, len(epochs), 2))
    dt = np.asarray(epochs)[None, :] - reference.epoch[:, None]
    for axis in (0, 1):
        pair = [axis, axis + 2]
        lower = np.linalg.cholesky(reference.covariance[:, pair][:, :, pair])
        out[:, axis, :, 0] = lower[:, 0, 0, None] + dt * lower[:, 1, 0, None]
        out[:, axis, :, 1] = dt * lower[:, 1, 1, None]
    return out


def measured(links, ties, n_epochs):
    """Positions and their list errors on the plane, mas.

    Returns
    -------
    position, error : ndarray, shape (2, n_stars, n_epochs)
    """
    n = len(links.index)
    position, error = np.full((2, n, n_epochs), np.nan), np.full((2, n, n_epochs), np.nan)
    for k, tie in enumerate(ties):
        ok = np.isfinite(links.x[:, k] + links.y[:, k])
        x, y = links.x[ok, k], links.y[ok, k]
        position[:, ok, k] = tie.apply(x, y)
        j = tie.jacobian(x, y)
        variance = np.stack([links.x_err[ok, k], links.y_err[ok, k]], -1) ** 2
        error[:, ok, k] = np.sqrt(np.einsum("nij,nj->in", j**2, variance))
    return position, error


def compare_with_reference(reference, fits):
    """Differences fit − reference and their errors.

    Parameters
    ----------
    reference : `~jwst_hpastrom.motion.gaia_frame.reference.ReferenceStars`

    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    Returns
    -------
    epoch : float
        Common epoch (H25 eq. 12).

    difference, error : ndarray, shape (n, 4)
        East and North position at the common epoch (mas), East and North motion (mas/yr).

    ok : ndarray of bool
    """
    c = reference.covariance
    sigma_g = np.sqrt(np.stack([c[:, 2, 2], c[:, 3, 3]], -1))
    with np.errstate(invalid="ignore"):
        ok = (fits.model >= 0) & np.isfinite(fits.motion_error).all(1)
    t = common_epoch(fits.motion_error[ok], fits.t0[ok], sigma_g[ok], reference.epoch[ok])
    here, e_here = fits.at(t)
    xi, eta, cov = reference.at(t)
    motion = fits.motion - np.stack([reference.pm_xi, reference.pm_eta], -1)
    d = np.c_[here[:, 0] - xi, here[:, 1] - eta, motion]
    e = np.c_[
        np.hypot(e_here, np.sqrt(np.stack([cov[:, 0, 0], cov[:, 1, 1]], -1))),
        np.hypot(fits.motion_error, sigma_g),
    ]
    return t, d, e, ok


def group_shifts(fits, position, variance, group, epochs):
    """Expected group offset of every measurement, mas, (2, n, n_epochs); zero without the model "group"."""
    n = fits.model.size
    out = np.zeros((2, n, len(epochs)))
    for s in np.flatnonzero(fits.model == MODEL_CODES["group"]):
        use = np.flatnonzero(fits.used[s])
        same = group[:, None] == group[None, use]
        for axis in (0, 1):
            a2 = np.exp(2 * fits.theta[s, axis, 0])
            kn = a2 * same[use] + variance[s, axis][np.ix_(use, use)]
            dt = epochs[use] - fits.t0[s]
            k = (fits.degree + 1) * axis
            r = position[axis, s, use] - fits.coefficients[s, k] - fits.coefficients[s, k + 1] * dt
            shift = a2 * same @ np.linalg.solve(kn, r)
            out[axis, s] = shift - np.mean([shift[group == g][0] for g in np.unique(group)])
    return out


def _drop(before, outlying, ties, error):
    """Measurements to leave out: earlier ones that still stand out, and each epoch's worst new one."""
    new = before & outlying
    for k, tie in enumerate(ties):
        fresh = np.flatnonzero(outlying[:, k] & ~before[:, k])
        if fresh.size and new[:, k].sum() < 0.25 * len(new):
            z = np.abs(tie.residuals / (1 - tie.leverage))[:, fresh].max(0) / error[0, fresh, k]
            new[fresh[np.argmax(z)], k] = True
    return new


class Candidates(NamedTuple):
    """Reference stars and what the lists say of them, as `tie_all` takes them."""

    reference: ReferenceStars
    star: np.ndarray
    links: Any  # LinkedStars
    list_error: np.ndarray
    epochs: np.ndarray

    def take(self, rows):
        """Return some of the reference stars, with their stars alone."""
        star = self.star[rows]
        part = self.reference.take(rows), np.arange(len(rows)), self.links.take(star)
        return Candidates(*part, self.list_error[:, star], self.epochs)


@dataclass
class _Known:
    """What refitting has found so far of all candidates: measurements left out, and shifts by group."""

    dropped: np.ndarray
    offsets: np.ndarray

    def of(self, rows):
        return {"dropped": self.dropped[rows], "offsets": self.offsets[:, rows]}


def choose_reference(candidates, *, plates, limit, kinematics, group, factors=None, rng=None, progress=False):
    """Reject reference stars one at a time, worst first, refitting everything in between (H25 §3.1).

    Parameters
    ----------
    candidates : `Candidates`

    plates : `~jwst_hpastrom.motion.gaia_frame.config.PlateModel`
        ``degree``; with ``transformation_errors="bootstrap"``, the ties of the result have ``n_bootstrap``
        samples.

    limit : float
        Largest difference from Gaia in position or motion, in σ.

    kinematics : `~jwst_hpastrom.motion.star_fits.config.Kinematics`

    group, factors : ndarray
        For `fit_motions`.

    rng : `numpy.random.Generator`, optional
        Of the bootstrap samples.

    progress : bool

    Returns
    -------
    kept : ndarray of bool

    ties : list of `EpochTie`
        With the stars kept.

    table : `~astropy.table.Table`
        Every candidate: its differences from Gaia and its largest significance.

    Notes
    -----
    Unlike in H25, each star is compared through transformations without itself (in closed form: residual/(1 −
    leverage)) and with formal errors, because a bad star of small nominal error bends the transformations
    towards itself and widens their bootstrap errors so that it is never found. Single measurements of
    reference stars that are outliers from the star's motion take no part in the ties, and where the models
    have the group offset, the reference stars' own offsets are taken out: else changing weights make them
    drifts of the frame.
    """
    n, n_epochs, degree = candidates.star.size, len(candidates.epochs), plates.degree
    n_terms = (degree + 1) * (degree + 2) // 2
    has_group = "group" in kinematics.models and np.unique(group).size < n_epochs
    small = replace(kinematics, models=("poly", "group")) if has_group else kinematics
    kept, z_out, d_out = np.ones(n, bool), np.full(n, np.nan), np.full((n, 4), np.nan)
    known = _Known(np.zeros((n, n_epochs), bool), np.zeros((2, n, n_epochs)))
    covariances = gaia_factors(candidates.reference, candidates.epochs)
    bar = tqdm(desc="reference stars", unit="fit", disable=None if progress else True)
    while True:
        rows = np.flatnonzero(kept)
        part = candidates.take(rows)
        fits = _settle(part, rows, known, covariances[rows], degree, small, group, factors, bar)
        epoch, d, e, ok = compare_with_reference(part.reference, fits)
        with np.errstate(invalid="ignore"):
            z = np.where(ok, np.max(np.abs(d) / e, axis=1), np.inf)
        z_out[rows], d_out[rows] = z, d
        worst = int(np.argmax(z))
        if not z[worst] > limit:
            break
        if rows.size - 1 < max(n_terms + 1, 6):
            raise NotEnoughStarsError(
                f"{rows.size - 1} reference stars left of {n}",
                f"{max(n_terms + 1, 6)} for polynomials of degree {degree}",
                "use a lower degree, weaker cuts or a larger reference_sigma",
            )
        kept[rows[worst]] = False
    bar.close()
    n_bootstrap = plates.n_bootstrap if plates.transformation_errors == "bootstrap" else 0
    counts = resamples(rows.size, n_bootstrap, n_terms, rng) if n_bootstrap else None
    ties = tie_all(*part, degree=degree, counts=counts, **known.of(rows))
    return kept, ties, _candidate_table(candidates, kept, z_out, d_out, epoch)


def _settle(part, rows, known, covariances, degree, kinematics, group, factors, bar):
    """Refit ties and motions until outliers and group offsets stay as they are; the motions."""
    _, _, own, _, epochs = part
    for _ in range(6):
        bar.update()
        ties = tie_all(*part, degree=degree, **known.of(rows))
        position, error = measured(own, ties, len(epochs))
        for k, tie in enumerate(ties):  # as if each star had not taken part
            position[:, :, k] += tie.residuals - tie.residuals / (1 - tie.leverage)
        covariance, _ = formal_errors(ties, own.x, own.y, covariances, own=np.arange(rows.size))
        fits = fit_motions(
            epochs, *position, *error, config=FitMotionsConfig(kinematics=kinematics),
            group=group, factors=factors, use=own.usable, extra_covariance=covariance,
        )  # fmt: skip
        new = _drop(known.dropped[rows], own.usable & ~fits.used, ties, error)
        same = np.array_equal(new, known.dropped[rows])
        known.dropped[rows] = new
        if "group" in kinematics.models:
            diagonal = np.arange(len(epochs))
            covariance[:, :, diagonal, diagonal] += np.moveaxis(np.nan_to_num(error), 0, 1) ** 2
            shift = group_shifts(fits, position, covariance, group, epochs)
            moved = np.abs(shift - known.offsets[:, rows]).max()
            known.offsets[:, rows] = shift
            same = same and moved < 0.02 * np.nanmedian(error)
        if same:
            break
    return fits


def _candidate_table(candidates, kept, significance, difference, epoch):
    return Table(
        {
            "gaia_row": candidates.reference.row,
            "star": candidates.star,
            "kept": kept,
            "significance": significance,
            "d_xi": difference[:, 0],
            "d_eta": difference[:, 1],
            "d_pm_xi": difference[:, 2],
            "d_pm_eta": difference[:, 3],
        },
        meta={
            "units": "fit without the star − Gaia at the common epoch: mas, mas/yr; significance in σ",
            "compared_at": epoch,
        },
    )
