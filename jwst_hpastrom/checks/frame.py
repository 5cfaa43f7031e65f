"""Checks of the distortion solution and of the master frame."""

import numpy as np

from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import values

__all__ = [
    "borrowed_cells", "dithers", "empirical_over_formal", "frame_phase", "held_out", "matched_share",
    "place_changes", "place_errors", "pointing", "repeatability",
]  # fmt: skip

DISTORTION, FRAME = "hp_distortion_refine", "hp_master_frame"
DISTORTION_OFF = "a distortion that does not fit these exposures: wrong filter, detector or epoch?"
CATALOG = "wrong positions, motions or epoch of the catalog"


def held_out(distortion):
    """Residuals of the held-out stars among the exposures, over what their errors let expect."""
    yield judge(
        DISTORTION, "held-out residuals over their errors", distortion.meta.get("held_out_pull", np.nan),
        (None, 2.5), (None, 5.0), rank=33,
        causes=("too few stars for the fine structure", "a distortion that changed between the exposures",
                CATALOG),
        remedy="add exposures, or use fewer table_cells and --pixel_map=false",
    )  # fmt: skip


def borrowed_cells(distortion):
    """Share of the look-up table's cells that have no stars of their own."""
    yield judge(
        DISTORTION, "share of borrowed table cells", distortion.meta.get("borrowed_cells", np.nan),
        (None, 0.6), (None, 0.95), rank=41,
        causes=("too few stars for so many cells", "a part of the detector without stars"),
        remedy="use fewer table_cells, or add exposures",
    )  # fmt: skip


def repeatability(distortion):
    """Difference of the residual maps of two halves of the exposures, over its error."""
    yield judge(
        DISTORTION, "distortion of one half of the exposures against the other, over its error",
        distortion.meta.get("halves_pull", np.nan), (None, 2.0), (None, 4.0), rank=32,
        causes=("a distortion that changed between the exposures", "an exposure with a wrong ePSF or focus"),
        remedy="solve the exposures of one visit or focus together",
    )  # fmt: skip


def pointing(exposures):
    """Offset of the exposures' WCS from the frame, exposure by exposure."""
    if "pointing_arcsec" not in exposures.colnames:
        return
    offset = np.stack([values(exposures, f"pointing_{c}_arcsec") for c in ("xi", "eta")], 1)
    length = values(exposures, "pointing_arcsec")
    common = float(np.hypot(*np.median(offset, axis=0)))
    alone = ("a wrong guide star", "the WCS of another exposure")
    catalog = "a catalog of another system, shifted, or of another equinox or epoch"
    for row, value in zip(exposures, length, strict=True):
        # all exposures alike: not they, but the catalog is off
        causes = (catalog, *alone) if common > 0.7 * value else (*alone, catalog)
        yield judge(
            FRAME, "pointing offset, arcsec", value, (None, 0.7), (None, 1.6), about=str(row["exposure"]),
            rank=4, causes=causes, remedy="compare the catalog and the WCS with Gaia",
        )  # fmt: skip


def matched_share(exposures):
    """Share of an exposure's stars that other exposures have, too."""
    for row in exposures:
        share = row["n_matched"] / row["n_found"] if len(exposures) > 2 and row["n_found"] else np.nan
        yield judge(
            FRAME, "share of stars that other exposures have", share, (0.45, None), (0.15, None),
            about=str(row["exposure"]), rank=30,
            causes=("little overlap with the other exposures", "artifacts taken for stars",
                    "an ePSF that does not fit"),
            remedy="look at the exposure; lower min_exposures where the overlap is small",
        )  # fmt: skip


def frame_phase(exposures):
    """Residual that goes with the position within the pixel, exposure by exposure."""
    if "phase_pix" not in exposures.colnames:
        return
    for row in exposures:
        extra = np.sqrt(max(row["phase_pix"] ** 2 - 2 * row["phase_error_pix"] ** 2, 0.0))
        value = extra if row["phase_pix"] > 3 * row["phase_error_pix"] else 0.0
        yield judge(
            FRAME, "pixel-phase error, pixels", value if np.isfinite(row["phase_pix"]) else np.nan,
            (None, 0.015), (None, 0.05), about=str(row["exposure"]), rank=8,
            causes=("an ePSF that does not fit: wrong filter, detector or epoch?",
                    "an ePSF built from too few pixel phases"),
            remedy="build the ePSF from well-dithered exposures of this filter and time",
        )  # fmt: skip


