"""Checks of one exposure against the others: orientation, errors, time, and whether it is another at all."""

import numpy as np

from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import values

__all__ = [
    "bright_stars",
    "doubles",
    "exposure_epochs",
    "exposure_errors",
    "exposure_scatter",
    "list_rows",
    "mirrored",
    "orientation",
    "rounding",
    "twice",
    "used_share",
    "zero_points",
]

FRAME = "hp_master_frame"
CATALOG = "a catalog of another system, rotated or scaled"
#: fewest stars in common with the others whose agreement is judged
FEW = 15
#: degrees beyond which an exposure is turned against the others
TURNED = 5.0
OTHER = (
    "the distortion or ePSF does not fit this exposure: another filter, focus or detector",
    "a moved or trailed exposure",
    "stars matched to others: a wrong WCS",
)
SHUFFLED = "magnitudes of this list that are other stars'"
#: factor on all lists' errors below which they are the exposures' own
OWN = 1.3
#: factor between lists' errors that is looked at (good images: 1.43 at most); its logarithm's size by
#: chance, times the root of the number of stars (good lists of 240 to 4400 stars: less than half of it)
DOUBLED, CHANCE = 1.65, 9.0
#: times the usual error of a zero point: its stars do not agree
SCATTERED = 2.0
#: magnitudes that stars of a list span at most; beyond, the numbers are no magnitudes
SPAN = 8.0
#: pixels of an error with the phase that only an ePSF which does not fit makes
PHASE = 0.1
EXCHANGED = "x and y of this list exchanged or mirrored, or another detector's pixels"


def _others(column):
    """Median of the other rows, row by row."""
    return np.array(
        [
            np.nanmedian(np.delete(column, k)) if np.isfinite(np.delete(column, k)).any() else np.nan
            for k in range(column.size)
        ]
    )


def _causes(exposures, k):
    rotation = values(exposures, "rotation_deg")
    turn = np.abs((rotation - np.median(rotation) + 180) % 360 - 180)
    one_detector = "detector" not in exposures.colnames or len(set(exposures["detector"])) == 1
    return (EXCHANGED, *OTHER) if one_detector and turn[k] > TURNED else OTHER


def used_share(exposures):
    """Share of an exposure's stars in the frame that agree with the other exposures."""
    if "n_used" not in exposures.colnames or len(exposures) < 3:
        return
    for k, row in enumerate(exposures):
        share = row["n_used"] / row["n_matched"] if row["n_matched"] >= FEW else np.nan
        yield judge(
            FRAME,
            "share of stars that agree with the other exposures",
            share,
            (0.8, None),
            (0.5, None),
            about=str(row["exposure"]),
            rank=4,
            causes=_causes(exposures, k),
            remedy="look at the exposure; take it out of the association",
        )


def exposure_scatter(exposures):
    """Residuals of an exposure over those of the others."""
    if "rms_x_pix" not in exposures.colnames or len(exposures) < 3:
        return
    size = np.hypot(values(exposures, "rms_x_pix"), values(exposures, "rms_y_pix"))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = size / _others(size)
    for k, row in enumerate(exposures):
        value = ratio[k] if row["n_used"] >= 30 else np.nan
        yield judge(
            FRAME,
            "residuals, over those of the other exposures",
            value,
            (None, 2.5),
            (None, 5.0),
            about=str(row["exposure"]),
            rank=13,
            causes=_causes(exposures, k),
            remedy="look at the exposure; take it out of the association",
        )


def bright_stars(exposures):
    """Scatter of an exposure's bright stars about the frame, over that of the others."""
    if "bright_residual_pix" not in exposures.colnames or len(exposures) < 3:
        return
    size = values(exposures, "bright_residual_pix")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = size / _others(size)
    for k, row in enumerate(exposures):
        yield judge(
            FRAME, "scatter of bright stars, over that of the other exposures", ratio[k], (None, 2.5),
            (None, 5.0), about=str(row["exposure"]), rank=6, causes=_causes(exposures, k),
            remedy="look at the exposure; take it out of the association",
        )  # fmt: skip


