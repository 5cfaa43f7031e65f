"""Checks of the motions, against the catalog's own and against what the models expect."""

import numpy as np
from scipy.stats import poisson

from jwst_hpastrom.checks.catalogs import against_catalog
from jwst_hpastrom.checks.causes import COS_DEC, SHIFTED
from jwst_hpastrom.checks.scatter import UNCORRECTED, no_distortion
from jwst_hpastrom.checks.verdict import judge
from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.geometry import sky_middle
from jwst_hpastrom.motion.star_fits.reference_columns import named_axes

__all__ = [
    "apart", "catalog_errors", "catalog_outliers", "catalog_scatter", "chi2_loo", "clumps", "correlation",
    "crossed", "frame_bias", "linear", "magnitude_trend", "own_scatter", "pattern", "pull", "slope", "turn",
    "unchecked",
]  # fmt: skip

MOTION = "hp_proper_motion"
AXES = ("pmra", "pmdec")
#: errors beyond which the two axes are no more of one factor
DIFFERENT = 4.0
#: correlation with the catalog's motions that the errors leave, below which they hide what is common
HIDDEN = 0.6
#: factor that no error of an epoch makes
OTHER_UNITS = 20.0
EPOCH = "a wrong epoch of the catalog or of the exposures"
BOTH_SIGNS = "epochs of catalog and exposures exchanged, or motions of the catalog with the other sign"
#: errors of a trend from which on it is no by-product of other differences
CLEAR = 15.0
#: degrees between motions and the catalog's that are to be looked at, and that are bad; times their error
TURN, TURN_SIGMA = (2.0, 5.0), (3.5, 5.0)
#: degrees from which on both axes have the other sign
BACK = 175.0
EXCHANGED = "pmra and pmdec of the catalog exchanged"
ERRORS = "errors of the catalog that are wrong for a part of its stars"
TOO_SMALL = "errors of the catalog that are too small"
POSITIONS = "wrong positions of a part of the catalog's stars"
POSITION_ERRORS = "errors of the catalog's positions that are too small"
PART_OFF = "wrong positions or motions of a part of the catalog's stars"
TURNED = "motions of the catalog that are turned: along Galactic or ecliptic axes, or a detector's"
OTHERS = "motions of the catalog that are other stars': a column that was sorted or shuffled"
FAR_OFF = "a distortion that does not fit these exposures: turned, or of another filter, detector or epoch"
#: pattern, in errors, beyond what few reference stars leave of a distortion
UNTOLD = 4.0
#: stated errors of positions beyond which not a part of them is off, but all errors are too small
ALL_OFF = 2.4
#: width of pulls beyond one that is no chance: four standard errors of two axes, over their number's root
TOO_WIDE = 2.6
#: times what is expected that one of two axes' slopes, two of them each, come to in one of 200 fields
CHANCE = 2.4
#: chance that as many stars as in good fields are blends and wrong matches
RARE = 0.003
#: share of stars apart from the rest up to which differences are those of one law, and width of the best
#: fifth over that of all from which on they are
ONE_LAW, ONE_WIDTH = 0.012, 0.88


def _known(motions, causes):
    """Causes after one that is known: where no distortion was corrected for, it comes first."""
    if not no_distortion(motions.meta):
        return causes
    limited = motions.meta.get("distortion_limited_by")
    return (f"no distortion could be solved: {limited}" if limited else UNCORRECTED, *causes)


def _weighted(found, name):
    """Factor of both axes together, and its relative error; None where neither is known."""
    names = [f"{name}{{}}_{c}" for c in AXES]
    value, error = (np.array([found.get(n.format(e), np.nan) for n in names]) for e in ("", "_error"))
    known = (value > 0) & (error > 0)
    if not known.any():
        return None
    weight = (value[known] / error[known]) ** 2
    return float(np.exp(weight @ np.log(value[known]) / weight.sum())), float(weight.sum() ** -0.5)


def _beyond(least, sigma, reach):
    """Factor that is out of what is expected: from ``least`` on, and so many of its relative errors."""
    return float(np.exp(max(np.log(least), sigma * reach)))


