"""Motions against those that a catalog states itself: slope, correlation, pulls, trend with magnitude."""

import numpy as np

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.motion.analysis.catalog_columns import catalog_columns
from jwst_hpastrom.motion.analysis.common_scale import common_scale
from jwst_hpastrom.motion.analysis.field_pattern import LEAST as PATTERN
from jwst_hpastrom.motion.analysis.field_pattern import field_pattern
from jwst_hpastrom.motion.analysis.scatter_errors import scatter_errors, structure_error
from jwst_hpastrom.numerics.groups import larger_half

__all__ = ["compare_with_catalog"]

AXES = ("pmra", "pmdec")
#: fewest stars with motions of both
LEAST = 30
#: stated errors from which on a linear pattern is taken out: what is smaller is as well noise
MATTERS = 0.5
#: widths of the better two fifths beyond which a star is apart from the rest: one in 8,000 by chance
APART = 3 * np.sqrt(2.0)
#: smallest share of the stars that is a clump
CLUMP = 0.1
#: share of the scatter of the catalog's motions that is to be more than their errors, to tell a turn by
TOLD = 0.3


def compare_with_catalog(motions, first_epoch, master=None):
    """Compare measured motions with the first-epoch catalog's own.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        Of `~jwst_hpastrom.motion.two_epoch_motions`, with ``first_epoch_row``; stars flagged EXTENDED
        count only where most are.

    first_epoch : `~astropy.table.Table`
        The catalog.

    master : `~astropy.table.Table`, optional
        The master frame. Its positions' scatter then stands for their errors where errors are judged: stated
        ones hold what the distortion left, which a bad catalog enlarges. Of fewer than 60 stars it has what
        a distortion that is limited by these is stated to leave.

    Returns
    -------
    dict
        n; slope_pmra, slope_pmdec (ratio of the scatters, with the sign of the correlation); factor_* and
        factor_error_*, by which the motions are the catalog's, whatever the errors (``common_scale``), and
        cos_dec, at the middle of the field; correlation_*, and crossed_* with the other axis of the
        catalog; turn_deg, turn_error_deg, the angle between the motions and the catalog's; pull, the robust
        width of the differences over both errors, pull_scatter the same with the
        scatter for the errors, and pull_scaled, of motions divided by their factor; pull_small, pull_large,
        of the half with the smaller and the larger errors of the catalog at each magnitude; outliers, the
        share of stars that differ by more than four sigma, and core, the width of the best fifth; apart,
        the share beyond three times the width of the better two fifths, of n_pulls; clumps, the share of the
        differences' variance that two clumps of stars explain; position_ratio, of the
        motions' errors to the part that the catalog's stated positions have in them; trend_mas,
        trend_sigma, the difference between faint and bright stars (at the exposures' epoch) and how many
        times its error it is; linear_ratio, what the differences have of a linear function of the place,
        over the stated errors, which is taken out, above one half, before all others, and linear_held, the
        tie's part in these; pattern_mas,
        pattern_ratio, pattern_sigma, what the differences have in common over the field (`field_pattern`),
        at the exposures' epoch and over the median error; and what the catalog's columns tell
        (``catalog_columns``). Only the last where fewer than 30 stars have both motions.
    """
    row = np.asarray(motions["first_epoch_row"], int)
    ours = np.stack([values(motions, c) for c in AXES])
    error = np.stack([values(motions, f"{c}_error") for c in AXES])
    own = np.stack([values(first_epoch, c)[row] for c in AXES])
    own_error = np.stack([values(first_epoch, f"{c}_error")[row] for c in AXES])
    mag = values(motions, "mag")
    ok = _single(motions, np.isfinite(ours + own + error).all(0) & np.isfinite(mag))
    columns = catalog_columns(motions, first_epoch, row)
    if ok.sum() < LEAST:
        return columns
    scatter = scatter_errors(motions, first_epoch, master)
    if ok.sum() < PATTERN:  # a structure over the field cannot be told from errors
        scatter = np.hypot(scatter, structure_error(motions, master))
    ours, own, error, own_error, mag, scatter = (
        v[..., ok] for v in (ours, own, error, own_error, mag, scatter)
    )
    shown = np.where(np.isfinite(scatter), scatter, error)
    ours, out = _without_line(motions[ok], ours, own, error)
    out = {"n": int(ok.sum())} | out | _alike(ours, own, own_error, shown)
    out |= _factors(ours, shown, own, own_error, mag) | columns
    known = np.isfinite(own_error).all(0)
    if known.sum() < LEAST:
        return out
    total, shown = (np.hypot(e, own_error)[:, known] for e in (error, shown))
    difference, mag = (ours - own)[:, known], mag[known]
    difference = difference - np.median(difference, axis=1)[:, None]
    pull = difference / total
    out |= {"pull": _width(pull)} | _halves(difference / shown, mag, np.hypot(*own_error[:, known]))
    out |= _tails(difference / shown) | {"clumps": _clumps(difference)}
    years = abs(float(motions.meta.get("baseline", np.nan)))
    ours_alone = np.where(np.isfinite(scatter), scatter, error)[:, known]
    out |= _pattern(motions[ok][known], difference, shown, ours_alone, years)
    if stated_mas := out.get("position_error_mas"):
        out["position_ratio"] = float(np.median(ours_alone)) * years / stated_mas
    factor = np.array([out.get(f"factor_{c}", np.nan) for c in AXES])
    if (factor > 0).all():
        out["pull_scaled"] = _scaled_width(ours[:, known], own[:, known], factor, shown)
    return out | _trend(difference, total, mag, years)