def list_rows(exposures):
    """Rows that a list has twice, and errors that are the same for all its stars."""
    if "twice_share" not in exposures.colnames:
        return
    for row in exposures:
        about = str(row["exposure"])
        yield judge(
            FRAME, "share of the list's rows at the pixels of another", float(row["twice_share"]),
            (None, 0.005), (None, 0.1), about=about, rank=2, causes=("stars that this list has twice",),
            remedy="take each star once",
        )  # fmt: skip
        yield judge(
            FRAME, "large over small stated errors of the list", float(row["error_range"]), (1.2, None),
            (None, None), about=about, rank=12,
            causes=("errors of this list that are one and the same for bright and faint stars",),
            remedy="give each star the error of its fit, or leave the columns x_err and y_err out",
        )  # fmt: skip


def doubles(exposures):
    """Share of an exposure's stars that have a second image, all at one step."""
    if "double_share" not in exposures.colnames:
        return
    for row in exposures:
        yield judge(
            FRAME, "share of stars with a second image at one step", float(row["double_share"]), (None, 0.1),
            (None, 0.25), about=str(row["exposure"]), rank=1,
            causes=("a double exposure: dithers added without a shift, or a guide star that jumped",
                    "a ghost, or persistence of an earlier exposure"),
            remedy="look at the exposure; take it out of the association",
        )  # fmt: skip


def exposure_errors(exposures):
    """Factor on the errors of faint stars that the other exposures show, over that of all."""
    if "error_factor" not in exposures.colnames:
        return
    factor = values(exposures, "error_factor")
    if not np.isfinite(factor).sum() > 2:
        return
    small = "errors of this list that are too small, or in other units"
    # errors that are too small leave positions as they are; a trail or another ePSF moves them with the phase
    causes = (*OTHER[:2], small) if _phases(exposures).any() else (small, *OTHER)
    ratio = factor / np.nanmedian(factor)
    # what scatters all, as a distortion that is not solved, makes the errors of none too large
    ratio = np.where(ratio < 1, np.maximum(ratio, np.minimum(factor, 1)), ratio)
    for row, value in zip(exposures, ratio, strict=True):
        most = 2.0
        if np.nanmedian(factor) < OWN:  # nothing that the exposures share hides the lists' own errors
            most = min(2.0, max(DOUBLED, np.exp(CHANCE / np.sqrt(max(row["n_matched"], 1)))))
        yield judge(
            FRAME,
            "scatter over errors of faint stars, over that of the other exposures",
            value,
            (1 / most, most),
            (0.33, 3.0),
            about=str(row["exposure"]),
            rank=5,
            causes=causes if value > 1 else ("errors of this list that are too large, or in other units",),
            remedy="compare this list's errors with those of the others",
        )


def _phases(exposures):
    """Whether each exposure's positions are off by far too much with the pixel phase."""
    if not {"phase_pix", "phase_error_pix"} <= set(exposures.colnames):
        return np.zeros(len(exposures), bool)
    phase = values(exposures, "phase_pix")
    with np.errstate(invalid="ignore"):
        return (phase > PHASE) & (phase > 3 * values(exposures, "phase_error_pix"))


def twice(exposures):
    """Differences of the two exposures most alike: one exposure under two names is too much so."""
    if "alike" not in exposures.colnames:
        return
    alike = values(exposures, "alike")
    known = np.isfinite(alike)
    if not known.any():
        return
    value = float(alike[known].min())
    pair = [str(n) for n, a in zip(exposures["exposure"], alike, strict=True) if a == alike[known].min()]
    yield judge(
        FRAME,
        "difference of the pair of exposures most alike, over that expected",
        value,
        (0.4, None),
        (0.15, None),
        about=" ".join(pair[:2]),
        rank=2,
        causes=("one exposure twice, under two names",),
        remedy="take one of them out",
    )


