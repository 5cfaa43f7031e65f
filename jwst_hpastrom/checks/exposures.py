"""Checks of the star fits and of the ePSF's build."""

import numpy as np

from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import BAD_QFIT, SKY_NOISE

__all__ = [
    "EPSF_CAUSE", "all_chi2", "bright_chi2", "bright_qfit", "brighter_fatter", "build_phase", "charge",
    "epsf_borrowed", "filled", "hot_pixels", "light_error", "light_noise", "lost_cores", "lost_peaks",
    "saturated", "sky_noise", "star_counts", "wing_light",
]  # fmt: skip

FIT, BUILD = "hp_epsf_fit", "hp_epsf_build"
EPSF_CAUSE = "the ePSF does not fit these stars: wrong filter, detector or epoch?"
STARLIGHT = "a sky that was subtracted with starlight: of a median filter, or a mesh of a few pixels"
FILLED = "pixels of one and the same value: a dead amplifier, or missing pixels that were filled"
FLAT = "a flat field that is not these exposures': of another date, filter or detector, or none"
RAYS = "cosmic rays and hot pixels that the DQ does not name"
EVERYWHERE = "pixels without values, or flagged bad, all over the exposure"
CORES = ("jumps that calwebb_detector1 found in the cores of stars", "saturation that the DQ does not name",
         "a detector mask of another detector")  # fmt: skip
#: chi-square of bright stars above which their QFIT is misfit and no noise, and QFIT that is bad then
MISFIT, SURE_QFIT = 8.0, 0.045
#: QFIT of bright stars that is worth a look
LOOK_QFIT = 0.04
#: fewest bright stars that a median is judged by
LEAST = 10
#: reduced chi-square of bright stars: no ePSF makes it lower, but a photon noise that is stated too large
LEAST_CHI2 = 0.7
#: scatter of pixels without stars over their ERR that is bad
FAR_SKY_NOISE = (0.4, 2.6)
#: the same of pixels without any noise
NO_NOISE = 0.1
#: error of the light in one pixel, over it: usual ones are a tenth; that of pixels alone is the flat field's
LIGHT_ERROR, PIXEL_ERROR = (0.03, 0.08), (0.015, 0.04)
#: share of the variance of the light from which on it is the pixels' own
PIXELS = 0.6
#: light around stars over the ePSF's; half of it is left by a median filter of 9 x 9 pixels
WINGS, FAR_WINGS = 0.88, 0.7
#: standard errors of it that one of several exposures comes to
CHANCE = 2.5
#: 1e-6 pixels per DN: shifts of a boundary that charge makes in this camera's detectors
BOUNDARY = (0.0, 2.0)


def _name(row):
    return str(row["filename"])


def bright_qfit(fit):
    """QFIT of bright, clean stars, exposure by exposure."""
    for row in fit:
        value = row["qfit"] if "n_bright" not in fit.colnames or row["n_bright"] >= LEAST else np.nan
        # not noise: the misfit itself
        sure = "chi2_bright" in fit.colnames and row["chi2_bright"] > MISFIT
        yield judge(
            FIT, "QFIT of bright stars", value, (None, LOOK_QFIT), (None, SURE_QFIT if sure else BAD_QFIT),
            about=_name(row), rank=2,
            causes=(EPSF_CAUSE, "a moved or trailed exposure", "a field too crowded for mode isolated"),
            remedy="look at the residuals; build the ePSF from these exposures, or give that of their filter",
        )  # fmt: skip


def bright_chi2(fit):
    """Reduced χ² of bright, clean stars, exposure by exposure."""
    if "chi2_bright" not in fit.colnames:
        return
    for row in fit:
        low = row["chi2_bright"] < 1
        causes = (
            "the errors of the pixels are too large, those by light at least: another gain?",
            "images that were resampled or smoothed",
        )
        if not low:
            causes = (EPSF_CAUSE, "the errors of the pixels are too small")
        yield judge(
            FIT, "chi-square of bright stars", row["chi2_bright"] if row["n_bright"] >= LEAST else np.nan,
            (LEAST_CHI2, 20.0), (0.1, 200.0), about=_name(row), rank=3, causes=causes,
            remedy="compare the ePSF with the stars; check the ERR extension",
        )  # fmt: skip


def all_chi2(fit):
    """Median reduced χ² of all stars, most of them faint, exposure by exposure: errors of the pixels."""
    if not {"chi2", "n_stars"} <= set(fit.colnames):
        return
    for row in fit:
        low = row["chi2"] < 1
        yield judge(
            FIT, "chi-square of all stars", row["chi2"] if row["n_stars"] >= 3 * LEAST else np.nan,
            (0.4, 4.0), (0.2, 20.0), about=_name(row), rank=3,
            causes=("the errors of the pixels are too large", "images that were resampled or smoothed") if low
            else ("the errors of the pixels are too small", EPSF_CAUSE),
            remedy="check the ERR extension",
        )  # fmt: skip