def _gate(found, most):
    """Width of the pulls that chance makes beyond ``most``, of so many stars."""
    return most + 1.0 / np.sqrt(_n_pulls(found))


def _n_pulls(found):
    return max(float(found.get("n_pulls", 1)), 1.0)


def slope(motions):
    """Factor by which the measured motions are the catalog's, whatever either's errors."""
    found = against_catalog(motions)
    axes = {
        c: (found[f"factor_{c}"], found[f"factor_error_{c}"])
        for c in AXES
        # errors that hide the motions hide a factor
        if f"factor_{c}" in found and not found.get(f"expected_correlation_{c}", np.nan) < HIDDEN
    }
    alike = len(axes) == 2 and not _differ(*axes.values(), DIFFERENT)
    if alike and np.prod([v for v, _ in axes.values()]) > 0:
        value, error = np.array(list(axes.values())).T
        weight = error**-2.0
        axes = {"": (float(weight @ value / weight.sum()), float(weight.sum() ** -0.5))}
    cos_dec, baseline = found.get("cos_dec", np.nan), abs(float(motions.meta.get("baseline", np.nan)))
    widths = found.get("pull_scatter", found.get("pull", 1.0)), found.get("pull_scaled", np.nan)
    for c, (value, error) in axes.items():
        reach = error / abs(value)
        # where the catalog's errors are far from right, so is this factor's, unless it makes them right
        worst = 1.1 if any(0.6 < w < _gate(found, 1.1) for w in widths) else 1.25
        # errors that nobody states pass for a factor
        least, worst = (1.2, max(worst, 1.3)) if _unstated(found) else (1.06, worst)
        ok, bad = _beyond(least, 3.5, reach), _beyond(worst, 5.0, reach)
        yield judge(
            MOTION, "motions over the catalog's", value, (1 / ok, ok), (1 / bad, bad), about=c, rank=5,
            causes=_slope_causes(c, axes, cos_dec),
            remedy="check EXPMID, the catalog's epoch and the units of its motions"
            + (f"; they fit {value * baseline:.1f} years between the epochs" if value > 0 else ""),
        )  # fmt: skip


def _unstated(found):
    """Whether the catalog's columns are known, and no errors of its motions are among them."""
    return "with_motions" in found and "motion_error_mas_yr" not in found


def _differ(a, b, sigma):
    return abs(a[0] - b[0]) > max(sigma * np.hypot(a[1], b[1]), 0.1 * abs(a[0]))


def _slope_causes(axis, axes, cos_dec):
    """What makes this factor: a sign, the meridians' convergence, an epoch, units."""
    if axes[axis][0] < 0 and not axis:
        return (BOTH_SIGNS, EPOCH)
    if axes[axis][0] < 0:
        return (f"{axis} of the catalog with the other sign, or a mirrored frame", EPOCH)
    if not axis or len(axes) < 2:
        causes = (EPOCH, "motions of the catalog in other units")
        return causes[::-1] if abs(np.log(axes[axis][0])) > np.log(OTHER_UNITS) else causes
    value, error = axes["pmra"]
    for power, what in COS_DEC.items():
        # the motions measured are those on the sky
        if cos_dec < 0.95 and not _differ(
            (value * cos_dec**-power, error * cos_dec**-power), axes["pmdec"], 4
        ):
            return (f"pmra of the catalog {what}", f"{axis} of the catalog in other units", EPOCH)
    return (f"{axis} of the catalog in other units", EPOCH)


def turn(motions):
    """Angle between the motions and the catalog's, whose axes are then not those of right ascension."""
    found = against_catalog(motions)
    value, error = (found.get(f"turn_{c}", np.nan) for c in ("deg", "error_deg"))
    ok, bad = (max(least, n * error) for least, n in zip(TURN, TURN_SIGMA, strict=True))
    causes = (TURNED, "a catalog of another equinox")
    if abs(value) > ok and {"ra", "dec"} <= set(motions.colnames):
        place = sky_middle(values(motions, "ra"), values(motions, "dec"))
        if frame := named_axes(-value, *place, within=max(TURN[0], 2 * error)):
            causes = (f"motions of the catalog along {frame} axes", *causes)
    yield judge(
        MOTION, "angle between the motions and the catalog's, degrees",
        value if abs(value) < BACK else np.nan, (-ok, ok), (-bad, bad), rank=3,
        causes=causes,
        remedy="give pmra (with the factor cos(dec)) and pmdec of the ICRS",
    )  # fmt: skip