def _single(motions, ok):
    """Those that do not look extended, where that are most: motions of blends tell nothing of a catalog."""
    if "flags" not in motions.colnames:
        return ok
    single = ok & (np.asarray(motions["flags"]) & int(Flag.EXTENDED) == 0)
    return single if single.sum() >= max(LEAST, 0.5 * ok.sum()) else ok  # else the ePSF does not fit


def _pattern(motions, difference, error, ours, years):
    found = field_pattern(values(motions, "x"), values(motions, "y"), difference, error)
    if not found:
        return {}
    size = found.pop("pattern")
    return found | {"pattern_mas": size * years, "pattern_ratio": size / float(np.median(ours))}


def _halves(pull, mag, stated):
    """Widths in the halves of larger and smaller errors of the catalog, and the ratio of their errors."""
    large = larger_half(mag, stated)
    # none is larger than the median where the catalog states one error for all
    ratio = float(np.median(stated[large]) / np.median(stated[~large])) if large.any() else 1.0
    return {
        "pull_large": _width(pull[:, large]), "pull_small": _width(pull[:, ~large]), "error_ratio": ratio,
    }  # fmt: skip


def _scaled_width(ours, own, factor, error):
    """Width of the differences over their errors, of measured motions divided by a factor an axis."""
    scaled = ours / factor[:, None] - own
    scaled -= np.median(scaled, axis=1)[:, None]
    return _width(scaled / error)


def _tails(pull):
    """Width, and shares of stars far away; of differences over the scatter that exposures show."""
    size = np.hypot(*pull)
    return {
        "pull_scatter": _width(pull),
        "outliers": float(np.mean(np.max(np.abs(pull), axis=0) > 4.0)),
        # of the fifth that agrees best: near one where only a part of the stars is off
        "core": float(np.quantile(size, 0.2) / np.sqrt(-2 * np.log(0.8))),
        "apart": float(np.mean(size > APART * np.quantile(size, 0.4) / np.sqrt(-2 * np.log(0.6)))),
        "n_pulls": int(size.size),
    }


def _clumps(difference):
    """Share of the variance that two clumps explain: 0.64 of a normal distribution, 1 of two points."""
    offset = difference - difference.mean(1)[:, None]
    along = np.linalg.svd(offset, full_matrices=False)[2][0]
    along = np.sort(along)
    n, total = np.arange(1, along.size), np.cumsum(along)
    between = total[:-1] ** 2 / (n * (along.size - n) / along.size)
    enough = np.minimum(n, along.size - n) >= max(CLUMP * along.size, LEAST / 2)
    return float(np.max(between[enough], initial=0.0) / np.sum(along**2)) if enough.any() else 0.0


def _without_line(motions, ours, own, error):
    """Measured motions without what their differences from the catalog's have of a linear function of place.

    The tie of two epochs finds it from stars that move: with few of them it is off for all alike.
    """
    x, y = (values(motions, c) for c in "xy")
    if not np.isfinite(x + y).all() or np.ptp(x) == 0 or np.ptp(y) == 0 or x.size < 2 * LEAST:
        return ours, {}
    design = np.stack([np.ones_like(x), *((c - c.mean()) / c.std() for c in (x, y))], 1)
    out, size = ours.copy(), []
    for k, d in enumerate(ours - own):
        keep = np.abs(d - np.median(d)) <= 4 * max(robust_sigma(d), 1e-30)
        for _ in range(4):
            c, *_ = np.linalg.lstsq(design[keep], d[keep], rcond=None)
            left = d - design @ c
            keep = np.abs(left) <= 4 * max(robust_sigma(left), 1e-30)
        out[k] -= design[:, 1:] @ c[1:]
        noise = robust_sigma(left) ** 2 / keep.sum()
        size.append(np.sqrt(max(float(c[1:] @ c[1:]) - 2 * noise, 0.0)) / float(np.median(error[k])))
    tie = float(motions.meta.get("tie_error_mas_yr", 0.0))
    found = {"linear_ratio": float(max(size)), "linear_held": tie / float(np.median(error))}
    return (out if found["linear_ratio"] > MATTERS else ours), found


