"""Star lists of many epochs and Gaia's table become motions in Gaia's frame (H25 §3)."""

import logging
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from tqdm import tqdm

from jwst_hpastrom.columns import MOTION, Flag, make_table
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion.frame_quality import FrameBias, common_epoch, frame_bias
from jwst_hpastrom.motion.frame_tie import resamples, tie_epoch
from jwst_hpastrom.motion.linking import (
    LinkedStars,
    check_lists,
    link_by_name,
    link_by_position,
    register_lists,
)
from jwst_hpastrom.motion.models import MODEL_SETS, MotionFits, fit_motions
from jwst_hpastrom.motion.parallax import parallax_factors
from jwst_hpastrom.motion.reference import (
    ReferenceStars,
    match_reference,
    reference_stars,
    select_gaia,
    sky_axes,
)

__all__ = ["EpochMotions", "fit_epochs"]

log = logging.getLogger("stpipe.hpastrom.motion")


@dataclass(frozen=True)
class EpochMotions:
    """Result of `fit_epochs`.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`, then ``source_name`` (the star's name or number in the
        first list that has it), ``gaia_source_id``, ``acceleration_*`` where fitted.

    epochs : ndarray, shape (n_epochs,)

    xi, eta, xi_error, eta_error : ndarray, shape (n_stars, n_epochs)
        Positions on the tangent plane, mas; the errors include those of the transformation.

    links : `LinkedStars`
        Rows of the lists.

    fits : `MotionFits`
        Models and leave-one-out predictions.

    ties : list of `EpochTie`

    reference : `ReferenceStars`
        The reference stars that were kept, and their stars.

    bias : `~jwst_hpastrom.motion.frame_quality.FrameBias`
        Of the motions and positions against Gaia (H25 eq. 10-12).

    references : `~astropy.table.Table`
        All candidate reference stars: star, differences from Gaia, whether kept.

    plane : `~jwst_hpastrom.geometry.TangentPlane`
    """

    table: Table
    epochs: np.ndarray
    xi: np.ndarray
    eta: np.ndarray
    xi_error: np.ndarray
    eta_error: np.ndarray
    links: LinkedStars
    fits: MotionFits
    ties: list
    reference: ReferenceStars
    bias: FrameBias
    references: Table
    plane: TangentPlane

    def residuals(self):
        """Every measurement and its leave-one-out prediction, as a table, one row a star and epoch."""
        star, epoch = np.nonzero(self.links.index >= 0)
        fits = self.fits
        return Table(
            {
                "id": self.table["id"][star],
                "epoch": self.epochs[epoch],
                "list_row": self.links.index[star, epoch],
                "xi": self.xi[star, epoch],
                "eta": self.eta[star, epoch],
                "xi_error": self.xi_error[star, epoch],
                "eta_error": self.eta_error[star, epoch],
                "loo_residual_ra": self.xi[star, epoch] - fits.loo_mean[star, 0, epoch],
                "loo_residual_dec": self.eta[star, epoch] - fits.loo_mean[star, 1, epoch],
                "loo_error_ra": fits.loo_error[star, 0, epoch],
                "loo_error_dec": fits.loo_error[star, 1, epoch],
                "used": fits.used[star, epoch],
            },
            meta={"units": "mas on the tangent plane, East and North; epochs in Julian years"},
        )


def _groups(lists, group_by):
    if group_by == "none":
        return np.arange(len(lists))
    labels = []
    for table in lists:
        value = table.meta.get(group_by)
        if group_by == "position_angle" and value is not None:
            value = int(np.round((float(value) % 360.0) / 5.0)) % 72  # to five degrees
        labels.append(str(value))
    return np.unique(labels, return_inverse=True)[1]


def _measured(links, ties, n_epochs):
    """Positions and their list errors on the plane, mas, (2, n, n_epochs) each."""
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