def crossed(motions):
    """Correlation of each motion with the catalog's other one."""
    found = against_catalog(motions)
    if "turn_deg" in found:  # turned, and not mirrored
        return
    both = [found.get(f"crossed_{c}", np.nan) for c in ("pmra", "pmdec")]
    direct = [found.get(f"correlation_{c}", np.nan) for c in ("pmra", "pmdec")]
    excess = float(np.min(np.abs(both)) - np.max(np.abs(direct)))
    yield judge(
        MOTION, "correlation with the catalog's other motion, over that with the same", excess,
        (None, 0.1), (None, 0.25), rank=3,
        causes=(EXCHANGED,), remedy="exchange the columns",
    )  # fmt: skip


def correlation(motions):
    """Correlation of the motions with the catalog's, over what the catalog's errors leave of it."""
    found = against_catalog(motions)
    for c in ("pmra", "pmdec"):
        expected = found.get(f"expected_correlation_{c}", np.nan)
        if not expected > HIDDEN:
            continue  # the catalog's errors hide the motions
        value, scatter = found[f"correlation_{c}"] / expected, abs(found.get(f"slope_{c}", np.nan))
        causes = (PART_OFF, "stars matched to others: another field or a wrong epoch",
                  "positions worse than their errors: distortion or ePSF that do not fit")  # fmt: skip
        # nothing in common though both scatter alike, and the other axis is no better
        others = abs(value) < 0.2 and 0.4 < scatter < 2.5 and abs(found[f"crossed_{c}"]) < 0.3
        yield judge(
            MOTION, "correlation with the catalog's motions, over that expected", value, (0.72, None),
            (0.4, None), about=c, rank=4 if others else 12,
            causes=_known(motions, (OTHERS, *causes) if others else causes),
            remedy="compare the catalog with Gaia",
        )  # fmt: skip


def pull(motions):
    """Width of the differences from the catalog's motions over the exposures' scatter and its errors."""
    found = against_catalog(motions)
    value = found.get("pull_scatter", found.get("pull", np.nan))
    causes = ("errors of the catalog that are too large", "errors of the master frame that are too large")
    if value > 1:
        causes = (TOO_SMALL, PART_OFF, "a distortion that does not fit")
        if found.get("core", np.nan) < 1.7:  # a part agrees as well as it should
            causes = (PART_OFF, *(c for c in causes if c != PART_OFF))
        causes = _known(motions, causes)
    yield judge(
        MOTION, "pull of the motions against the catalog's", value,
        (max(0.6, 0.8 - 1 / np.sqrt(_n_pulls(found))), _gate(found, 1.15)),
        (0.5, _gate(found, 1.5)), rank=11,
        causes=causes, remedy="compare the catalog's errors with its scatter about Gaia",
    )  # fmt: skip


def catalog_errors(motions):
    """Pulls of the stars with the smaller and the larger stated errors of their magnitude."""
    found = against_catalog(motions)
    small, large = found.get("pull_small", np.nan), found.get("pull_large", np.nan)
    if not found.get("error_ratio", 0.0) > 1.5:
        return
    yield judge(
        MOTION, "pull of stars with small errors over that of stars with large ones, at one magnitude",
        small / large, (0.7, 1.4), (0.55, 1.6), rank=4,
        causes=(ERRORS, "two catalogs of different quality in one"),
        remedy="compare the catalog's errors with its scatter about Gaia, part by part",
    )  # fmt: skip


def catalog_scatter(motions):
    """Factor on the catalog's errors that the motions show, however large the exposures' own errors are."""
    if (found := _weighted(against_catalog(motions), "their_error_factor")) is None:
        return
    factor, reach = found
    # real catalogs are off by a third; less than this many errors is chance
    ok, bad = _beyond(1.4, 3.5, reach), _beyond(2.0, 5.0, reach)
    yield judge(
        MOTION, "scatter of the catalog's motions over their errors", factor, (None, ok), (None, bad), rank=6,
        causes=(TOO_SMALL,), remedy="compare the catalog's errors with its scatter about Gaia",
    )  # fmt: skip