def sky_noise(fit):
    """Scatter of pixels without stars over their ERR, exposure by exposure; larger, it stands in for ERR."""
    if "sky_noise_ratio" not in fit.colnames:
        return
    for row in fit:
        value = float(row["sky_noise_ratio"])
        causes = ("the errors of the pixels are too small", "a sky with structure: stripes, nebula, stars")
        if value < 1:
            causes = ("the errors of the pixels are too large", "images that were resampled or smoothed")
        if value < NO_NOISE:
            causes = (FILLED,)
        yield judge(
            FIT, "scatter of pixels without stars over their ERR", value, SKY_NOISE, FAR_SKY_NOISE,
            about=_name(row), rank=3, causes=causes,
            remedy="check the ERR extension; positions' errors are from the scatter where that is larger",
        )  # fmt: skip


def filled(fit):
    """Share of good pixels that have one and the same value, exposure by exposure."""
    if "filled_pixels" not in fit.colnames:
        return
    for row in fit:
        yield judge(
            FIT, "share of good pixels of one and the same value", float(row["filled_pixels"]),
            (None, 0.001), (None, 0.02), about=_name(row), rank=1, causes=(FILLED,),
            remedy="set them to NaN, or the bit DO_NOT_USE of their DQ",
        )  # fmt: skip


def light_noise(fit):
    """Whether bright pixels' ERR go with their light, exposure by exposure."""
    if "err_follows_light" not in fit.colnames:
        return
    for row in fit:
        yield judge(
            FIT, "correlation of bright pixels' ERR with their light", float(row["err_follows_light"]),
            (0.6, None), (0.3, None), about=_name(row), rank=1,
            causes=("errors of the pixels that are not of this exposure, or one and the same for all",),
            remedy="give the exposure its own ERR extension",
        )  # fmt: skip


def light_error(fit):
    """Error of the light of bright stars' pixels in proportion to it, exposure by exposure."""
    if not {"light_error", "light_error_pixels", "sky_noise_ratio"} <= set(fit.colnames):
        return
    usual = float(np.nanmedian(fit["light_error"])) if np.isfinite(fit["light_error"]).any() else np.nan
    for row in fit:
        value, pixels = float(row["light_error"]), float(row["light_error_pixels"])
        own = pixels**2 > PIXELS * value**2
        if own and not np.isfinite(row["sky_noise_ratio"]):
            continue  # a field so dense that it is the light of unseen neighbors
        ok, bad = PIXEL_ERROR if own else LIGHT_ERROR
        causes = (EPSF_CAUSE, STARLIGHT)
        if own:  # a flat field's is in all exposures
            causes = (RAYS, FLAT) if len(fit) > 2 and value > 1.5 * usual else (FLAT, RAYS)
        yield judge(
            FIT, "error of bright stars' light in a pixel, over the light", value, (None, ok), (None, bad),
            about=_name(row), rank=4,
            causes=causes,
            remedy="the stated errors hold it; calibrate with the right flat field" if own
            else "the stated errors hold it; build the ePSF from these exposures",
        )  # fmt: skip


def wing_light(fit):
    """Light a few pixels from bright stars over that of the ePSF, exposure by exposure."""
    if "wing_light" not in fit.colnames:
        return
    for row in fit:
        # an ePSF that does not fit has other wings, too
        fits = not row["qfit"] > LOOK_QFIT
        known = "wing_light_error" in fit.colnames and np.isfinite(row["wing_light_error"])
        chance = CHANCE * float(row["wing_light_error"]) if known else 0.0
        yield judge(
            FIT, "light 4 to 8 pixels from bright stars, over the ePSF's", float(row["wing_light"]),
            (WINGS - chance, None), (FAR_WINGS - chance, None), about=_name(row), rank=1 if fits else 4,
            causes=(STARLIGHT, EPSF_CAUSE) if fits else (EPSF_CAUSE, STARLIGHT),
            remedy="leave the sky in, hp_epsf_fit measures it; or take it from 30 pixels and more",
        )  # fmt: skip


def lost_cores(fit):
    """Share of bright stars whose central 3×3 pixels are not all good, exposure by exposure."""
    if "n_cores" not in fit.colnames:
        return
    for row in fit:
        value = row["n_lost_core"] / row["n_cores"] if row["n_cores"] >= LEAST else np.nan
        causes = CORES
        # 9 pixels of a core: so many bad ones everywhere lose as many cores
        if "bad_pixels" in fit.colnames and 1 - (1 - row["bad_pixels"]) ** 9 > 0.7 * value:
            causes = (EVERYWHERE, *CORES)
        yield judge(
            FIT, "share of bright stars that lost core pixels", value, (None, 0.2), (None, 0.5),
            about=_name(row), rank=6,
            causes=causes,
            remedy="look at the DQ of these pixels; raise rejection_threshold of the jump step",
        )  # fmt: skip


def lost_peaks(fit):
    """Share of bright, isolated peaks of the image that are no stars of the list, exposure by exposure."""
    if "n_peaks" not in fit.colnames:
        return
    for row in fit:
        value = row["n_lost_peaks"] / row["n_peaks"] if row["n_peaks"] >= LEAST else np.nan
        yield judge(
            FIT, "share of bright, isolated peaks that are not in the star list", value, (None, 0.3),
            (None, 0.6), about=_name(row), rank=2, causes=(EPSF_CAUSE, *CORES),
            remedy="look at the image beside the star list; build the ePSF from these exposures",
        )  # fmt: skip


