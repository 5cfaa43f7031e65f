"""Checks of many epochs: each list against the motions of all, and the reference stars."""

import numpy as np

from jwst_hpastrom.checks.causes import COS_DEC, LARGE, SMALL
from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import values

__all__ = [
    "all_times",
    "list_errors",
    "list_parts",
    "list_times",
    "list_use",
    "reference_columns",
    "reference_pulls",
    "reference_share",
]

MOTION, AXES = "hp_proper_motion", ("pmra", "pmdec")
LATE = "a wrong epoch of this list"
OTHER_LATE = "a wrong epoch of this list, or of another of the three"
WRONG = "positions of this list that are wrong for all or a part of its stars"
ERRORS = "errors of this list that are too small"
ALL_LATE = "epochs of all lists that are wrong alike, or another reference epoch of Gaia's table"
REFERENCE = "errors of the reference catalog that are too small"
OTHERS = "motions of the reference catalog that are other stars': a column that was sorted or shuffled"
#: rank correlation that motions of the same stars have, unless errors hide them
NO_RELATION = 0.2
LISTS = f"{SMALL} for bright stars"
#: epochs from which on residuals show what the lists' errors lack
FEW_EPOCHS = 5
#: reference stars from which on what explains their differences is no chance
ENOUGH = 20
#: years that look wrong, and are; and errors of the time beyond which they do
TIME, SIGMA = (0.1, 0.25), (5.0, 8.0)
#: the same of one list's time among the others', which good lists are off by 3.3 errors at most
LIST_SIGMA = (4.5, 6.0)
#: share of a list's measurements over the others' below which no date mends it, and years that such positions
#: seem to be off by; wrong dates of 12 years leave 0.91
LEFT, NO_DATE = 0.885, 5.0
#: leave-one-out residuals over the others' beyond which a little time is that of too small errors
LARGE_LOO = 1.45
#: epochs of which a wrong time does not say which list's it is
UNTOLD = 3


def _time(name, about, value, error, causes, rank, sigma=SIGMA):
    ok, bad = (max(years, n * error) for years, n in zip(TIME, sigma, strict=True))
    return judge(
        MOTION,
        name,
        value,
        (-ok, ok),
        (-bad, bad),
        about=about,
        rank=rank,
        causes=(*causes, "stars matched to others"),
        remedy="check the epoch in the list's header, or give epochs",
    )


def list_times(epochs):
    """Years by which the stars of each list are ahead of its epoch."""
    for row, causes in zip(epochs, _late_causes(epochs), strict=True):
        yield _time(
            "years by which the stars are ahead of the epoch",
            str(row["list"]),
            float(row["time_error"]),
            float(row["time_error_error"]),
            causes,
            1,
            LIST_SIGMA,
        )


def _late_causes(epochs):
    """What makes stars of each list look ahead of their epoch."""
    share, loo = (_over_others(epochs, c) for c in ("share_used", "loo_pull"))
    late = LATE if len(epochs) > UNTOLD else OTHER_LATE
    for k, size in enumerate(np.abs(values(epochs, "time_error"))):
        if size > NO_DATE and share[k] < LEFT:
            yield WRONG, late
        elif size < TIME[1] and loo[k] > LARGE_LOO:
            yield ERRORS, late
        else:
            yield (late,)


def _over_others(epochs, column):
    if column not in epochs.colnames or not np.isfinite(values(epochs, column)).any():
        return np.full(len(epochs), np.nan)
    return values(epochs, column) / np.nanmedian(values(epochs, column))


def list_use(epochs):
    """Share of each list's measurements that the motions were made from."""
    time, error = values(epochs, "time_error"), values(epochs, "time_error_error")
    late = np.abs(time) > np.maximum(TIME[0], LIST_SIGMA[0] * error)
    for k, (row, causes) in enumerate(zip(epochs, _late_causes(epochs), strict=True)):
        yield judge(
            MOTION,
            "share of measurements that were not rejected",
            float(row["share_used"]),
            (0.85, None),
            (0.6, None),
            about=str(row["list"]),
            rank=6,
            causes=causes if late[k] else (WRONG, "errors that are too small"),
            remedy="look at this list; leave it out",
        )