def _width(pull):
    return float(np.mean([robust_sigma(p) for p in pull])) if pull.shape[1] >= 10 else np.nan


def _alike(ours, own, own_error, error):
    """Slopes and correlations, by the stars whose motions the catalog knows best."""
    stated = np.hypot(*own_error)
    best = np.ones(stated.size, bool)
    if np.isfinite(stated).sum() >= 2 * LEAST:
        best = stated <= np.nanmedian(stated)
    a, b = (v[:, best] - np.median(v[:, best], axis=1)[:, None] for v in (ours, own))
    good = np.ones(a.shape[1], bool)
    for v in (*a, *b):
        good &= np.abs(v) <= 4 * max(robust_sigma(v), 1e-12)
    a, b, out = a[:, good], b[:, good], {}
    if a.shape[1] < LEAST // 2:
        return out
    for k, c in enumerate(AXES):
        rho = _correlation(a[k], b[k])
        out[f"correlation_{c}"] = rho
        out[f"crossed_{c}"] = _correlation(a[k], b[1 - k])
        out[f"slope_{c}"] = float(np.copysign(a[k].std() / max(b[k].std(), 1e-12), rho))
        # what both errors leave of a perfect correlation
        out[f"expected_correlation_{c}"] = float(np.sqrt(np.prod([
            max(1 - float(np.mean(e[k, best][good] ** 2)) / max(float(np.var(v[k])), 1e-30), 0.0)
            for v, e in ((b, own_error), (a, error))
        ])))  # fmt: skip
    noise = np.mean(own_error[:, best][:, good] ** 2, axis=1)
    return out | _turn(a, b, np.where(np.isfinite(noise), noise, 0.0))


def _turn(ours, own, noise):
    """Angle and its error by which motions are turned against the catalog's; none of mirrored ones.

    By the matrix that makes the ones of the others, so that a factor on one axis is no turn.
    """
    covariance = own @ own.T - own.shape[1] * np.diag(noise)
    if np.linalg.eigvalsh(covariance)[0] < TOLD * np.linalg.eigvalsh(own @ own.T)[0]:
        return {}
    inverse = np.linalg.inv(covariance)
    (xx, xy), (yx, yy) = matrix = ours @ own.T @ inverse
    u, v, mirrored = xx + yy, yx - xy, np.hypot(xx - yy, yx + xy)
    size = np.hypot(u, v)
    if not size > mirrored:
        return {}
    left = (ours - matrix @ own).var(axis=1)
    rows = np.array([(-v, -u), (u, -v)]) / size**2
    variance = sum(s * r @ inverse @ r for s, r in zip(left, rows, strict=True))
    angle, error = np.rad2deg((np.arctan2(v, u), np.sqrt(variance)))
    return {"turn_deg": float(angle), "turn_error_deg": float(error)}


def _factors(ours, error, own, own_error, mag):
    out = {}
    for k, c in enumerate(AXES):
        if found := common_scale(ours[k], error[k], own[k], own_error[k], mag):
            out |= {f"{name}_{c}": value for name, value in found.items()}
    return out


def _correlation(a, b):
    return float(np.sum(a * b) / max(np.sqrt(np.sum(a * a) * np.sum(b * b)), 1e-30))


def _trend(difference, total, mag, baseline):
    """Mean difference between the faint and the bright third, mas, and over its error."""
    low, high = np.quantile(mag, [1 / 3, 2 / 3])
    keep = np.all(np.abs(difference) <= 4 * total, axis=0)
    mean, var = [], []
    for rows in (keep & (mag <= low), keep & (mag >= high)):
        if rows.sum() < 10:
            return {}
        w = total[:, rows] ** -2.0
        m = (w * difference[:, rows]).sum(1) / w.sum(1)
        excess = np.maximum(np.mean((difference[:, rows] - m[:, None]) ** 2 * w, axis=1), 1.0)
        mean.append(m)
        var.append(excess / w.sum(1))
    step, error = mean[1] - mean[0], np.sqrt(var[0] + var[1])
    worst = int(np.argmax(np.abs(step / error)))
    return {
        "trend_mas": float(step[worst] * baseline), "trend_sigma": float(abs(step[worst]) / error[worst]),
    }  # fmt: skip
