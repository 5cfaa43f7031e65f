"""Checks of the scatter among exposures: errors of the lists, and what is beyond them."""

import numpy as np

from jwst_hpastrom.checks.causes import LARGE, SMALL
from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import values
from jwst_hpastrom.frame.errors import scatter_of_one
from jwst_hpastrom.instrument import pixel_mas
from jwst_hpastrom.numerics import median_chi2

__all__ = ["bright_scatter", "list_errors", "no_distortion"]

FRAME = "hp_master_frame"
DISTORTION_OFF = "a distortion that does not fit these exposures: wrong filter, detector or epoch?"
UNCORRECTED = "no distortion correction: the positions were corrected by the exposures' WCS alone"
#: fewest stars to judge by, and share of the stars that are the bright ones
LEAST, PART = 40, 0.3
#: factor between errors that are the same for all stars
ALIKE = 1.2
#: fewest stars of like errors, and most bins of them
BIN, BINS = 20, 12
#: detector pixels of scatter that only a missing distortion correction makes; well below, none is missing
EXCESS = 0.02
#: pixels of scatter of bright stars that good exposures have
USUAL = 0.01
#: relative error of the square of a factor on the errors that says nothing of it
DOUBT = 1.0
#: variances beyond the median's that count as this many
CLIP = 9.0


def no_distortion(meta):
    """Whether a product's metadata say that no distortion correction was applied."""
    return "distortion" in meta and meta["distortion"] in (None, "", "none")


def _variances(master):
    """Variances of single measurements, empirical and formal, and whether stars are of the brightest."""
    n, mag = values(master, "n_used"), values(master, "mag")
    with np.errstate(invalid="ignore", divide="ignore"):
        formal = 0.5 * n * sum(values(master, f"{c}_err_formal") ** 2 for c in "xy")
        empirical = 0.5 * sum(scatter_of_one(master, c) for c in "xy") / median_chi2(2 * (n - 1))
    ok = (n >= 3) & np.isfinite(empirical + formal + mag) & (formal > 0)
    if ok.sum() < LEAST:
        return None
    return empirical[ok], formal[ok], mag[ok] <= np.quantile(mag[ok], PART)


def _median_error(variance):
    """Standard error of the median of variances."""
    spread = np.std(np.minimum(variance, CLIP * np.median(variance)))
    return 1.25 * spread / np.sqrt(variance.size)


def _line(empirical, formal):
    """Slope of the empirical variances against the formal ones, and its error; the rest is all stars'.

    Medians of stars of like errors, so that neither blends nor the spread of the errors matter.
    """
    order = np.argsort(formal, kind="stable")
    parts = np.array_split(order, max(2, min(BINS, order.size // BIN)))
    found, stated = (np.array([np.median(v[rows]) for rows in parts]) for v in (empirical, formal))
    # of variances over the errors' own, so that their spread in a bin does not count
    relative = [_median_error(r := empirical[rows] / formal[rows]) / np.median(r) for rows in parts]
    if not (found > 0).all() or np.ptp(stated) < 1e-3 * stated.max():
        return np.nan, np.inf
    model = found
    for _ in range(5):
        weight = 1 / (np.array(relative) * model) ** 2
        mean_f, mean_e = (np.average(v, weights=weight) for v in (stated, found))
        power = float(np.sum(weight * (stated - mean_f) ** 2))
        slope = float(np.sum(weight * (stated - mean_f) * (found - mean_e)) / power)
        floor = mean_e - slope * mean_f
        model = np.maximum(floor + slope * stated, 0.25 * found)
    if floor < 0:  # nothing is less than no scatter
        slope = float(np.sum(weight * stated * found) / np.sum(weight * stated**2))
    left = np.sum(weight * (found - max(floor, 0.0) - slope * stated) ** 2) / max(found.size - 2, 1)
    return slope, float(np.sqrt(max(left, 1.0) / power))


def list_errors(master):
    """Factor on the lists' errors, by how much more stars scatter that state larger ones.

    What all stars share, as a distortion, does not count.
    """
    if (parts := _variances(master)) is None:
        return
    empirical, formal, bright = parts
    if np.quantile(formal, 0.9) < ALIKE**2 * np.quantile(formal, 0.1):
        yield _alike(empirical, bright)
        return
    square, reach = _line(empirical, formal)
    if not reach <= DOUBT * max(square, 1.0):
        return
    value = float(np.sqrt(max(square, 0.0)))
    # the square is what has a normal error
    (low, high), (least, most) = (
        (float(np.sqrt(max(f**-2 - n * reach, 0.0))), float(np.sqrt(f**2 + n * reach)))
        for f, n in ((1.55, 3.5), (1.9, 5.0))
    )
    yield judge(
        FRAME, "scatter of faint stars over their errors, without that of bright ones", value, (low, high),
        (least, most), rank=9, causes=(LARGE,) if value < 1 else (SMALL, "neighbors of faint stars"),
        remedy="compare the lists' errors with the scatter of repeated measurements",
    )  # fmt: skip


def _alike(empirical, bright):
    """Check of errors that are stated alike for all stars: whether the stars scatter alike."""
    value = float(np.sqrt(np.median(empirical[~bright]) / np.median(empirical[bright])))
    return judge(
        FRAME, "scatter of faint stars over that of bright ones, whose stated errors are the same", value,
        (None, 1.5), (None, 1.9), rank=5,
        causes=("errors of the star lists that are one and the same for bright and faint stars",),
        remedy="give each star the error of its fit, or leave the columns x_err and y_err out",
    )  # fmt: skip


def bright_scatter(master):
    """Scatter of bright stars among the exposures over that expected, the distortion's stated error in it."""
    parts = _variances(master)
    if parts is None:
        return
    empirical, formal = (v[parts[2]] for v in parts[:2])
    pixel = pixel_mas(master.meta) / float(master.meta.get("scale_mas", np.nan))
    known = float(master.meta.get("correction_error_pix") or 0.0) * pixel
    limited = master.meta.get("distortion_limited_by")
    causes, top, worst = (DISTORTION_OFF, "an ePSF that does not fit"), (6.0, 2.0), (8.0, 3.0)
    excess = np.sqrt(max(float(np.median(empirical) - np.median(formal)), 0.0)) / pixel
    if excess < USUAL:  # whatever the errors say: stars scatter as good ones do
        causes = (SMALL, *causes)
    if limited:  # nobody could do better with these data, and the stated errors hold it
        causes, worst = (f"no distortion could be solved: {limited}",), (None, None)
    elif no_distortion(master.meta):  # a known reason: less is needed to blame it
        causes, top = (UNCORRECTED, "a focus or ePSF that changed"), (2.0 if excess > EXCESS else 3.5, 2.0)
        worst = (3.0 if excess > EXCESS else 5.0, 3.0)
    name, stated = "empirical over formal errors of bright stars", known > 0
    if stated:
        name = "scatter of bright stars over that expected"
    value = float(np.median(np.sqrt(empirical / (formal + known**2))))
    yield judge(
        FRAME, name, value, (None, top[stated]), (None, worst[stated]), rank=10, causes=causes,
        remedy="go by the stated errors, which hold it; or give a distortion_file of this filter" if limited
        else "solve the distortion from these exposures, or give distortion_file",
    )  # fmt: skip