def orientation(exposures):
    """Rotation and scale of the frame against the exposures' WCS; all have the frame's."""
    if "pointing_scale" not in exposures.colnames:
        return
    rotation, scale = (values(exposures, f"pointing_{c}") for c in ("rotation_deg", "scale"))
    if not np.isfinite(rotation).any():
        return
    common = float(np.nanmedian(rotation))
    yield judge(
        FRAME,
        "rotation of the frame against the WCS, degrees",
        abs(common),
        (None, 0.1),
        (None, 0.5),
        rank=6,
        causes=(CATALOG, "a wrong roll in the exposures' WCS"),
        remedy="compare the catalog and the WCS with Gaia",
    )
    for row, turn in zip(exposures, np.abs(rotation - common), strict=True):
        yield judge(
            FRAME,
            "rotation of the exposure's WCS against the others', degrees",
            turn,
            (None, 0.1),
            (None, 0.5),
            about=str(row["exposure"]),
            rank=7,
            causes=("a wrong roll in this exposure's WCS",),
            remedy="compare its roll with its engineering data; the frame itself does not need it",
        )
    own = values(exposures, "scale_mas") if "scale_mas" in exposures.colnames else scale
    detector = np.asarray(exposures["detector"] if "detector" in exposures.colnames else np.zeros(own.size))
    usual = np.array([np.nanmedian(own[detector == d]) for d in detector])  # NIRCam's differ by 2 %
    for row, value in zip(exposures, np.abs(own / usual - 1), strict=True):
        yield judge(
            FRAME, "scale of the exposure against the others, 1e-4", 1e4 * value, (None, 5.0),
            (None, 30.0), about=str(row["exposure"]), rank=7,
            causes=("pixels of another scale in this list", "the WCS of another detector or filter"),
            remedy="compare the exposure's distortion reference with the others'; positions do not need it",
        )  # fmt: skip
    yield judge(
        FRAME,
        "scale of the frame against the WCS, 1e-4",
        1e4 * abs(float(np.nanmedian(scale)) - 1),
        (None, 5.0),
        (None, 30.0),
        rank=8,
        causes=(CATALOG, "a distortion reference of another detector in the WCS"),
        remedy="compare the catalog and the WCS with Gaia",
    )


def mirrored(exposures):
    """Whether an exposure is mirrored against the sky, or, without a sky, against the others."""
    if "parity" not in exposures.colnames:
        return
    parity = values(exposures, "parity")
    on_sky = "ra" in exposures.colnames and np.isfinite(values(exposures, "ra")).all()
    for row, value in zip(exposures, parity, strict=True):
        yield judge(
            FRAME,
            "parity of the positions against the sky's",
            value if on_sky else value * np.median(parity),
            (0.0, None),
            (0.0, None),
            about=str(row["exposure"]),
            rank=2,
            causes=(EXCHANGED,),
            remedy="exchange the columns x and y; for a mirrored axis take it from the other side",
        )


def exposure_epochs(exposures):
    """Years between an exposure and the median of all."""
    if "epoch" not in exposures.colnames:
        return
    epoch = values(exposures, "epoch")
    if not np.isfinite(epoch).any():
        return
    for row, value in zip(exposures, np.abs(epoch - np.nanmedian(epoch)), strict=True):
        yield judge(
            FRAME,
            "years from the other exposures",
            value,
            (None, 0.3),
            (None, 1.0),
            about=str(row["exposure"]),
            rank=3,
            causes=("a wrong time in this exposure's header", "exposures of several epochs in one frame"),
            remedy="check EXPMID; make one frame an epoch",
        )


def rounding(exposures):
    """Step of a list's positions, pixels."""
    if "rounding_pix" not in exposures.colnames:
        return
    for row in exposures:
        yield judge(
            FRAME,
            "rounding of the positions, pixels",
            float(row["rounding_pix"]),
            (None, 0.005),
            (None, 0.03),
            about=str(row["exposure"]),
            rank=3,
            causes=("positions that were rounded: x and y have too few digits",),
            remedy="write the lists with 4 digits or more",
        )


def zero_points(exposures):
    """Zero point of an exposure's magnitudes against the others'."""
    if "zero_point" not in exposures.colnames or len(exposures) < 2:
        return
    zero = values(exposures, "zero_point")
    known = "zero_point_error" in exposures.colnames
    error = values(exposures, "zero_point_error") if known else np.zeros(zero.size)
    usual = np.median(error[error > 0]) if (error > 0).any() else np.inf
    for k, (row, value) in enumerate(zip(exposures, np.abs(zero - np.nanmedian(zero)), strict=True)):
        causes = ("fluxes of this exposure in other units", "another exposure time, filter or calibration")
        yield judge(
            FRAME,
            "zero point from that of the other exposures, mag",
            value,
            (None, 0.15),
            (None, 0.75),
            about=str(row["exposure"]),
            rank=15,
            causes=(SHUFFLED, *causes) if error[k] > SCATTERED * usual and value < SPAN else causes,
            remedy="calibrate the exposures alike; positions do not need it",
        )