def own_scatter(motions):
    """Factor on the measured motions' errors, of which the catalog's positions have their part."""
    found = against_catalog(motions)
    both = _weighted(found, "error_factor")
    if both is None or _unstated(found):  # nothing tells the one scatter from the other
        return
    factor, reach = both
    # alone it may be an error that all exposures share; pulls that are too wide tell of a catalog
    width = found.get("pull_scatter", np.nan)
    wide, wider = width > _gate(found, 1.1), width > 1 + TOO_WIDE / np.sqrt(_n_pulls(found))
    ok, bad = _beyond(1.25, 3.5, reach), _beyond(1.25, 2.0, reach)
    causes = (POSITIONS, POSITION_ERRORS, "positions of the exposures that are worse than their errors")
    # what the scatter is beyond the errors, in stated errors of the catalog's positions
    excess = np.sqrt(max(factor**2 - 1, 0.0)) * found.get("position_ratio", 0.0)
    alike = found.get("core", 0.0) > ONE_WIDTH * found.get("pull_scatter", np.inf)
    if excess > ALL_OFF and alike and not found.get("apart", 0.0) > ONE_LAW:
        causes = (POSITION_ERRORS, POSITIONS, causes[2])
    yield judge(
        MOTION, "scatter of the motions over that of the exposures and the catalog's errors", factor,
        (None, min(ok, bad) if wide or wider else ok), (None, bad if wide else None), rank=6,
        causes=_known(motions, causes), remedy="compare the catalog's positions and their errors with Gaia",
    )  # fmt: skip


def pattern(motions):
    """What differences from the catalog have in common over the field, over the motions' errors."""
    found = against_catalog(motions)
    seen = found.get("pattern_sigma", np.nan)
    value = found["pattern_ratio"] if seen > 6 else 0.0 * abs(seen)
    limited, also = motions.meta.get("distortion_limited_by"), ("a distortion of the catalog itself",)
    yield judge(
        MOTION, "pattern over the field of the differences from the catalog's motions, errors", value,
        (None, 1.0), (None, UNTOLD if limited else 2.0), rank=4,
        causes=(FAR_OFF, SHIFTED, *also) if value > UNTOLD else _known(motions, (FAR_OFF, *also)),
        remedy="solve the distortion from these exposures; a zero_point_degree of 2 or 3 takes the rest out",
    )  # fmt: skip


def linear(motions):
    """What differences from the catalog have of a linear function of the place, over the stated errors."""
    found = against_catalog(motions)
    # the tie's own error is such a pattern, and is in the stated ones
    held = CHANCE * found.get("linear_held", 0.0)
    yield judge(
        MOTION, "linear pattern over the field of the differences from the catalog's motions, errors",
        found.get("linear_ratio", np.nan), (None, max(1.0, held)), (None, max(3.0, 1.5 * held)), rank=16,
        causes=("a tie of the epochs that rests on few stars that move", "motions of a turned catalog"),
        remedy="give zero_point_degree=1: the catalog's motions take it out",
    )  # fmt: skip


def clumps(motions):
    """Share of the variance of the differences from the catalog that two clumps of stars explain."""
    yield judge(
        MOTION, "share of the differences from the catalog that two clumps of stars explain",
        against_catalog(motions).get("clumps", np.nan), (None, 0.8), (None, 0.9), rank=3,
        causes=("two epochs, or two catalogs, in one catalog",),
        remedy="give each row its own epoch in a column ref_epoch, or make a catalog of each",
    )  # fmt: skip


def _chance(share, n):
    """Share of n stars that one which is so in good fields hardly ever exceeds."""
    return float(poisson.isf(RARE, share * n) / n)


