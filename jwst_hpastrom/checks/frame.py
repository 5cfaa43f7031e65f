"""Checks of the distortion solution and of the master frame."""

import numpy as np

from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import values

__all__ = [
    "borrowed_cells", "dithers", "frame_phase", "held_out", "matched_share", "overlap", "place_changes",
    "place_errors", "pointing", "repeatability", "untied",
]  # fmt: skip

DISTORTION, FRAME = "hp_distortion_refine", "hp_master_frame"
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
    few = _empty_share(distortion.meta)
    yield judge(
        DISTORTION, "share of borrowed table cells", distortion.meta.get("borrowed_cells", np.nan),
        (None, min(few + 0.2, 0.93)), (None, 0.95), rank=41,
        causes=("a part of the detector without stars", "too few stars for so many cells"),
        remedy="use fewer table_cells, or add exposures",
    )  # fmt: skip


def _empty_share(meta):
    """Share of the cells that chance leaves with fewer than three of so many stars."""
    parameters = meta.get("parameters") or {}
    cells, pairs = float(parameters.get("table_cells") or 0) ** 2, float(meta.get("pairs", 0))
    if not (cells and pairs):
        return 0.4
    mean = pairs * (1 - float(parameters.get("held_out", 0.0))) / cells
    return float(np.exp(-mean) * (1 + mean + mean**2 / 2))


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


def untied(choices):
    """Stars of the reference catalog in the field, where the frame could not be tied to any of them."""
    causes = (
        "a catalog of another field or system, or shifted by more than max_shift",
        "a wrong epoch of a catalog with fast stars",
        "entries of the catalog that are no stars",
    )
    if because := choices.meta.get("untied_because"):
        causes = (
            f"{because}: images that were flipped, turned or transposed, or x and y exchanged",
            "a catalog with an axis of the other sign",
        )
    yield judge(
        FRAME, "stars of the catalog in the field, none of them that of the exposures",
        choices.meta.get("untied_stars", np.nan), (None, 0), (None, 0 if because else 30), rank=1,
        causes=causes,
        remedy="compare the catalog with Gaia; motions and distortion were not measured",
    )  # fmt: skip


def matched_share(exposures):
    """Share of an exposure's stars that enough others have, too, of those that they look at."""
    overlap = values(exposures, "overlap") if "overlap" in exposures.colnames else np.ones(len(exposures))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = values(exposures, "n_matched") / (values(exposures, "n_found") * overlap)
    causes = (
        "noise or artifacts taken for stars: pixel errors that are too small, or a low threshold",
        "an ePSF that does not fit",
        "stars matched to others: a wrong WCS",
    )
    for row, share, common in zip(exposures, found, overlap, strict=True):
        yield judge(
            FRAME, "share of stars that other exposures have",
            share if len(exposures) > 2 and common > 0.02 else np.nan, (0.45, None), (0.15, None),
            about=str(row["exposure"]), rank=30, causes=causes,
            remedy="look at the exposure's stars that the others do not have",
        )  # fmt: skip


def overlap(exposures):
    """Share of an exposure that enough others look at to have its stars in the frame."""
    if "overlap" not in exposures.colnames or len(exposures) < 3:
        return
    for row in exposures:
        yield judge(
            FRAME, "share of the exposure that enough others look at", float(row["overlap"]),
            (0.25, None), (0.05, None), about=str(row["exposure"]), rank=31,
            causes=("little overlap with the other exposures",),
            remedy="lower min_exposures, or add exposures between",
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