def _transformation_covariance(links, ties, n_epochs, full):
    """Bootstrap errors at every star: σ (2, n, n_epochs), and with ``full`` the covariance between epochs."""
    n = len(links.index)
    sigma = np.full((2, n, n_epochs), np.nan)
    covariance = np.zeros((n, 2, n_epochs, n_epochs)) if full else None
    for first in range(0, n, 2000):
        s = slice(first, min(first + 2000, n))
        deviation = np.zeros((len(ties[0].samples), 2, s.stop - first, n_epochs))
        for k, tie in enumerate(ties):
            ok = np.isfinite(links.x[s, k] + links.y[s, k])
            deviation[:, :, ok, k] = tie.scatter(links.x[s, k][ok], links.y[s, k][ok])
        scale = 1 / max(deviation.shape[0] - 1, 1)
        sigma[:, s] = np.sqrt((deviation**2).sum(0) * scale)
        if full:
            covariance[s] = np.einsum("bank,banl->nakl", deviation, deviation, optimize=True) * scale
    return sigma, covariance


def _tie_all(reference, star, links, list_error, epochs, counts, degree):
    ties = []
    for k, epoch in enumerate(epochs):
        xi, eta, c = reference.at(epoch)
        x = np.where(links.usable[star, k], links.x[star, k], np.nan)
        variance = list_error[:, star, k] ** 2 + np.stack([c[:, 0, 0], c[:, 1, 1]])
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.nan_to_num(1 / variance)
        try:
            ties.append(tie_epoch(x, links.y[star, k], xi, eta, weights, counts, degree=degree))
        except NotEnoughStarsError as err:
            raise err.about(f"epoch {epoch:.4f}") from None
    return ties


def _subset(links, rows):
    return LinkedStars(
        *(getattr(links, n)[rows] for n in ("index", "x", "y", "x_err", "y_err", "mag", "usable"))
    )


def _compare(reference, fits):
    """Differences fit − Gaia and their errors for position (at the common epoch) and motion, (n, 4)."""
    c = reference.covariance
    sigma_g = np.sqrt(np.stack([c[:, 2, 2], c[:, 3, 3]], -1))
    with np.errstate(invalid="ignore"):
        ok = (fits.model >= 0) & np.isfinite(fits.motion_error).all(1)
    t = common_epoch(fits.motion_error[ok], fits.t0[ok], sigma_g[ok], reference.epoch[ok])
    here, e_here = fits.at(t)
    xi, eta, cov = reference.at(t)
    d = np.c_[
        here[:, 0] - xi, here[:, 1] - eta, fits.motion - np.stack([reference.pm_xi, reference.pm_eta], -1)
    ]
    e = np.c_[
        np.hypot(e_here[:, 0], np.sqrt(cov[:, 0, 0])),
        np.hypot(e_here[:, 1], np.sqrt(cov[:, 1, 1])),
        np.hypot(fits.motion_error, sigma_g),
    ]
    return t, d, e, ok


