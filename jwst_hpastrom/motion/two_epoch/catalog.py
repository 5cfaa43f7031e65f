"""The catalog of two epochs' motions."""

import numpy as np
from astropy.table import Column

from jwst_hpastrom.columns import MOTION, Flag, make_table, values

__all__ = ["motion_table"]


def motion_table(epochs, tie, pairs, displaced, moved, config):
    """Build the table of `~jwst_hpastrom.motion.TwoEpochMotions` from the stages of the measurement.

    Parameters
    ----------
    epochs : `~jwst_hpastrom.motion.two_epoch.epochs.TwoEpochs`
    tie : `~jwst_hpastrom.motion.two_epoch.transformation.Tie`
    pairs : `~jwst_hpastrom.motion.two_epoch.pairs.Pairs`
    displaced : `~jwst_hpastrom.motion.two_epoch.motions.Displaced`
    moved : `~jwst_hpastrom.motion.two_epoch.motions.Moved`
    config : `~jwst_hpastrom.motion.two_epoch.config.TwoEpochConfig`

    Returns
    -------
    `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`.
    """
    master, first, i, j = epochs.master, epochs.first, pairs.i, pairs.j
    e2 = [e[i] * epochs.plane.scale_mas for e in epochs.e2]
    pixel = epochs.scale * abs(moved.per_pixel)
    data = {
        "id": np.asarray(master["id"])[i] if "id" in master.colnames else np.arange(i.size),
        "ra": values(master, "ra")[i], "dec": values(master, "dec")[i],
        "ra_error": e2[0], "dec_error": e2[1], "ref_epoch": np.full(i.size, epochs.t2),
        "pmra": moved.pm[0], "pmdec": moved.pm[1],
        "pmra_error": moved.error[0], "pmdec_error": moved.error[1],
        "pmra_error_systematic": values(master, "x_err_systematic")[i] * pixel,
        "pmdec_error_systematic": values(master, "y_err_systematic")[i] * pixel,
        "pmra_pmdec_corr": np.zeros(i.size), "mag": values(master, "mag")[i],
        "pmra_rel": moved.relative[0], "pmdec_rel": moved.relative[1],
        "n_epochs": np.full(i.size, 2), "flags": _flags(epochs, pairs, displaced, config.fast),
        "x": Column(pairs.uv[0][i], name="x", unit="pix", description="first epoch's frame, to the West"),
        "y": Column(pairs.uv[1][i], name="y", unit="pix", description="first epoch's frame, to the North"),
        "qfit": values(master, "qfit")[i], "n_local": displaced.n_local,
        "first_epoch_row": j, "master_row": i, "p_chance": pairs.chance,
    }  # fmt: skip
    if "color" in master.colnames:
        data["color"] = values(master, "color")[i]
    elif "color" in first.colnames:
        data["color"] = values(first, "color")[j]
    return make_table(MOTION, data, _meta(epochs, tie, pairs, displaced, moved, config))


def _flags(epochs, pairs, displaced, fast):
    flags = epochs.flags[pairs.i] & ~int(Flag.REFERENCE)
    flags[displaced.reference] |= int(Flag.REFERENCE)
    flags[pairs.fast] |= int(Flag.FAST)
    flags[pairs.doubted | (pairs.chance > fast.fast_false_share)] |= int(Flag.AMBIGUOUS)
    if displaced.local is not None:
        flags[displaced.local] |= int(Flag.LOCAL_TRANSFORM)
    return flags


def _meta(epochs, tie, pairs, displaced, moved, config):
    zero, zero_error = moved.zero, moved.zero_error
    doubtful = pairs.chance > config.fast.fast_false_share
    n_fast, chance = (pairs.fast & ~doubtful).sum(), np.max(pairs.chance, where=~doubtful, initial=0.0)
    return {
        "baseline": epochs.baseline, "first_epoch": float(np.median(epochs.t1)),
        "transformation": config.transformation.transformation,
        "motions": "absolute" if moved.absolute else "relative",
        "zero_point_pmra": float(zero[0]), "zero_point_pmdec": float(zero[1]),
        "zero_point_pmra_error": float(zero_error[0]), "zero_point_pmdec_error": float(zero_error[1]),
        "n_zero_point": moved.n_zero, "tie_error_mas_yr": moved.tie_error,
        "zero_point_degree": int(config.zero_point_degree),
        "n_reference": int(tie.rows[0].size), "local_gain": displaced.gain,
        "n_fast": int(n_fast), "n_fast_false": float(chance * n_fast),
        "n_fast_ambiguous": int(doubtful.sum()),
        "filter": epochs.master.meta.get("filter", ""), **epochs.plane.to_meta(),
    }  # fmt: skip
