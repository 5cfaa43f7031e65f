"""Proper motions from a master frame and a first epoch (L23 §5; Methods §4)."""

import logging
from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table
from scipy.spatial import cKDTree

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.columns import MOTION, Flag, epsf_cause, make_table, row_epochs, values
from jwst_hpastrom.errors import BadCatalogError, HPAstromError, NotEnoughStarsError
from jwst_hpastrom.frame import position_errors
from jwst_hpastrom.frame.transforms.registration import align
from jwst_hpastrom.frame.transforms.tie import reference_positions
from jwst_hpastrom.geometry import (
    LinearTransform,
    TangentPlane,
    fit_linear,
    match_nearest,
    robust_sigma,
    sky_axes,
)
from jwst_hpastrom.motion.selection import POOR, parse_polygon, select_cmd
from jwst_hpastrom.motion.two_epoch._kernels import local_offsets
from jwst_hpastrom.motion.two_epoch.fast_pairs import fast_pairs
from jwst_hpastrom.motion.two_epoch.zero_point import zero_point, zero_point_surface
from jwst_hpastrom.ranges import in_range

__all__ = ["TwoEpochMotions", "two_epoch_motions"]

log = logging.getLogger("stpipe.hpastrom.motion")


@dataclass(frozen=True, eq=False)
class TwoEpochMotions(Tabular):
    """Result of `two_epoch_motions`.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Columns of `jwst_hpastrom.columns.MOTION`, and x, y (first-epoch frame), n_local, master_row,
        first_epoch_row.

    transform : `~jwst_hpastrom.geometry.LinearTransform`
        Master frame to first epoch's frame.

    zero_point, zero_point_error : ndarray, shape (2,)
        Absolute minus relative motion in right ascension and declination, mas/yr; NaN without absolute
        motions.

    reference : ndarray of bool
        Rows of the table that defined the transformation.

    local_gain : float
        Scatter of the reference stars' motions with global over that with local transformations; NaN for
        global.
    """

    table: Table
    transform: LinearTransform
    zero_point: np.ndarray
    zero_point_error: np.ndarray
    reference: np.ndarray
    local_gain: float

    def __repr__(self):
        meta = self.table.meta
        what = f"{meta.get('motions', '')} motions over {meta.get('baseline', 0):.2f} yr"
        return (
            f"<{type(self).__name__}: {len(self.table)} {what}, {int(self.reference.sum())} reference stars>"
        )

    def plot(self, ax=None):
        """Draw the vector-point diagram, see `jwst_hpastrom.plot.motion_diagram`."""
        return plot.motion_diagram(self.table, ax)


def _pair(t, master_xy, first_xy, radius):
    return match_nearest(*t.forward(*master_xy), *first_xy, radius)[:2]


def _first_pairs(master, first_epoch, plane, max_shift, max_rotation):
    """Linear transformation of the master to the catalog at the master's epoch, and the catalog there."""
    x, y, *_ = reference_positions(first_epoch, plane, float(master.meta["epoch"]))
    own = TangentPlane.from_meta(master.meta) or plane
    if {"ra", "dec"} <= set(master.colnames):
        u, v = plane.to_pixels(*plane.from_sky(values(master, "ra"), values(master, "dec")))
    else:
        u, v = plane.to_pixels(*own.from_pixels(values(master, "x"), values(master, "y")))
    seen = np.isfinite(x + y)
    try:
        found = align(
            u, v, values(master, "mag"), x[seen], y[seen], values(first_epoch, "mag")[seen],
            max_shift=1.5 * max_shift * 1e3 / plane.scale_mas, max_rotation=1.5 * max_rotation,
        )  # fmt: skip
    except HPAstromError as error:
        cause = epsf_cause(values(master, "mag"), values(master, "qfit"))
        cause = cause or "check that the first epoch covers the field"
        raise type(error)(error.found, error.needed, cause) from None
    return found.transform, (u, v), (x, y)