def fit_epochs(
    epoch_lists,
    gaia,
    *,
    models="auto",
    match="position",
    ra_ref=None,
    dec_ref=None,
    pixel_scale_mas=None,
    degree=2,
    n_bootstrap=100,
    transformation_errors="covariance",
    reference_sigma=5.0,
    bright_limit=None,
    reference_parallax=False,
    reference_radius_mas=30.0,
    params_solved=31,
    allow_duplicated=False,
    min_parallax_over_error=-10.0,
    max_excess_noise_sig=2.0,
    max_ruwe=1.4,
    min_g_mag=13.0,
    group_by="position_angle",
    fit_parallax=False,
    acceleration=False,
    outlier_sigma=5.0,
    probability=0.997,
    group_probability=0.5,
    max_motion=15.0,
    max_mag_difference=1.0,
    min_epochs=2,
    rng=None,
    executor=None,
    progress=False,
):
    """Make proper motions in Gaia's frame from star lists of many epochs.

    Parameters
    ----------
    epoch_lists : list of `~astropy.table.Table`
        One an epoch: ``x y x_err y_err`` (pixels), ``mag``; meta ``epoch`` (Julian year), and where known
        ``position_angle`` (degrees), ``pixel_scale_mas``, ``x_ref y_ref ra_ref dec_ref``.

    gaia : `~astropy.table.Table`
        Gaia's columns and units.

    models : {"auto", "h25", "linear"}
        Kinematic models: `~jwst_hpastrom.motion.models.MODEL_SETS`.

    match : {"position", "name"}
        How stars are cross-identified; names are an identity only with "name".

    ra_ref, dec_ref : float, optional
        Tangent point, degrees; by default from the lists, else the middle of the Gaia stars.

    pixel_scale_mas : float, optional
        Pixel scale of lists that do not say; without it the scale is searched for.

    degree : int
        Degree of the polynomials from pixels to Gaia's frame.

    n_bootstrap : int
        Bootstrap samples of the reference stars.

    transformation_errors : {"covariance", "diagonal"}
        Treat an epoch's transformation error as correlated with the other epochs', as the bootstrap finds it
        (reference stars with a wrong motion bend all epochs together), or as independent, as H25 does.

    reference_sigma : float
        Reference stars further than this from Gaia in position or motion go, worst first.

    bright_limit : float, optional
        Reference stars brighter than this in the lists go (H25: 13, against saturation).

    reference_parallax : bool
        Move the reference stars along their parallactic ellipses.

    reference_radius_mas : float
        Largest distance of a Gaia star from its star in the list.

    params_solved : int
        Required ``astrometric_params_solved``; 0 takes any.

    allow_duplicated : bool
        Take Gaia stars with ``duplicated_source``.

    min_parallax_over_error : float
        Least ``parallax_over_error``.

    max_excess_noise_sig : float
        Largest ``astrometric_excess_noise_sig``.

    max_ruwe : float
        ``ruwe`` must be below.

    min_g_mag : float
        ``phot_g_mean_mag`` must be above.

    group_by : str
        Metadata whose equal values share an unknown offset: position_angle (to 5 degrees), any other key,
        or none.

    fit_parallax : bool
        Fit a parallax to every star.

    acceleration : bool
        Fit a second-order polynomial to every star.

    outlier_sigma : float
        Measurements further than this from their leave-one-out prediction go; 0 keeps all.

    probability : float
        A model replaces the straight line if its ELPD is higher by ln(p/(1 − p)).

    group_probability : float
        The same for the group offset.

    max_motion : float
        Largest motion relative to the field, mas/yr, in the search for a star in other lists.

    max_mag_difference : float
        Largest difference of a star's magnitude from its mean, in that search.

    min_epochs : int
        Stars found in fewer epochs are left out.

    rng : `numpy.random.Generator`, optional
        Of the bootstrap; by default seeded with 1.

    executor : `concurrent.futures.Executor`, optional
        For the stars' fits.

    progress : bool
        Show progress bars.

    Returns
    -------
    `EpochMotions`

    Raises
    ------
    NotEnoughStarsError, NoOverlapError, BadCatalogError, DegenerateSolutionError
        Named by cause, with the list's name where it is one list's.

    Notes
    -----
    Stars with zero or non-finite errors in a list lose that epoch and are flagged ``BAD_ERRORS``; with
    fewer than five epochs they get a weighted straight line, flagged ``LINEAR_FIT``; rejected epochs are
    flagged ``REJECTED_EPOCHS``; reference stars ``REFERENCE``. ``pmra_rel`` is the motion relative to the
    mean of the reference stars' own motions, the same for all.
    """
    rng = np.random.default_rng(1) if rng is None else rng
    lists, epochs = check_lists(list(epoch_lists))
    keep = select_gaia(
        gaia,
        params_solved=params_solved,
        allow_duplicated=allow_duplicated,
        min_parallax_over_error=min_parallax_over_error,
        max_excess_noise_sig=max_excess_noise_sig,
        max_ruwe=max_ruwe,
        min_g_mag=min_g_mag,
    )
    plane = _tangent_plane(lists, gaia, keep, ra_ref, dec_ref)
    reference = reference_stars(gaia, keep, plane, use_parallax=reference_parallax)
    if len(reference.xi) < 6:
        raise NotEnoughStarsError(
            f"{len(reference.xi)} Gaia stars after the cuts (of {len(gaia)})", "6", "weaken the cuts"
        )

    mappings, anchor, _ = register_lists(lists, degree=degree, pixel_scale_mas=pixel_scale_mas)
    meta, table = lists[anchor].meta, lists[anchor]
    scaled = bool(meta.get("pixel_scale_mas") or pixel_scale_mas)
    column = {
        c: np.ma.filled(np.ma.asarray(table[c], float), np.nan)
        for c in ("x", "y", "mag")
        if c in table.colnames
    }
    i, j, to_plane = match_reference(
        reference,
        epochs[anchor],
        mappings[anchor],
        column["x"],
        column["y"],
        column.get("mag"),
        oriented=meta.get("position_angle") is not None,
        scaled=scaled,
        degree=degree,
        radius_mas=reference_radius_mas,
    )
    if match == "name":
        links = link_by_name(lists)
    else:
        j0 = to_plane.jacobian(np.nanmedian(column["x"]), np.nanmedian(column["y"]))
        j1 = mappings[anchor].jacobian(np.nanmedian(column["x"]), np.nanmedian(column["y"]))
        unit = float(np.sqrt(abs(np.linalg.det(j0) / np.linalg.det(j1))))
        links = link_by_position(
            lists,
            epochs,
            mappings,
            anchor,
            unit,
            max_motion=max_motion,
            max_mag_difference=max_mag_difference,
        )
    links = _subset(links, (links.index >= 0).sum(1) >= min(min_epochs, len(lists)))
    if len(links.index) == 0:
        raise NotEnoughStarsError(f"no star in {min_epochs} epochs", f"stars found in {min_epochs} or more")
    log.info("%d stars in %d or more of %d epochs", len(links.index), min_epochs, len(lists))

    # The star of each reference star is the one that owns the matched entry of the anchor.
    owner = np.full(len(table), -1)
    has = links.index[:, anchor] >= 0
    owner[links.index[has, anchor]] = np.flatnonzero(has)
    star = owner[j]
    reference, star = reference.take(i[star >= 0]), star[star >= 0]
    if bright_limit is not None:
        with np.errstate(invalid="ignore"):
            bright = np.nanmedian(links.mag[star], 1) < bright_limit
        reference, star = reference.take(~bright), star[~bright]

    groups = _groups(lists, group_by)
    factors = parallax_factors(epochs, plane.ra, plane.dec) if fit_parallax else None
    settings = {
        "models": models,
        "group": groups,
        "factors": factors,
        "acceleration": acceleration,
        "outlier_sigma": outlier_sigma,
        "probability": probability,
        "group_probability": group_probability,
    }
    # Errors of the lists in mas, from the approximate registration; the ties need them as weights.
    scale = np.sqrt(
        abs(np.linalg.det(to_plane.jacobian(np.nanmedian(column["x"]), np.nanmedian(column["y"]))))
    )
    ratio = [
        np.sqrt(abs(np.linalg.det(m.jacobian(np.nanmedian(t["x"]), np.nanmedian(t["y"])))))
        for m, t in zip(mappings, lists, strict=True)
    ]
    pixel = scale * np.array(ratio) / ratio[anchor]
    list_error = np.stack([links.x_err, links.y_err]) * pixel
    full = transformation_errors == "covariance"
    kept, table_of = _choose_reference(
        reference,
        star,
        links,
        list_error,
        epochs,
        degree,
        n_bootstrap,
        rng,
        settings,
        full,
        reference_sigma,
        progress,
    )
    reference, star = reference.take(kept), star[kept]
    counts = resamples(len(star), n_bootstrap, (degree + 1) * (degree + 2) // 2, rng)
    ties = _tie_all(reference, star, links, list_error, epochs, counts, degree)
    fits, position, error = _fit(links, ties, epochs, settings, full, executor, progress)

    t_common, d, e, ok = _compare(reference, _rows(fits, star))
    bias = frame_bias(d[ok], e[ok], t_common)
    out = _table(lists, epochs, links, fits, plane, reference, star, bias, gaia, models)
    out.meta["frame_bias_pm_mas_yr"] = [float(v) for v in bias.motion]
    out.meta["frame_bias_pm_error_mas_yr"] = [float(v) for v in bias.motion_error]
    out.meta["frame_bias_position_mas"] = [float(v) for v in bias.position]
    out.meta["frame_bias_position_error_mas"] = [float(v) for v in bias.position_error]
    log.info(
        "%d reference stars of %d; frame bias (%.4f ± %.4f, %.4f ± %.4f) mas/yr, "
        "(%.3f ± %.3f, %.3f ± %.3f) mas at %.3f",
        kept.sum(),
        kept.size,
        *(v for pair in zip(bias.motion, bias.motion_error, strict=True) for v in pair),
        *(v for pair in zip(bias.position, bias.position_error, strict=True) for v in pair),
        bias.epoch,
    )
    return EpochMotions(
        out,
        epochs,
        position[0],
        position[1],
        error[0],
        error[1],
        links,
        fits,
        ties,
        reference,
        bias,
        table_of,
        plane,
    )


def _tangent_plane(lists, gaia, keep, ra_ref, dec_ref):
    for table in lists:
        ra_ref = table.meta.get("ra_ref") if ra_ref is None else ra_ref
        dec_ref = table.meta.get("dec_ref") if dec_ref is None else dec_ref
    if ra_ref is None or dec_ref is None:
        ra, dec = np.asarray(gaia["ra"], float)[keep], np.asarray(gaia["dec"], float)[keep]
        turned = (ra - ra[0] + 180.0) % 360.0 - 180.0  # a field may straddle 0 h
        ra_ref, dec_ref = (ra[0] + np.median(turned)) % 360.0, np.median(dec)
    return TangentPlane(float(ra_ref), float(dec_ref))


def _fit(links, ties, epochs, settings, full, executor=None, progress=False):
    position, error = _measured(links, ties, len(epochs))
    sigma, covariance = _transformation_covariance(links, ties, len(epochs), full)
    total = np.hypot(error, sigma)
    used = error if full else total
    fits = fit_motions(
        epochs,
        position[0],
        position[1],
        used[0],
        used[1],
        use=links.usable,
        extra_covariance=covariance,
        executor=executor,
        progress=progress,
        **settings,
    )
    return fits, position, total


def _rows(fits, rows):
    names = (
        "model",
        "t0",
        "coefficients",
        "covariance",
        "elpd",
        "chi2_loo",
        "theta",
        "used",
        "loo_mean",
        "loo_error",
    )
    return MotionFits(*(getattr(fits, n)[rows] for n in names), fits.degree, fits.has_parallax)


def _choose_reference(
    reference, star, links, list_error, epochs, degree, n_bootstrap, rng, settings, full, limit, progress
):
    """One-at-a-time rejection of reference stars, worst first, refitting everything in between."""
    n, n_terms = star.size, (degree + 1) * (degree + 2) // 2
    kept, z_out, d_out = np.ones(n, bool), np.full(n, np.nan), np.full((n, 4), np.nan)
    all_counts = resamples(n, n_bootstrap, n_terms, rng)
    bar = tqdm(desc="reference stars", unit="fit", disable=not progress)
    while True:
        bar.update()
        rows = np.flatnonzero(kept)
        counts = all_counts[:, rows] if kept.all() else resamples(rows.size, n_bootstrap, n_terms, rng)
        part = _subset(links, star[rows])
        ties = _tie_all(reference.take(rows), star[rows], links, list_error, epochs, counts, degree)
        fits, _, _ = _fit(part, ties, epochs, settings, full)
        _, d, e, ok = _compare(reference.take(rows), fits)
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
    table = Table(
        {
            "gaia_row": reference.row,
            "star": star,
            "kept": kept,
            "significance": z_out,
            "d_xi": d_out[:, 0],
            "d_eta": d_out[:, 1],
            "d_pm_xi": d_out[:, 2],
            "d_pm_eta": d_out[:, 3],
        },
        meta={
            "units": "fit − Gaia at the common epoch, mas and mas/yr; significance: the largest in units of σ"
        },
    )
    return kept, table


def _table(lists, epochs, links, fits, plane, reference, star, bias, gaia, models):
    n = len(links.index)
    xi, eta = fits.position.T / 1e3
    ra, dec = plane.to_sky(xi, eta)
    back = np.linalg.inv(sky_axes(plane, np.nan_to_num(xi), np.nan_to_num(eta)))
    motion = np.einsum("nij,nj->ni", back, fits.motion)
    covariance = back @ fits.motion_covariance @ np.swapaxes(back, 1, 2)
    pos_cov = back @ fits.block(0, fits.degree + 1) @ np.swapaxes(back, 1, 2)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    pos_error = np.sqrt(np.diagonal(pos_cov, axis1=1, axis2=2))
    flags = np.zeros(n, np.int64)
    n_used, n_found = fits.used.sum(1), (links.index >= 0).sum(1)
    n_bad = ((links.index >= 0) & ~links.usable).sum(1)
    flags[n_used < 5] |= Flag.LINEAR_FIT
    flags[n_bad > 0] |= Flag.BAD_ERRORS
    flags[links.usable.sum(1) > n_used] |= Flag.REJECTED_EPOCHS
    flags[star] |= Flag.REFERENCE
    gaia_id = np.full(n, "", dtype="U20")
    if "source_id" in gaia.colnames:
        gaia_id[star] = np.asarray(gaia["source_id"])[reference.row].astype(str)
    first = np.argmax(links.index >= 0, axis=1)
    names = []
    for s in range(n):
        t = lists[first[s]]
        label = next((c for c in ("name", "id") if c in t.colnames), None)
        row = links.index[s, first[s]]
        names.append(str(t[label][row]) if label else f"{first[s]}:{row}")
    mean = np.average(np.stack([reference.pm_xi, reference.pm_eta], -1), axis=0)
    chosen = np.take_along_axis(fits.elpd, np.maximum(fits.model, 0)[:, None], 1)[:, 0]
    with np.errstate(all="ignore"):
        mag = np.array([np.median(m[np.isfinite(m)]) if np.isfinite(m).any() else np.nan for m in links.mag])
    data = {
        "id": np.arange(1, n + 1),
        "ra": ra,
        "dec": dec,
        "ra_error": pos_error[:, 0],
        "dec_error": pos_error[:, 1],
        "ref_epoch": fits.t0,
        "pmra": motion[:, 0],
        "pmdec": motion[:, 1],
        "pmra_error": error[:, 0],
        "pmdec_error": error[:, 1],
        "pmra_pmdec_corr": covariance[:, 0, 1] / (error[:, 0] * error[:, 1]),
        "mag": mag,
        "pmra_rel": motion[:, 0] - mean[0],
        "pmdec_rel": motion[:, 1] - mean[1],
        "model": fits.model,
        "elpd": chosen,
        "chi2_loo_ra": fits.chi2_loo[:, 0],
        "chi2_loo_dec": fits.chi2_loo[:, 1],
        "n_epochs": n_used,
        "n_rejected": links.usable.sum(1) - n_used,
        "flags": flags,
        "source_name": np.array(names),
        "gaia_source_id": gaia_id,
        "n_found": n_found,
    }
    if fits.has_parallax:
        data["parallax"] = fits.coefficients[:, -1]
        data["parallax_error"] = np.sqrt(fits.covariance[:, -1, -1])
    if fits.degree == 2:
        for axis, name in ((2, "ra"), (5, "dec")):
            data[f"acceleration_{name}"] = fits.coefficients[:, axis]
            data[f"acceleration_{name}_error"] = np.sqrt(fits.covariance[:, axis, axis])
    meta = {
        "epochs": [float(e) for e in epochs],
        "models": list(MODEL_SETS.get(models, models)) if isinstance(models, str) else list(models),
        "n_reference": int(star.size),
        "common_epoch": float(bias.epoch),
        "frame": "Gaia's, by polynomials through the reference stars",
        **plane.to_meta(),
    }
    return make_table(MOTION, data, meta)