def dithers(exposures):
    """Number of exposures, and of different places that they look at: of one detector, the one with most."""
    seen = [exposures[rows] for rows in _by_detector(exposures)]
    n = max(map(len, seen))
    yield judge(
        FRAME, "number of exposures", n, (3, None), (2, None), rank=1,
        causes=("one exposure alone: nothing was repeated, no error can be checked",) if n < 2
        else ("two exposures only: outliers and errors cannot be told apart",),
        remedy="add dithered exposures",
    )  # fmt: skip
    if n < 2 or "pointing_arcsec" not in exposures.colnames:
        return
    ra, dec = values(exposures, "ra"), values(exposures, "dec")
    if not np.isfinite(ra + dec).all():  # star lists without a place on the sky
        return
    yield judge(
        FRAME, "number of dithers", max(map(_places, seen)), (3 if n > 2 else 2, None), (2, None), rank=5,
        causes=("exposures that were not dithered: distortion and pixel phase do not average",),
        remedy="add exposures at other places",
    )  # fmt: skip


def _by_detector(exposures):
    """Rows of each detector: several at one time are one pointing."""
    if "detector" not in exposures.colnames:
        return [np.arange(len(exposures))]
    detector = np.asarray(exposures["detector"]).astype(str)
    return [np.flatnonzero(detector == d) for d in np.unique(detector)]


def _places(exposures):
    """Places on the sky that are more than 0.3 arcsec apart."""
    ra, dec = values(exposures, "ra"), values(exposures, "dec")
    x, y = (ra - ra[0]) * np.cos(np.deg2rad(dec[0])) * 3600, (dec - dec[0]) * 3600
    places = []
    for point in zip(x, y, strict=True):
        if all(np.hypot(point[0] - p[0], point[1] - p[1]) > 0.3 for p in places):
            places.append(point)
    return len(places)


def empirical_over_formal(master):
    """Scatter of bright and of faint stars among the exposures over what the fits' errors let expect."""
    n, mag = values(master, "n_used"), values(master, "mag")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.stack([values(master, f"{c}_err_empirical") / values(master, f"{c}_err_formal")
                          for c in "xy"]).mean(0)  # fmt: skip
    ok = (n >= 3) & np.isfinite(ratio + mag)
    if ok.sum() < 20:
        return
    bright, faint = ok & (mag <= np.quantile(mag[ok], 0.3)), ok & (mag >= np.quantile(mag[ok], 0.7))
    applied, limited = (master.meta.get(c) for c in ("distortion", "distortion_limited_by"))
    corrected = not limited and applied not in (None, "", "none")
    value, low = float(np.median(ratio[faint])), "errors of the star lists that are too large"
    yield judge(
        FRAME, "empirical over formal errors of faint stars", value,
        (0.6, 2.5 if corrected else None), (0.5, 3.0 if corrected else None), rank=9,
        causes=(low,) if value < 1 else ("errors of the star lists that are too small", DISTORTION_OFF),
        remedy="compare the lists' errors with the scatter of repeated measurements",
    )  # fmt: skip
    value = float(np.median(ratio[bright]))
    ok_range, bad_range = (0.4, 6.0), (0.2, 8.0)
    if limited:  # nobody could do better with these data, and the stated errors hold it
        bad_range = (0.2, None)
        causes = (f"no distortion could be solved: {limited}",)
    elif not corrected:  # a known reason: less is needed to blame it
        ok_range, bad_range = (0.4, 3.5), (0.2, 5.0)
        causes = ("no distortion correction: the positions were corrected by the exposures' WCS alone",
                  "a focus or ePSF that changed")  # fmt: skip
    else:
        causes = (DISTORTION_OFF, "an ePSF that does not fit", "too few stars for a distortion of their own")
    yield judge(
        FRAME, "empirical over formal errors of bright stars", value, ok_range, bad_range, rank=10,
        causes=(low,) if value < 1 else causes,
        remedy="go by the stated errors, which hold it; or give a distortion_file of this filter" if limited
        else "solve the distortion from these exposures, or give distortion_file",
    )  # fmt: skip


def place_errors(detectors):
    """Errors of the detectors' relative places, detector by detector."""
    for row in detectors:
        value = max(float(row["dv2_error"]), float(row["dv3_error"]))
        yield judge(
            FRAME, "error of the detector's place, mas", value, (None, 5.0), (None, 100.0),
            about=str(row["detector"]), rank=34,
            causes=("too few stars that tie this detector to the others",
                    "no catalog, and no overlap of detectors"),
            remedy="give a reference_catalog, or dithers that take stars from one detector to the other",
        )  # fmt: skip


def place_changes(detectors):
    """Changes of the detectors' places from those of the exposures' WCS, detector by detector."""
    for row in detectors:
        value = float(np.hypot(row["dv2"], row["dv3"])) / 1e3
        yield judge(
            FRAME, "change of the detector's place, arcsec", value, (None, 0.1), (None, 1.0),
            about=str(row["detector"]), rank=8,
            causes=("exposures of this detector matched to wrong stars", "a distortion of another detector"),
            remedy="look at this detector's exposures alone",
        )  # fmt: skip