@in_range
def two_epoch_motions(
    master,
    first_epoch,
    *,
    transformation="global",
    parameters=6,
    n_local=50,
    mag_min=None,
    mag_max=None,
    color_min=None,
    color_max=None,
    polygon=None,
    qfit_max=0.1,
    match_radius=100.0,
    fast_motion=200.0,
    fast_false_share=0.2,
    sigma=3.0,
    zero_point_degree=0,
    errors="combined",
    max_shift=5.0,
    max_rotation=1.0,
    min_reference=6,
):
    """Measure proper motions between a catalog (first epoch) and a master frame (second epoch).

    Parameters
    ----------
    master : `~astropy.table.Table`
        Master frame: columns of `jwst_hpastrom.columns.MASTER`; metadata ``epoch`` and the tangent plane.

    first_epoch : `~astropy.table.Table`
        Catalog: ra, dec (deg), optional ra_error, dec_error (mas), pmra, pmdec, pmra_error, pmdec_error
        (mas/yr, absolute), mag, color; metadata ``epoch``.

    transformation : {'global', 'local'}
        'global' is one for the field; 'local' removes in addition, star by star, what the nearest reference
        stars have in common after it, the star itself left out, and its uncertainty goes into the error.

    parameters : {4, 6}
        Parameters of the global transformation: 4 (shift, rotation, scale) or 6 (general linear).

    n_local : int
        Reference stars of a local transformation; 50 is this package's choice.

    mag_min : float, optional
        Bright limit of the reference stars, instrumental magnitude of the master frame.

    mag_max : float, optional
        Faint limit of the reference stars, instrumental magnitude of the master frame.

    color_min : float, optional
        Blue limit of the reference stars, column ``color`` of the master frame, else of the first epoch.

    color_max : float, optional
        Red limit of the reference stars, column ``color`` of the master frame, else of the first epoch.

    polygon : str, optional
        Reference stars lie in this polygon of the color-magnitude diagram: corners ``color:mag``,
        separated by blanks.

    qfit_max : float
        Worst mean QFIT of a reference star.

    match_radius : float
        Largest displacement between the epochs, mas, beyond the reference stars' (and the star's own known
        motion).

    fast_motion : float
        Largest motion relative to the reference stars, mas/yr, of stars that a second search looks for
        among those left over; 0 looks for none.

    fast_false_share : float
        Largest share of chance pairs among those that the second search takes.

    sigma : float
        Clipping of reference stars and of the zero point.

    zero_point_degree : int
        With 1 or more the zero point varies over the field as a polynomial of this degree, fitted to all
        stars with absolute motions: it takes out what is left of the distortions, and puts the catalog's
        own systematic errors in their place.

    errors : {'combined', 'empirical', 'formal', 'l23'}
        Errors of the master positions: 'empirical' from the exposures' scatter, 'formal' from the fits,
        'combined' from both, 'l23' the empirical ones without the transformation's error, as L23 has it.

    max_shift : float
        Largest offset between the two frames, arcsec.

    max_rotation : float
        Largest rotation between the two frames, degrees.

    min_reference : int
        Fewest reference stars.

    Returns
    -------
    `TwoEpochMotions`

    Notes
    -----
    Relative motions are displacements in the first epoch's frame over the baseline, with variance (σ1² + σ2²
    + d C dᵀ)/baseline², C the covariance of the transformation's parameters from the reference stars'
    scatter, own motions included, d their coefficients at the star. Absolute motions add the clipped weighted
    mean of (absolute − relative), whose error is in the metadata and not in the single stars' errors; it
    takes out what the transformation's error has in common, so d counts from its mean over those stars.
    Stars of unknown motion beyond ``match_radius`` are found by a second search among those left over, up to
    ``fast_motion``, by distance and magnitude, as far as no more than a share of them are chance, which the
    same search in a displaced catalog measures (``n_fast``, ``n_fast_false`` in the metadata; column
    ``p_chance``: the share among pairs as good or better); they are flagged ``FAST``.
    Linear trends of the motions over the field are
    absorbed by the transformation. Positions in the table are those of the master frame at its own epoch.
    """
    polygon = parse_polygon(polygon)
    plane = TangentPlane.from_meta(first_epoch.meta) or TangentPlane.from_meta(master.meta)
    if master.meta.get("n_exposures") == 1:
        log.warning(
            "the master frame is one exposure, nothing was repeated: motions are flagged FEW_EXPOSURES"
        )
    t1, t2 = check_epochs(master, first_epoch)
    if plane is None:
        raise BadCatalogError("no tangent plane in either table's metadata", "ra_tangent and dec_tangent")
    parameters, baselines = int(parameters), t2 - t1
    baseline = float(np.median(baselines))
    to_now, (u, v), now = _first_pairs(master, first_epoch, plane, max_shift, max_rotation)
    x1, y1, ex1, ey1 = reference_positions(first_epoch, plane, None)
    mag, color = values(master, "mag"), None
    moved = (now[0] - x1, now[1] - y1)  # the catalog's own motions, in pixels

    # Reference stars: pairs that are clean in the master frame, where the catalog's motions put them.
    radius = match_radius / plane.scale_mas
    i, j = _pair(to_now, (u, v), now, radius)
    if "color" in master.colnames:
        color = values(master, "color")[i]
    elif "color" in first_epoch.colnames:
        color = values(first_epoch, "color")[j]
    clean = select_cmd(
        mag[i], color, mag_range=(mag_min, mag_max), color_range=(color_min, color_max), polygon=polygon
    )
    flags = (
        np.asarray(master["flags"], np.int64)
        if "flags" in master.colnames
        else np.zeros(len(master), np.int64)
    )
    chosen = clean & (flags[i] & int(POOR) == 0) & ~(values(master, "qfit")[i] > qfit_max)
    if chosen.sum() < max(min_reference, 10):  # all were saturated, say: better those than none
        chosen = clean
    if chosen.sum() < max(min_reference, parameters // 2 + 1):
        raise NotEnoughStarsError(
            f"{int(chosen.sum())} reference stars among {i.size} stars in common",
            f"{max(min_reference, parameters // 2 + 1)}",
            "widen the reference stars' limits, or check the two fields",
        )
    scale = (TangentPlane.from_meta(master.meta) or plane).scale_mas / plane.scale_mas
    ex2, ey2 = (e * scale for e in position_errors(master, "empirical" if errors == "l23" else errors))
    unknown = ~np.isfinite(np.where(np.r_[ex1, ey1] > 0, np.r_[ex1, ey1], np.nan)).any()
    ex1, ey1 = _known(ex1), _known(ey1)
    refer = i[chosen], j[chosen]
    fit, intrinsic = _global(*refer, (u, v), (x1, y1), (ex1, ey1), (ex2, ey2), parameters, sigma)
    if np.ptp(baselines) > 1e-3:
        # rows of several epochs: the reference stars' mean motion carries them all to one
        x1, y1, fit, intrinsic = _one_epoch(
            fit, intrinsic, refer, (u, v), (x1, y1), (ex1, ey1), (ex2, ey2), baselines, parameters, sigma
        )
    if unknown:  # what the reference stars scatter beyond the master's errors, own motions included
        ex1, ey1 = np.full_like(ex1, intrinsic), np.full_like(ey1, intrinsic)
        log.warning(
            "%s states no errors of its positions: the scatter of the reference stars, %.3f mas, stands in",
            first_epoch.meta.get("catalog", "the first epoch"), intrinsic * plane.scale_mas,
        )  # fmt: skip
    t, kept = fit.transform, fit.keep
    is_reference = np.zeros(len(master), bool)
    is_reference[i[chosen][kept]] = True

    # All stars, matched where their known motion (less the reference stars' own) lets expect them.
    fu, fv = t.forward(u, v)
    bulk = [np.nanmedian((m / baselines)[j[chosen][kept]]) * baselines for m in moved]
    expect = [np.where(np.isfinite(m), m - b, 0.0) for m, b in zip(moved, bulk, strict=True)]
    known = np.isfinite(values(first_epoch, "pmra") + values(first_epoch, "pmdec"))
    px, py = (np.where(known, p + e, p) for p, e in zip((x1, y1), expect, strict=True))
    i, j, _ = match_nearest(fu, fv, px, py, radius)
    i, j, chance = _with_fast(
        i, j, (fu, fv), (px, py), mag, values(first_epoch, "mag"), radius,
        fast_motion * baseline / plane.scale_mas, fast_false_share,
    )  # fmt: skip
    fast = chance > 0
    dx, dy = fu[i] - x1[j], fv[i] - y1[j]
    vx, vy = ex1[j] ** 2 + ex2[i] ** 2, ey1[j] ** 2 + ey2[i] ** 2
    reference = is_reference[i]
    n_used, gain = np.zeros(i.size, int), np.nan
    flag = flags[i] & ~int(Flag.REFERENCE)
    flag[reference] |= int(Flag.REFERENCE)
    flag[fast] |= int(Flag.FAST)
    if transformation == "local":
        lx, ly, lex, ley, n_used = _local(
            (fu[i], fv[i]), (dx, dy), reference, vx, vy, intrinsic, n_local, sigma
        )
        done = np.isfinite(lx)
        before = np.hypot(*(robust_sigma(d[reference & done]) for d in (dx, dy)))
        dx, dy = np.where(done, dx - lx, dx), np.where(done, dy - ly, dy)
        vx, vy = np.where(done, vx + lex**2, vx), np.where(done, vy + ley**2, vy)
        gain = float(before / np.hypot(*(robust_sigma(d[reference & done]) for d in (dx, dy))))
        flag[done] |= int(Flag.LOCAL_TRANSFORM)
        log.info("local transformations: scatter of the reference stars falls by a factor %.3f", gain)
    f = plane.scale_mas / baselines[j]
    relative = np.stack([-dx * f, dy * f])
    # from the plane's axes to East and North at the star
    axes = sky_axes(plane, *plane.from_pixels(x1[j], y1[j]))
    relative = np.einsum("nij,jn->in", np.linalg.inv(axes), relative)
    error = np.stack([np.sqrt(vx) * abs(f), np.sqrt(vy) * abs(f)])
    absolute = np.stack([values(first_epoch, "pmra")[j], values(first_epoch, "pmdec")[j]])
    absolute_error = np.stack([values(first_epoch, "pmra_error")[j], values(first_epoch, "pmdec_error")[j]])
    zero, zero_error, n_zero = zero_point(relative, error, absolute, absolute_error, sigma=sigma)
    # a varying zero point takes the transformation's error out, and has its own
    varying = zero_point_degree > 0 and np.isfinite(zero).all()
    if errors != "l23" and not varying:
        common = np.isfinite(absolute).all(0) if np.isfinite(zero).all() else None
        shared = fit.variance(u[i], v[i], common)
        if transformation == "local":  # the local offsets took it out
            shared = np.where(done, 0.0, shared)
        own = np.stack([vx, vy])
        # a reference star's own errors are in the transformation, too, and go with its displacement
        with np.errstate(invalid="ignore", divide="ignore"):
            shared = np.where(reference, shared * (1 - 2 * own / (own + intrinsic**2)), shared)
        error = np.sqrt(np.maximum(own + shared, 0.25 * own)) * abs(f)
    _check_baseline(relative, error, absolute, first_epoch.meta.get("catalog"), t1, t2)
    pm = relative + zero[:, None] if np.isfinite(zero).all() else relative
    if varying:
        surface, surface_error = zero_point_surface(
            fu[i],
            fv[i],
            relative,
            error,
            absolute,
            absolute_error,
            zero,
            degree=zero_point_degree,
            sigma=sigma,
        )
        pm, error = pm + surface, np.hypot(error, surface_error)
    meta = {
        "baseline": baseline, "first_epoch": float(np.median(t1)), "transformation": transformation,
        "motions": "absolute" if np.isfinite(zero).all() else "relative",
        "zero_point_pmra": float(zero[0]), "zero_point_pmdec": float(zero[1]),
        "zero_point_pmra_error": float(zero_error[0]), "zero_point_pmdec_error": float(zero_error[1]),
        "n_zero_point": n_zero,
        "zero_point_degree": int(zero_point_degree),
        "n_reference": int(is_reference.sum()), "local_gain": gain,
        "n_fast": int(fast.sum()), "n_fast_false": float(chance.max() * fast.sum()),
        "filter": master.meta.get("filter", ""), **plane.to_meta(),
    }  # fmt: skip
    data = {
        "id": np.asarray(master["id"])[i] if "id" in master.colnames else np.arange(i.size),
        "ra": values(master, "ra")[i], "dec": values(master, "dec")[i],
        "ra_error": ex2[i] * plane.scale_mas, "dec_error": ey2[i] * plane.scale_mas,
        "ref_epoch": np.full(i.size, t2),
        "pmra": pm[0], "pmdec": pm[1], "pmra_error": error[0], "pmdec_error": error[1],
        "pmra_error_systematic": values(master, "x_err_systematic")[i] * scale * abs(f),
        "pmdec_error_systematic": values(master, "y_err_systematic")[i] * scale * abs(f),
        "pmra_pmdec_corr": np.zeros(i.size), "mag": mag[i], "pmra_rel": relative[0], "pmdec_rel": relative[1],
        "n_epochs": np.full(i.size, 2), "flags": flag,
        "x": Column(fu[i], name="x", unit="pix", description="first epoch's frame, to the West"),
        "y": Column(fv[i], name="y", unit="pix", description="first epoch's frame, to the North"),
        "qfit": values(master, "qfit")[i], "n_local": n_used,
        "first_epoch_row": j, "master_row": i, "p_chance": chance,
    }  # fmt: skip
    if "color" in master.colnames or "color" in first_epoch.colnames:
        own = "color" in master.colnames
        data["color"] = values(master, "color")[i] if own else values(first_epoch, "color")[j]
    table = make_table(MOTION, data, meta)
    log.info(
        "%d motions, %d reference stars, zero point (%.4f, %.4f) mas/yr",
        len(table),
        is_reference.sum(),
        *zero,
    )
    return TwoEpochMotions(table, t, zero, zero_error, reference, gain)


def _with_fast(i, j, xy1, xy2, mag1, mag2, inner, outer, false_share):
    """Pairs with those of fast stars among what is left over, and the share of these that are chance."""
    if not outer > abs(inner):
        return i, j, np.zeros(i.size)
    rest1, rest2 = (np.setdiff1d(np.arange(c[0].size), k) for c, k in ((xy1, i), (xy2, j)))
    a, b, chance = fast_pairs(
        [c[rest1] for c in xy1], [c[rest2] for c in xy2], mag1[rest1], mag2[rest2], mag2[j] - mag1[i],
        inner=inner, outer=outer, false_share=false_share,
    )  # fmt: skip
    i, j, chance = np.r_[i, rest1[a]], np.r_[j, rest2[b]], np.r_[np.zeros(i.size), chance]
    order = np.argsort(i, kind="stable")
    return i[order], j[order], chance[order]


def check_epochs(master, first_epoch):
    """Julian years of the first epoch's rows and of the master; an error where unknown or the same."""
    t2 = master.meta.get("epoch")
    t2 = np.nan if t2 is None else float(t2)
    t1 = row_epochs(first_epoch)
    sky = np.isfinite(values(first_epoch, "ra") + values(first_epoch, "dec"))
    if not np.isfinite(t2) or not np.isfinite(t1[sky]).all():
        whose, default = (first_epoch, "first epoch") if np.isfinite(t2) else (master, "master frame")
        raise BadCatalogError(
            "no epoch", "the Julian year of the positions, as metadata epoch or column ref_epoch", "add it",
            whose.meta.get("catalog", default),
        )  # fmt: skip
    if (near := np.abs(t2 - t1[sky]) < 0.02).any():
        raise BadCatalogError(
            f"{near.sum()} rows of epoch {t1[sky][near][0]}, which is the master frame's ({t2})",
            "epochs that differ", "", first_epoch.meta.get("catalog", "first epoch"),
        )  # fmt: skip
    typical = float(np.median(t1[sky])) if sky.any() else np.nan
    return np.where(np.isfinite(t1), t1, typical), t2


def _one_epoch(fit, intrinsic, rows, uv, xy, e1, e2, baselines, parameters, sigma):
    """First-epoch positions moved to their median epoch by the reference stars' mean motion, and the fit."""
    i, j = rows
    early = baselines - np.median(baselines)
    for _ in range(8):
        fu, fv = fit.transform.forward(uv[0][i], uv[1][i])
        b = early[j]
        new = []
        for k, at in enumerate((fu, fv)):
            d = (at - xy[k][j])[fit.keep]
            # what stars of early and late rows differ by, per year; medians of halves are robust
            w = b[fit.keep]
            late = w > 0.5 * (w.min() + w.max())
            ok = late.any() and not late.all()
            gap = w[late].mean() - w[~late].mean() if ok else 1.0
            rate = (np.median(d[late]) - np.median(d[~late])) / gap if ok else 0.0
            new.append(xy[k] + rate * early)
        xy = new
        fit, intrinsic = _global(*rows, uv, tuple(xy), e1, e2, parameters, sigma)
    return *xy, fit, intrinsic


def _check_baseline(relative, error, absolute, name, t1, t2):
    """Refuse epochs with which the motions are far from proportional to the catalog's own."""
    r, a, e = (np.asarray(c, float) for c in (relative, absolute, error))
    ok = np.isfinite(r + a + e).all(0)
    if ok.sum() < 50:
        return
    cov = var = noise = scatter = 0.0
    for k in (0, 1):
        dr, da = (c[k, ok] - np.median(c[k, ok]) for c in (r, a))
        keep = (np.abs(dr) < 4 * robust_sigma(dr)) & (np.abs(da) < 4 * robust_sigma(da))
        dr, da = dr[keep], da[keep]
        if dr.size < 40:
            return
        cov, var, scatter = cov + dr @ da / dr.size, var + dr @ dr / dr.size, scatter + da @ da / dr.size
        noise += np.mean(e[k, ok][keep] ** 2)
    own = var - noise
    if own < 2 * noise or cov < 0.5 * np.sqrt(var * scatter):
        return  # too little in common to judge by
    if cov <= var and cov <= scatter:
        return  # noise in either explains it, whatever the stated errors: see the checks
    ratio = cov / own
    if not 0.6 < ratio < 1.5:
        raise BadCatalogError(
            f"own motions {ratio:.2f} times those between epochs {np.median(t1):.2f} and {t2:.2f}",
            "epochs that fit the catalog's motions", "check both tables' epochs", name or "first epoch",
        )  # fmt: skip


def _known(error):
    """Fill unknown errors with the typical one; zero where none is known."""
    good = np.isfinite(error) & (error > 0)
    return np.where(good, error, np.median(error[good]) if good.any() else 0.0)


def _global(i, j, uv, xy, e1, e2, parameters, sigma):
    """Weighted fit of the reference stars; weights include the scatter of their own motions."""
    u, v, x, y = uv[0][i], uv[1][i], xy[0][j], xy[1][j]
    var = [a[j] ** 2 + b[i] ** 2 for a, b in zip(e1, e2, strict=True)]
    typical = [np.nanmedian(w[w > 0]) if np.any(w > 0) else 1.0 for w in var]
    var = [np.where(np.isfinite(w) & (w > 0), w, m) for w, m in zip(var, typical, strict=True)]
    intrinsic, fit = 0.0, None
    for _ in range(3):
        weights = tuple(1.0 / (w + intrinsic**2) for w in var)
        fit = fit_linear(u, v, x, y, parameters=parameters, weights=weights, sigma=sigma)
        fu, fv = fit.transform.forward(u, v)
        k = fit.keep
        excess = [
            robust_sigma(d[k]) ** 2 - np.median(w[k]) for d, w in zip((fu - x, fv - y), var, strict=True)
        ]
        intrinsic = np.sqrt(max(np.mean(excess), 0.0))
    return fit, float(intrinsic)


def _local(xy, offsets, reference, vx, vy, intrinsic, n_local, sigma):
    """Offsets of the nearest reference stars at every star."""
    rows = np.flatnonzero(reference & np.isfinite(offsets[0] + offsets[1] + vx + vy))
    if rows.size < 5:
        raise NotEnoughStarsError(
            f"{rows.size} reference stars", "5 for local transformations", "use 'global'"
        )
    points = np.c_[xy[0], xy[1]]
    k = min(n_local + 1, rows.size)
    near = np.atleast_2d(cKDTree(points[rows]).query(points, k)[1]).astype(np.int64)
    own = np.full(points.shape[0], -1)
    own[rows] = np.arange(rows.size)
    mine = near == own[:, None]
    # without itself each star has exactly n_local: others drop their farthest
    near[~mine.any(1), -1] = -1 if k > n_local else near[~mine.any(1), -1]
    weights = 1.0 / (0.5 * (vx + vy)[rows] + intrinsic**2)
    out = [np.empty(points.shape[0]) for _ in range(4)]
    n_used = np.zeros(points.shape[0], np.int64)
    local_offsets(
        *xy,
        own,
        near,
        *points[rows].T.copy(),
        offsets[0][rows],
        offsets[1][rows],
        weights,
        float(sigma),
        *out,
        n_used,
    )
    return (*out, n_used)
