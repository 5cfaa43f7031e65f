"""Checks of many epochs: each list against the motions of all, and the reference stars."""

import numpy as np

from jwst_hpastrom.checks.catalogs import FAR, USUAL, axes_ratios
from jwst_hpastrom.checks.causes import COS_DEC, LARGE, SMALL
from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import values

__all__ = [
    "all_times",
    "list_errors",
    "list_parts",
    "list_times",
    "list_use",
    "reference_axes",
    "reference_columns",
    "reference_pulls",
    "reference_share",
    "reference_units",
]

MOTION = "hp_proper_motion"
LATE = "a wrong epoch of this list"
OTHER_LATE = "a wrong epoch of this list, or of another of the three"
WRONG = "positions of this list that are wrong for all or a part of its stars"
ERRORS = "errors of this list that are too small"
ALL_LATE = "epochs of all lists that are wrong alike, or another reference epoch of Gaia's table"
SEVERAL = "rows of the reference catalog whose positions are not of the ref_epoch that they state"
MATCHES = "wrong matches with the reference catalog"
REFERENCE = "errors of the reference catalog that are too small"
OTHERS = "motions of the reference catalog that are other stars': a column that was sorted or shuffled"
UNITS = "errors of the reference catalog in other units: arcsec or degrees as mas, or the reverse"
#: degrees between catalog and lists that are to be looked at, and that axes of a known frame are bad from
AXES_TURN = (2.0, 3.0)
LISTS = f"{SMALL} for bright stars"
#: scatter of the lists about the motions, over their errors, that is to be looked at
LIST_SCATTER = 1.9
#: epochs from which on residuals show what the lists' errors lack
FEW_EPOCHS = 5
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
        (0.6, LIST_SCATTER),
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
    """Years by which all lists are late against the reference stars' motions; where these are theirs."""
    if references.meta.get("columns"):
        return
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
    several = references.meta.get("ref_epochs", 1) > 1
    causes = _columns(references) or (SEVERAL,) * several + (REFERENCE, ALL_LATE, MATCHES)
    yield judge(
        MOTION,
        "share of the reference stars that were kept",
        float(np.mean(references["kept"])),
        (0.5, None),
        (0.35, None),
        rank=8,
        causes=causes,
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
    if references.meta.get("list_scatter", 1.0) > LIST_SCATTER:  # their errors are the frame's
        causes = (SMALL, *causes)
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
    """What explains the reference catalog's motions far better than columns as they should be."""
    found = references.meta.get("columns")
    if found is None:
        return
    gain = references.meta.get("columns_chi2", np.nan)
    causes = tuple(_columns(references)) or (REFERENCE,)
    yield judge(
        MOTION, "chi-square that other columns of the reference catalog explain", gain if found else 0.0,
        (None, 25.0), (None, 25.0), rank=3, causes=causes,
        remedy="give pmra, with the factor cos(dec), and pmdec of the ICRS, mas/yr, star by star",
    )  # fmt: skip


def reference_axes(references):
    """Angle of the reference catalog's axes against those that the lists' position angles tell."""
    value, frame = references.meta.get("axes_deg", np.nan), references.meta.get("axes_of", "")
    if not np.isfinite(value):
        return
    named = frame and abs(value) > AXES_TURN[1]
    causes = (f"{frame} coordinates as the reference catalog's ra and dec",) if named else ()
    yield judge(
        MOTION, "angle of the reference catalog against the lists' position angles, degrees", value,
        (-AXES_TURN[0], AXES_TURN[0]), (-AXES_TURN[1], AXES_TURN[1]) if named else (None, None), rank=2,
        causes=(*causes, "position_angle in the lists' headers of another axis or sign"),
        remedy="give ra and dec of the ICRS; positions and motions are along the catalog's axes",
    )  # fmt: skip


def reference_units(references):
    """Median errors that the reference catalog states, mas and mas/yr."""
    for name, what in (("position_error_mas", "positions, mas"), ("motion_error_mas_yr", "motions, mas/yr")):
        low, high = USUAL[name]
        yield judge(
            MOTION, f"median error that the reference catalog states of its {what}",
            references.meta.get(name, np.nan), (low, high), (low / FAR, high * FAR), rank=2, causes=(UNITS,),
            remedy="give the columns their units, or convert them to mas and mas/yr",
        )  # fmt: skip
    yield from axes_ratios(references.meta, "reference catalog")


def _columns(references):
    """Causes that the reference stars' motions tell."""
    found = references.meta.get("columns", "")
    if not found:
        return ()
    frame = references.meta.get("turn_of", "")
    axes = f"{frame} axes" if frame else "Galactic or ecliptic axes, or a detector's"
    named = {
        "exchanged": "pmra and pmdec of the reference catalog exchanged",
        "pmra_sign": "pmra of the reference catalog with the other sign",
        "pmdec_sign": "pmdec of the reference catalog with the other sign",
        "signs": "pmra and pmdec of the reference catalog with the other sign",
        "cos_dec": f"pmra of the reference catalog {COS_DEC[1]}",
        "cos_dec_twice": f"pmra of the reference catalog {COS_DEC[-1]}",
        "units": "motions of the reference catalog in other units",
        "turned": f"motions of the reference catalog that are turned: along {axes}",
        "others": OTHERS,
    }
    return named[found], REFERENCE
