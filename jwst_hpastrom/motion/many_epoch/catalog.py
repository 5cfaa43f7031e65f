"""The catalog of a many-epoch run."""

import numpy as np

from jwst_hpastrom.columns import MOTION, Flag, make_table
from jwst_hpastrom.geometry import sky_axes
from jwst_hpastrom.motion.kinematic_models import KERNELS, MODEL_SETS
from jwst_hpastrom.motion.many_epoch.few_epochs import hangs_on_one

__all__ = ["motion_table"]

#: fits of fewer epochs are weighted straight lines
FEWEST_FOR_MODELS = 5


def motion_table(sky, frame, fitted, gaia, models):
    """Build the table of `~jwst_hpastrom.motion.many_epoch.EpochMotions` from the stages of a run.

    Parameters
    ----------
    sky : `~jwst_hpastrom.motion.many_epoch.identified.Identified`
    frame : `~jwst_hpastrom.motion.many_epoch.frame.Realized`
    fitted : `~jwst_hpastrom.motion.many_epoch.motions.Fitted`
    gaia : `~astropy.table.Table`
    models : str or sequence of str

    Returns
    -------
    `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`.
    """
    fits, links = fitted.fits, sky.links
    n_used = fits.used.sum(1)
    motion = _on_the_sky(sky.plane, fits)
    mean = np.average(np.stack([frame.reference.pm_xi, frame.reference.pm_eta], -1), axis=0)
    data = {
        "id": np.arange(1, len(links.index) + 1),
        **motion,
        "mag": _middle_magnitude(links.mag),
        "pmra_rel": motion["pmra"] - mean[0],
        "pmdec_rel": motion["pmdec"] - mean[1],
        "model": fits.model,
        "elpd": np.take_along_axis(fits.elpd, np.maximum(fits.model, 0)[:, None], 1)[:, 0],
        "chi2_loo_ra": fits.chi2_loo[:, 0],
        "chi2_loo_dec": fits.chi2_loo[:, 1],
        "n_epochs": n_used,
        "n_rejected": links.usable.sum(1) - n_used,
        "flags": _flags(sky, frame, fitted, n_used),
        "source_name": np.array(_names(sky.lists, links)),
        "gaia_source_id": _gaia_names(gaia, frame, len(links.index)),
        "n_found": (links.index >= 0).sum(1),
        "pmra_rel_error": motion["pmra_error"],
        "pmdec_rel_error": motion["pmdec_error"],
        **_total_errors(fits, fitted.frame, motion),
        **_where_fitted(fits, fitted.shared),
    }
    table = make_table(MOTION, data, _meta(sky, frame, fitted, models))
    table["model"].description = ", ".join(f"{k.code} {k.title}" for k in KERNELS.values())
    _add_run(table.meta, sky, frame, fitted.bias, fitted.bad.share)
    return table


def _on_the_sky(plane, fits):
    """Positions and motions in right ascension and declination, with errors."""
    xi, eta = fits.position.T / 1e3
    ra, dec = plane.to_sky(xi, eta)
    back = np.linalg.inv(sky_axes(plane, np.nan_to_num(xi), np.nan_to_num(eta)))
    motion = np.einsum("nij,nj->ni", back, fits.motion)
    covariance = back @ fits.motion_covariance @ np.swapaxes(back, 1, 2)
    pos_cov = back @ fits.block(0, fits.degree + 1) @ np.swapaxes(back, 1, 2)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    pos_error = np.sqrt(np.diagonal(pos_cov, axis1=1, axis2=2))
    return {
        "ra": ra, "dec": dec, "ra_error": pos_error[:, 0], "dec_error": pos_error[:, 1],
        "ref_epoch": fits.t0,
        "pmra": motion[:, 0], "pmdec": motion[:, 1], "pmra_error": error[:, 0], "pmdec_error": error[:, 1],
        "pmra_pmdec_corr": covariance[:, 0, 1] / (error[:, 0] * error[:, 1]),
    }  # fmt: skip


