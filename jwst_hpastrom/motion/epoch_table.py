"""The catalogue of a many-epoch run."""

import numpy as np

from jwst_hpastrom.columns import MOTION, Flag, make_table
from jwst_hpastrom.motion.models import MODEL_SETS
from jwst_hpastrom.motion.reference import sky_axes

__all__ = ["motion_table"]


def motion_table(lists, epochs, links, fits, plane, reference, star, bias, gaia, models, frame):
    """Build the table of `~jwst_hpastrom.motion.many_epoch.EpochMotions` from the parts of a run."""
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
    dt = fits.t0 - frame.epoch
    for axis, name in enumerate(("ra", "dec")):
        c = frame.covariance[axis]
        data[f"{name}_error_total"] = np.sqrt(
            pos_error[:, axis] ** 2 + c[0, 0] + 2 * dt * c[0, 1] + dt**2 * c[1, 1]
        )
        data[f"pm{name}_error_total"] = np.sqrt(error[:, axis] ** 2 + c[1, 1])
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
        "frame_pm_error_mas_yr": [float(np.sqrt(c[1, 1])) for c in frame.covariance],
        "frame_position_error_mas": [float(np.sqrt(c[0, 0])) for c in frame.covariance],
        "frame_error_epoch": float(frame.epoch),
        "frame": "Gaia's, by polynomials through the reference stars",
        **plane.to_meta(),
    }
    return make_table(MOTION, data, meta)