def list_errors(epochs):
    """Scatter about the motions over the lists' errors, of all lists and of the worst one."""
    scatter = values(epochs, "scatter_over_error")
    if not np.isfinite(scatter).any():
        return
    middle = float(np.nanmedian(scatter))
    causes = (SMALL, "systematic errors that the lists do not state") if middle > 1 else (LARGE,)
    yield judge(
        MOTION,
        "scatter about the motions over the lists' errors",
        middle,
        (0.6, 1.9),
        (0.5, 2.4),
        rank=9,
        causes=causes,
        remedy="compare the lists' errors with the scatter of repeated measurements",
    )
    pull = values(epochs, "loo_pull")
    if not np.isfinite(pull).any():
        return
    yield judge(
        MOTION,
        "leave-one-out residuals over their errors",
        float(np.nanmedian(pull)),
        (0.6, 1.6),
        (0.5, 1.9),
        rank=9,
        causes=causes,
        remedy="compare the lists' errors with the scatter of repeated measurements",
    )
    for row, ratio in zip(epochs, pull / np.nanmedian(pull), strict=True):
        causes = (ERRORS, LATE, WRONG)
        yield judge(
            MOTION,
            "leave-one-out residuals over errors, over those of the other lists",
            float(ratio),
            (0.6, 1.45),
            (0.45, 1.6),
            about=str(row["list"]),
            rank=10,
            causes=causes if ratio > 1 else ("errors of this list that are too large",),
            remedy="compare this list's errors with those of the others",
        )


def list_parts(epochs):
    """Pull of the stars with small errors over that of stars with large ones, median of the lists."""
    found = values(epochs, "small_over_large")
    if not np.isfinite(found).any():
        return
    yield judge(
        MOTION,
        "pull of stars with small errors over that with large ones, in the lists",
        float(np.nanmedian(found)),
        (0.65, 1.6),
        (0.45, 2.0),
        rank=8,
        causes=("errors of the star lists that are wrong for a part of their stars",),
        remedy="compare the lists' errors with the scatter of repeated measurements",
    )


def all_times(references):
    """Years by which all lists are late against the reference stars' motions."""
    yield _time(
        "years by which the stars are ahead of all epochs",
        "",
        references.meta.get("time_error", np.nan),
        references.meta.get("time_error_error", np.nan),
        (ALL_LATE,),
        2,
    )


def reference_share(references):
    """Share of the reference stars that were kept."""
    if "kept" not in references.colnames or len(references) < 10:
        return
    yield judge(
        MOTION,
        "share of the reference stars that were kept",
        float(np.mean(references["kept"])),
        (0.5, None),
        (0.35, None),
        rank=8,
        causes=_columns(references) or (REFERENCE, ALL_LATE, "wrong matches with the reference catalog"),
        remedy="compare the reference stars' motions with those measured",
    )


def reference_pulls(references):
    """Median difference of the reference stars from the frame of the others, in errors."""
    if "significance" not in references.colnames or len(references) < 10:
        return
    value = float(np.nanmedian(values(references, "significance")))
    # 1.2 where the errors are right; real catalogs' may be a third too small
    chance = 1.0 / np.sqrt(np.isfinite(values(references, "significance")).sum())
    # few epochs do not show errors beyond those that lists state, which bright stars have
    few = references.meta.get("n_epochs", FEW_EPOCHS) < FEW_EPOCHS
    ok, bad = (2.6, 4.0) if few else (1.6, 2.0)
    causes = (_columns(references) or (REFERENCE, ALL_LATE)) + ((LISTS,) if few else ())
    yield judge(
        MOTION,
        "reference stars' median difference, errors",
        value,
        (0.75, ok + 2 * chance),
        (0.55, bad + 3 * chance),
        rank=9,
        causes=causes if value > 1 else ("errors of the reference catalog that are too large",),
        remedy="compare the reference stars' motions with those measured",
    )


def reference_columns(references):
    """Power of cos(dec) that the reference catalog's pmra lacks, where that explains its differences."""
    power = references.meta.get("cos_dec_power", np.nan)
    if len(references) < ENOUGH or not np.isfinite(power):
        return
    yield judge(
        MOTION, "power of cos(dec) that pmra of the reference catalog lacks", float(power), (0, 0), (0, 0),
        rank=3, causes=(f"pmra of the reference catalog {COS_DEC.get(int(power), '')}",),
        remedy="pmra is to have the factor cos(dec) once, as Gaia's has",
    )  # fmt: skip


def _columns(references):
    """Causes where the catalog's motions are those of the other axis, or of the other sign."""
    same, other = (
        [references.meta.get(f"{kind}_{c}", np.nan) for c in AXES] for kind in ("correlation", "crossed")
    )
    if np.min(np.abs(other)) > np.max(np.abs(same)) + 0.1:
        return ("pmra and pmdec of the reference catalog exchanged", REFERENCE)
    power = references.meta.get("cos_dec_power", 0)
    if power in COS_DEC:
        return (f"pmra of the reference catalog {COS_DEC[power]}", REFERENCE)
    # the frame bends toward wrong signs, and little is left of the correlation then
    turned = [c for c, r in zip(AXES, same, strict=True) if r < -0.3 or (r < 0.3 and np.max(same) > 0.7)]
    if turned:
        return (f"{' and '.join(turned)} of the reference catalog with the other sign", REFERENCE)
    return (OTHERS, REFERENCE) if np.max(np.abs((*same, *other))) < NO_RELATION else ()
