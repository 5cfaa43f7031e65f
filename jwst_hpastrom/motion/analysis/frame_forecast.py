"""What a better reference catalog and more epochs would make of a frame (H25 §5.2, Fig. 9)."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import Flag, row_epochs, values
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion.analysis.forecasts import motion_error

__all__ = ["DR4_GAIN", "forecast_frame"]

#: factors by which Gaia DR4 is expected to have smaller errors of positions and motions than DR3 (H25 §5.2)
DR4_GAIN = (1.6, 2.2)


def forecast_frame(
    motions: Any, gaia: Any = None, new_epochs: Any = (), *, gain: Any = DR4_GAIN
) -> Table | None:
    """Errors of transformations, motions and frame, now and as they would be.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        Of many epochs: flags ``REFERENCE``, metadata ``epochs`` and ``transformation_error_mas``.

    gaia : `~astropy.table.Table`, optional
        The reference catalog, with ``source_id``. Without it, motions only.

    new_epochs : sequence of float
        Julian years of more epochs, as good as those there are.

    gain : pair of float
        Factors by which a better catalog's positions and motions have smaller errors.

    Returns
    -------
    `~astropy.table.Table` or None
        One row a case: transformation_error (mas, median of the epochs; the constant and the number of stars
        of H25 eq. 19 stay as they are), motion_error (mas/yr, median of the reference stars, here), and the
        error of the frame's mean motion pmra_error, pmdec_error, pm_error (eq. 11). None where the catalog
        has no reference stars or says nothing of its epochs.

    Raises
    ------
    ParameterError
        New epochs that are no years.
    """
    wrong = [year for year in new_epochs if not 1850 < year < 2100]
    if wrong:
        raise ParameterError(f"new_epochs={wrong[0]}", "Julian years, such as 2026.5")
    reference = values(motions, "flags", 0.0).astype(np.int64) & int(Flag.REFERENCE) != 0
    epochs = np.asarray(motions.meta.get("epochs", ()), float)
    trans = np.asarray(motions.meta.get("transformation_error_mas", ()), float)
    if not reference.any() or epochs.size < 2 or trans.size != epochs.size:
        return None
    stars = motions[reference]
    own = np.stack([values(stars, c) for c in ("pmra_error", "pmdec_error")], -1)
    theirs = _gaia_errors(stars, gaia)
    typical = float(np.nanmedian(own))
    # error of one position, from that of the motion: the fits' own weights
    sigma = typical / motion_error(1.0, epochs)
    measured = np.sqrt(np.maximum(sigma**2 - trans**2, (0.1 * sigma) ** 2))
    rows = [_row("now", epochs, trans, own, theirs)]
    more = np.r_[epochs, np.asarray(new_epochs, float)]
    if theirs is not None:
        better = _better_transformations(epochs, trans, measured, theirs, gain)
        good = theirs | {"position": theirs["position"] / gain[0], "motion": theirs["motion"] / gain[1]}
        slope = _slope(epochs, measured, better) / _slope(epochs, measured, trans)
        rows.append(_row("better catalog (DR4)", epochs, better, own * slope, good))
    for n in range(epochs.size + 1, more.size + 1):
        k = slice(0, n)
        added = np.full(more.size, np.median(trans))
        added[: epochs.size] = trans
        fill = np.full(more.size, np.median(measured))
        fill[: epochs.size] = measured
        gained = _slope(more[k], fill[k], added[k]) / _slope(epochs, measured, trans)
        rows.append(_row(f"with {more[n - 1]:.2f}", more[k], added[k], own * gained, theirs))
        if theirs is not None:
            improved = np.full(more.size, np.median(better))
            improved[: epochs.size] = better
            gained = _slope(more[k], fill[k], improved[k]) / _slope(epochs, measured, trans)
            rows.append(_row(f"with {more[n - 1]:.2f} and DR4", more[k], improved[k], own * gained, good))
    table = Table(rows=rows)
    for name in table.colnames:
        if name.endswith("error"):
            table[name].unit = "mas" if name.startswith("trans") else "mas / yr"
    table["last_epoch"].unit = "yr"
    table.meta |= {"n_reference": int(reference.sum()), "gain": [float(g) for g in gain]}
    return table


def _gaia_errors(stars, gaia):
    """Errors of position and motion (n, 2) and epochs of the reference stars in their catalog, or None."""
    if gaia is None or not {"gaia_source_id"} <= set(stars.colnames) or "source_id" not in gaia.colnames:
        return None
    row = {str(s): k for k, s in enumerate(gaia["source_id"])}
    found = np.array([row.get(str(s), -1) for s in stars["gaia_source_id"]])
    if np.any(found < 0):
        return None
    t = gaia[found]
    position, motion = (
        np.stack([values(t, f"{kind}{c}_error") for c in ("ra", "dec")], -1) for kind in ("", "pm")
    )
    return {"position": position, "motion": motion, "epoch": row_epochs(t)}


def _better_transformations(epochs, trans, measured, theirs, gain):
    """σ_trans of each epoch with a better catalog: as the mean error of the reference stars (H25 eq. 19)."""
    now, then = [], []
    for t, s in zip(epochs, measured, strict=True):
        dt = (t - theirs["epoch"])[:, None]
        for out, (a, b) in ((now, (1.0, 1.0)), (then, gain)):
            variance = (theirs["position"] / a) ** 2 + (theirs["motion"] * dt / b) ** 2 + s**2
            out.append(float(np.mean(np.sqrt(variance))))
    return trans * np.array(then) / np.array(now)


def _slope(epochs, measured, trans):
    return motion_error(np.hypot(measured, trans), epochs)


def _row(case, epochs, trans, own, theirs):
    row = {"case": case, "n_epochs": len(epochs), "last_epoch": float(np.max(epochs))}
    row |= {"transformation_error": float(np.median(trans)), "motion_error": float(np.nanmedian(own))}
    error = np.full(2, np.nan)
    if theirs is not None:
        w = (own**2 + theirs["motion"] ** 2) ** -1.0
        error = np.nansum(w, axis=0) ** -0.5
    return row | {
        "pmra_error": float(error[0]), "pmdec_error": float(error[1]), "pm_error": float(np.hypot(*error)),
    }  # fmt: skip