def saturated(fit):
    """Share of bright stars with saturated pixels, exposure by exposure."""
    if not {"n_high", "n_cores"} <= set(fit.colnames):
        return
    for row in fit:
        value = 1 - row["n_cores"] / row["n_high"] if row["n_high"] >= LEAST else np.nan
        yield judge(
            FIT, "share of bright stars that are saturated", value, (None, 0.5), (None, 0.8),
            about=_name(row), rank=2,
            causes=("nearly all bright stars are saturated: the exposure is too long for this field",
                    "a saturation mask of another exposure"),
            remedy="take shorter exposures, or read-outs with more groups; look at the DQ",
        )  # fmt: skip


def charge(fit):
    """Exposures whose charge is not known, where the ePSF is one without charge."""
    if "charge_unknown" not in fit.colnames:
        return
    unknown = np.asarray(fit["charge_unknown"], bool)
    yield judge(
        FIT, "share of exposures whose brighter-fatter effect stays", float(unknown.mean()),
        (None, 0.0), (None, 1.0), rank=28,
        causes=("exposures without NGROUPS, TGROUP or PHOTMJSR: their charge is not known",),
        remedy="give exposures with their headers, or build the ePSF with --brighter_fatter=0",
    )  # fmt: skip


def star_counts(fit):
    """Stars of an exposure against the median of all."""
    n = np.asarray(fit["n_stars"], float)
    if n.size < 3:
        return
    for row, ratio in zip(fit, n / np.median(n), strict=True):
        yield judge(
            FIT, "stars, over those of the other exposures", ratio, (0.6, 1.6), (0.25, 4.0),
            about=_name(row), rank=20,
            causes=("another pointing, filter or exposure time", "a guide star lost, or a trailed exposure",
                    "many cosmic rays or hot pixels taken for stars"),
            remedy="look at the exposure; take it out of the association",
        )  # fmt: skip


def build_phase(build):
    """Pixel-phase error that was left when the ePSF was built."""
    for axis in "xy":
        name = f"{axis}_phase"
        if name not in build.colnames:
            continue
        kept = f"{axis}_phase_error"  # NaN where there are too few phases to tell, which is judged by itself
        known = kept in build.colnames and np.isfinite(build[kept][-1])
        yield judge(
            BUILD, "pixel-phase error of the ePSF, pixels", float(build[kept if known else name][-1]),
            (None, 0.006), (None, 0.03), about=axis, rank=25,
            causes=("too few dithers, or dithers by whole pixels", "too few stars for an undersampled ePSF"),
            remedy="add exposures at other pixel phases, or give an ePSF library",
        )  # fmt: skip
        if (number := build.meta.get(f"{axis}_pixel_phases")) is not None:
            yield judge(
                BUILD, "pixel phases that a star is seen at", float(number), (2.5, None), (1.2, None),
                about=axis, rank=26,
                causes=("too few dithers: an error that the phases have in common does not show",),
                remedy="add exposures at other pixel phases, or give an ePSF library",
            )  # fmt: skip


def epsf_borrowed(build):
    """Share of the ePSF's field positions that have no stars of their own."""
    if "n_borrowed" not in build.colnames or "grid" not in build.colnames:
        return
    yield judge(
        BUILD, "share of borrowed ePSFs", float(build["n_borrowed"][-1]) / float(build["grid"][-1]) ** 2,
        (None, 0.35), (None, 0.75), rank=40,
        causes=("too few bright stars in parts of the field",),
        remedy="use a smaller grid, or add exposures",
    )  # fmt: skip


def brighter_fatter(build):
    """Boundary shift that the build learned; 0 where the stars do not pay for one."""
    if "brighter_fatter" not in build.colnames:
        return
    yield judge(
        BUILD, "brighter-fatter shift, 1e-6 pixels per DN", 1e6 * float(build["brighter_fatter"][-1]),
        BOUNDARY, (BOUNDARY[0] - 2 * BOUNDARY[1], 5 * BOUNDARY[1]), rank=27,
        causes=("nonlinearity or persistence taken for charge",
                "an ePSF that does not fit bright and faint stars alike"),
        remedy="leave out saturated stars (mag_min), or give brighter_fatter",
    )  # fmt: skip


def hot_pixels(build):
    """Share of the pixels that the dithers show to be hot and the DQ calls good."""
    value = build.meta.get("hot_pixel_share", np.nan)
    yield judge(
        BUILD, "share of hot pixels that the DQ calls good", value, (None, 4e-3), (None, 1e-2), rank=29,
        causes=("a bad-pixel mask that is too old, or that marks hot pixels (HOT) without DO_NOT_USE",
                "exposures that were not dithered: stars taken for hot pixels"),
        remedy="use the detector mask that was written, exposures with a newer mask, or HOT in bad_bits",
    )  # fmt: skip