def _middle_magnitude(mag):
    ordered = np.sort(np.where(np.isfinite(mag), mag, np.nan), axis=1)  # NaN last
    n_mag = np.isfinite(ordered).sum(1)
    middle = np.maximum(np.stack([(n_mag - 1) // 2, n_mag // 2], -1), 0)
    return np.take_along_axis(ordered, middle, axis=1).mean(1)


def _flags(sky, frame, fitted, n_used):
    links = sky.links
    n_bad = ((links.index >= 0) & ~links.usable).sum(1)
    flags = np.zeros(len(links.index), np.int64)
    flags[n_used < FEWEST_FOR_MODELS] |= Flag.LINEAR_FIT
    flags[n_bad > 0] |= Flag.BAD_ERRORS
    flags[links.usable.sum(1) > n_used] |= Flag.REJECTED_EPOCHS
    flags[frame.star] |= Flag.REFERENCE
    flags[sky.one_time] &= ~int(Flag.BAD_ERRORS)
    flags[sky.one_time] |= Flag.ONE_TIME
    flags[fitted.inconsistent] |= Flag.INCONSISTENT
    # others that agree may be the right ones where fewer than half are left
    flags[fitted.bad.ambiguous | (2 * n_used < links.usable.sum(1)) & (n_used > 0)] |= Flag.AMBIGUOUS
    flags[links.fast] |= Flag.FAST
    spare = 2 * links.usable.sum(1) > fitted.fits.coefficients.shape[1]
    alone = hangs_on_one(links.usable, sky.epochs, fitted.error)
    flags[(fitted.fits.model >= 0) & (~spare | alone)] |= Flag.UNCHECKED
    return flags


def _names(lists, links):
    """Each star's name or number in the first list that has it."""
    first = np.argmax(links.index >= 0, axis=1)
    names = []
    for s, k in enumerate(first):
        label = next((c for c in ("name", "id") if c in lists[k].colnames), None)
        row = links.index[s, k]
        names.append(str(lists[k][label][row]) if label else f"{k}:{row}")
    return names


def _gaia_names(gaia, frame, n):
    out = np.full(n, "", dtype="U20")
    if "source_id" in gaia.colnames:
        out[frame.star] = np.asarray(gaia["source_id"])[frame.reference.row].astype(str)
    return out


def _total_errors(fits, drift, motion):
    """Errors with what the frame may be off."""
    out, dt = {}, fits.t0 - drift.epoch
    for axis, name in enumerate(("ra", "dec")):
        c = drift.covariance[axis]
        variance = c[0, 0] + 2 * dt * c[0, 1] + dt**2 * c[1, 1]
        out[f"{name}_error_total"] = np.sqrt(motion[f"{name}_error"] ** 2 + variance)
        out[f"pm{name}_error_total"] = np.sqrt(motion[f"pm{name}_error"] ** 2 + c[1, 1])
    return out


def _where_fitted(fits, shared):
    """Columns that not every run has."""
    out = {}
    if shared is not None:
        out["pmra_error_systematic"], out["pmdec_error_systematic"] = shared.T
    if fits.has_parallax:
        out["parallax"] = fits.coefficients[:, -1]
        out["parallax_error"] = np.sqrt(fits.covariance[:, -1, -1])
    if fits.degree == 2:
        for axis, name in ((2, "ra"), (5, "dec")):
            out[f"acceleration_{name}"] = fits.coefficients[:, axis]
            out[f"acceleration_{name}_error"] = np.sqrt(fits.covariance[:, axis, axis])
    return out


def _meta(sky, frame, fitted, models):
    covariance = fitted.frame.covariance
    return {
        "epochs": [float(e) for e in sky.epochs],
        "model_set": models if isinstance(models, str) else "given",
        "models": list(MODEL_SETS.get(models, models)) if isinstance(models, str) else list(models),
        "n_reference": int(frame.star.size),
        "common_epoch": float(fitted.bias.epoch),
        "frame_pm_error_mas_yr": [float(np.sqrt(c[1, 1])) for c in covariance],
        "frame_position_error_mas": [float(np.sqrt(c[0, 0])) for c in covariance],
        "errors": "*_error of the fits, *_error_total with the frame's error, which all stars share",
        "frame_error_epoch": float(fitted.frame.epoch),
        "frame": "Gaia's, by polynomials through the reference stars",
        **sky.plane.to_meta(),
    }


def _add_run(meta, sky, frame, bias, bad_share):
    """Add what the run says of itself."""
    meta["bad_share_of_few_epochs"] = bad_share
    meta["n_fast"] = int(sky.links.fast.sum())
    meta["group_share_of_time"] = sky.group_share
    transformation = np.where(sky.links.index >= 0, frame.transformation, np.nan)
    meta["transformation_error_mas"] = [float(v) for v in np.nanmedian(transformation, axis=(0, 1))]
    meta["frame_bias_pm_mas_yr"] = [float(v) for v in bias.motion]
    meta["frame_bias_pm_error_mas_yr"] = [float(v) for v in bias.motion_error]
    meta["frame_bias_position_mas"] = [float(v) for v in bias.position]
    meta["frame_bias_position_error_mas"] = [float(v) for v in bias.position_error]