def apart(motions):
    """Share of stars that differ from the catalog by far more than most do, in whatever units of errors."""
    found = against_catalog(motions)
    n = _n_pulls(found)
    ok, bad = _chance(0.012, n), 0.022 + 2 * np.sqrt(0.022 / n)
    yield judge(
        MOTION, "share of stars that differ from the catalog by far more than the rest",
        found.get("apart", np.nan), (None, ok), (None, max(bad, ok)), rank=6,
        causes=_known(motions, (PART_OFF, "blends and wrong matches")),
        remedy="compare the catalog with Gaia",
    )  # fmt: skip


def catalog_outliers(motions):
    """Share of stars that differ from the catalog by more than four sigma."""
    found = against_catalog(motions)
    ok = max(0.03, _chance(0.02, _n_pulls(found)))
    causes = (PART_OFF, TOO_SMALL, "blends and wrong matches")
    if found.get("core", 0.0) > 1.7:  # even those that agree best do not
        causes = (TOO_SMALL, PART_OFF, "a distortion that does not fit")
    yield judge(
        MOTION, "share of stars beyond four sigma of the catalog", found.get("outliers", np.nan),
        (None, ok), (None, max(0.06, ok)), rank=7, causes=_known(motions, causes),
        remedy="compare the catalog with Gaia",
    )  # fmt: skip


def magnitude_trend(motions):
    """Difference from the catalog between faint and bright stars, mas at the exposures' epoch."""
    found = against_catalog(motions)
    sigma = found.get("trend_sigma", np.nan)
    value = abs(found.get("trend_mas", np.nan)) if sigma > 4 else 0.0
    yield judge(
        MOTION, "magnitude trend of the positions, mas", value if "trend_mas" in found else np.nan,
        (None, 0.4), (None, 2.0), rank=5 if sigma > CLEAR else 30,
        causes=("an ePSF that does not fit bright and faint stars alike (brighter-fatter, persistence, CTE)",
                "a magnitude trend of the catalog"),
        remedy="leave saturated and faint stars out by mag_min and mag_max",
    )  # fmt: skip


def chi2_loo(motions):
    """Leave-one-out χ² of many epochs, median over its expectation."""
    expected = motions.meta.get("expected_chi2_loo") or ()
    if len(expected) != 21 or "chi2_loo_ra" not in motions.colnames:
        return
    found = np.r_[values(motions, "chi2_loo_ra"), values(motions, "chi2_loo_dec")]
    if not np.isfinite(found).any():
        return
    value = float(np.nanmedian(found) / expected[10])
    causes = ("errors of the star lists that are too large",)
    if value > 1:
        causes = ("errors of the star lists that are too small", "an epoch with wrong positions or time")
    yield judge(
        MOTION, "leave-one-out chi-square over its expectation", value, (0.5, 1.7), (0.25, 3.5), rank=13,
        causes=causes, remedy="look at the epochs one by one; try --models=auto",
    )  # fmt: skip


def frame_bias(motions):
    """Mean differences from Gaia, over their errors."""
    for name, unit in (("pm", "mas_yr"), ("position", "mas")):
        bias, error = (motions.meta.get(f"frame_bias_{name}{k}_{unit}") for k in ("", "_error"))
        if bias is None or error is None:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            value = float(np.max(np.abs(np.asarray(bias, float) / np.asarray(error, float))))
        yield judge(
            MOTION, "frame bias over its error", value, (None, 3.5), (None, 7.0), about=name, rank=14,
            causes=("a wrong epoch of a star list", "wrong matches with Gaia", "binaries in Gaia"),
            remedy="look at the reference stars; tighten the cuts on Gaia",
        )  # fmt: skip


def unchecked(motions):
    """Share of the stars of which nothing would show a wrong measurement."""
    if "flags" not in motions.colnames or "n_epochs" not in motions.colnames:
        return
    two = np.asarray(motions["n_epochs"]) < 3  # of more, one wrong epoch is a risk, and no lack of epochs
    share = float(np.mean((np.asarray(motions["flags"]) & int(Flag.UNCHECKED) != 0) & two))
    yield judge(
        MOTION, "share of stars without an epoch to spare", share, (None, 0.5), (None, None), rank=30,
        causes=("two epochs, whose wrong measurements and dates nothing shows",),
        remedy="take another epoch, or compare positions of several exposures of each",
    )  # fmt: skip
