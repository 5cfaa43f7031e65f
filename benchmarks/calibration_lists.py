"""More regimes of `calibration.py`: transformations, mosaics, magnitudes, ties, searches, clusters.

Each function makes catalogs with known truth from a seed and returns pulls by column. Names that begin with
``bias_`` are biases, printed with their standard errors; ``found``, ``kept``, ``false``, ``expected`` and
``ratio`` are shares and numbers.
"""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, Flag, make_table
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane, fit_linear, match_blind, match_nearest
from jwst_hpastrom.kinematics import cluster_motion
from jwst_hpastrom.motion import fit_epochs, two_epoch_motions

PLANE = TangentPlane(80.4875, -69.4975)
PIXEL = 65.6  # mas


# transformations of pairs


def pairs(seed, n=400, shape="normal", parameters=6, trials=20, by=20.0):
    """Errors of a transformation's zero point and corner, residuals bimodal, skewed or of few pairs.

    ``skewed``: 40 % on one side ``by`` so many errors, fewer than half (``slightly``: 20 %); ``bimodal``:
    halves at plus and minus 3.
    Fits that call themselves divided are left out; their share is ``flagged``.
    """
    rng = np.random.default_rng([seed, n])
    out, kept, divided = [], [], []
    for _ in range(trials):
        x, y = rng.uniform(0, 2048, (2, n))
        noise = rng.normal(0, 0.01, (2, n))
        if shape in ("skewed", "slightly"):
            off = np.ones(n, bool)
            while 2 * off.sum() >= n:  # the majority is what is right
                off = rng.uniform(size=n) < (0.4 if shape == "skewed" else 0.2)
            noise[0] += 0.01 * by * off
        if shape == "bimodal":
            noise += 0.03 * rng.choice((-1, 1), (2, n))
        fit = fit_linear(x, y, x + noise[0], y + noise[1], parameters=parameters)
        at = np.array([1024.0, 1900.0]), np.array([1024.0, 1900.0])
        d = np.stack(fit.transform.forward(*at)) - np.stack(at)
        out.append(d / np.sqrt(fit.variance(*at)))
        kept.append(fit.n_used / n)
        divided.append(fit.divided)
    z, known = np.array(out), ~np.array(divided)
    return {
        "middle_error": z[known, :, 0].ravel(), "corner_error": z[known, :, 1].ravel(),
        "kept": np.array(kept), "flagged": 1.0 - known,
    }  # fmt: skip


# master frames


def through_wcs(x, y, angle, center, shift):
    """Sky positions of measured places about the detector's middle, by a WCS that is ``shift`` off (arcsec).

    Positions without their noise would be a distortion correction that takes it away.
    """
    p, q = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    return PLANE.to_sky(center[0] - p * PIXEL / 1e3 + shift[0], center[1] + q * PIXEL / 1e3 + shift[1])


def exposure(rng, sky, center, depth, k, size=2048, pattern=None, angle=35.0):
    """Star list of one exposure with its own zero point, pointing and turn; a pattern of the detector."""
    xi, eta, mag = sky
    a = np.deg2rad(angle + rng.normal(0, 0.02))
    p, q = -(xi - center[0]) * 1e3 / PIXEL, (eta - center[1]) * 1e3 / PIXEL
    x, y = np.cos(a) * p + np.sin(a) * q + size / 2, -np.sin(a) * p + np.cos(a) * q + size / 2
    s = np.flatnonzero((x > 0) & (x < size - 1) & (y > 0) & (y < size - 1))
    x, y = x[s], y[s]
    noise = np.sqrt((1 + 10 ** (0.4 * (mag[s] + 5))) / depth)
    ex, em = 0.004 * noise, 0.005 * noise
    x, y = x + rng.normal(0, ex), y + rng.normal(0, ex)
    ra, dec = through_wcs(x - size / 2, y - size / 2, a, center, rng.normal(0, 0.3, 2))
    if pattern is not None:
        x, y = (c + d for c, d in zip((x, y), pattern(x, y), strict=True))
    data = {
        "x": x, "y": y, "x_err": ex, "y_err": ex,
        "mag": mag[s] + rng.normal(0, 0.3) + rng.normal(0, np.hypot(em, 0.001)), "mag_err": em,
        "qfit": np.full(s.size, 0.03), "radxs": np.zeros(s.size), "flags": np.zeros(s.size, int), "ra": ra,
        "dec": dec, "star": s,
    }  # fmt: skip
    return Table(data, meta={"filename": f"e{k}_cal.fits", "filter": "F150W", "epoch": 2022.3})


def polynomial_pattern(rng, size, degrees=(2, 3, 4)):
    """Every term of these degrees with a coefficient of one size, pixels."""
    terms = [(i, d - i) for d in degrees for i in range(d + 1)]
    a, b = rng.normal(0, size, (2, len(terms)))

    def of(x, y):
        each = np.stack([(x / 1024 - 1) ** i * (y / 1024 - 1) ** j for i, j in terms])
        return a @ each, b @ each

    return of


def matched(frame, sky):
    """Rows of a frame and of the truth, and true positions in the frame's pixels; the pointing may be off."""
    t, plane = frame.table, frame.plane
    x, y = plane.to_pixels(*plane.from_sky(*PLANE.to_sky(*sky[:2])))
    u, v = x, y
    for radius in (25.0, 2.0, 0.5):
        i, j, _ = match_nearest(t["x"], t["y"], u, v, radius)
        u, v = fit_linear(x[j], y[j], np.asarray(t["x"])[i], np.asarray(t["y"])[i]).transform.forward(x, y)
    return i, j, x[j], y[j]


def frame_pulls(frame, sky):
    """Pulls of x_err, y_err (about a six-parameter map of the truth), mag_err; shares of flagged stars."""
    t = frame.table
    i, j, u, v = matched(frame, sky)
    u, v = fit_linear(u, v, np.asarray(t["x"])[i], np.asarray(t["y"])[i]).transform.forward(u, v)
    limit = np.asarray(t["flags"])[i] & int(Flag.SYSTEMATIC_LIMIT) != 0
    out = {"limit": limit.astype(float)}
    for c, true in (("x", u), ("y", v)):
        pull = (np.asarray(t[c])[i] - true) / np.asarray(t[f"{c}_err"])[i]
        out[f"{c}_err"], out[f"{c}_err_of_limit"] = pull[~limit], pull[limit]
    dm = np.asarray(t["mag"])[i] - sky[2][j]
    out["mag_err"] = (dm - np.median(dm)) / np.asarray(t["mag_err"])[i]
    return out


def mosaic(seed, columns=2, rows=2, overlap=0.1, n=400, exposures=4, depths=()):
    """Pointings side by side without a catalog, zero points 0.3 mag apart; ``depths`` of the first ones."""
    rng = np.random.default_rng([seed, 5])
    step = 2048 * PIXEL / 1e3 * (1 - overlap)
    half = 85.0
    area = (2 * half + step * (columns - 1)) * (2 * half + step * (rows - 1)) / 134.0**2
    total = int(n * area)
    sky = (
        rng.uniform(-half, half + step * (columns - 1), total),
        rng.uniform(-half, half + step * (rows - 1), total),
        rng.uniform(-8, -4, total),
    )
    lists = []
    for c in range(columns):
        for r in range(rows):
            for k in range(exposures):
                at = (step * c + 6.0 * (k % 3), step * r + 6.0 * (k // 3))
                depth = depths[len(lists)] if len(lists) < len(depths) else 1.0
                lists.append(exposure(rng, sky, at, depth, len(lists), angle=0.0))
    return frame_pulls(build_master(lists, min_exposures=min(3, exposures)), sky)


def pattern_frame(seed, n=150, exposures=9, size=0.02, step=12.0):
    """A detector's pattern of second to fourth degree that is not corrected, few stars."""
    rng = np.random.default_rng([seed, 7])
    half = 95.0
    total = int(n * (2 * half / 134.0) ** 2)
    sky = (*rng.uniform(-half, half, (2, total)), rng.uniform(-8, -5, total))
    pattern = polynomial_pattern(rng, size)
    grid = [(0, 0), (1, 1)] if exposures == 2 else [(k % 3 - 1, k // 3 - 1) for k in range(exposures)]
    lists = [
        exposure(rng, sky, (step * p, step * q), 1.0, k, pattern=pattern) for k, (p, q) in enumerate(grid)
    ]
    frame = build_master(lists, correction=IdentityMapping(), plane=PLANE, min_exposures=min(3, exposures))
    return frame_pulls(frame, sky)


def faint_magnitudes(seed, snr=10.0, exposures=4, n=3000):
    """Mean magnitudes of stars of one S/N: bias (mmag), and pulls of ``mag_err``."""
    rng = np.random.default_rng([seed, 11])
    half = 66.0
    sky = (*rng.uniform(-half, half, (2, n)), np.full(n, -4.0))
    bright = np.arange(n) % 10 == 0
    sky[2][bright] = rng.uniform(-9, -6, bright.sum())
    lists = []
    for k in range(exposures):
        t = exposure(rng, sky, (0.3 * (k % 3), 0.3 * (k // 3)), 1.0, k)
        flux = 10 ** (-0.4 * sky[2][t["star"]])
        one = 10**1.6
        slope = 0.5 * (one / snr) ** 2 / one  # half of the variance at that S/N is the star's own light
        seen = flux + rng.normal(0, np.sqrt(slope * (one + flux)))
        own = np.sqrt(slope * (one + np.maximum(seen, 0)))
        with np.errstate(invalid="ignore", divide="ignore"):
            t["mag"], t["mag_err"] = -2.5 * np.log10(seen), 1.0857 * own / seen
        lists.append(t[seen > 0])
    frame = build_master(lists, min_exposures=min(3, exposures))
    t, (i, j, *_) = frame.table, matched(frame, sky)
    d = np.asarray(t["mag"])[i] - sky[2][j]
    d -= np.median(d[bright[j]])
    faint = ~bright[j]
    return {
        "mag_err": (d / np.asarray(t["mag_err"])[i])[faint], "bias_mmag": 1e3 * d[faint],
        "bias_flux_percent": 100 * (10 ** (-0.4 * d[faint]) - 1),
        "of_error": np.array([np.mean(d[faint]) / np.mean(np.asarray(t["mag_err"])[i][faint])]),
    }  # fmt: skip


def unknown_motions(seed, n=12, unknown=0.2, dispersion=3.0, years=7.5):
    """A frame tied to few stars, some without motions: pulls of ``x_err_tie`` at the field's middle."""
    rng = np.random.default_rng([seed, 13])
    sky = (*rng.uniform(-80, 80, (2, 700)), rng.uniform(-8, -4, 700))
    lists = [exposure(rng, sky, (3.0 * (k % 2), 3.0 * (k // 2)), 1.0, k) for k in range(4)]
    near = np.flatnonzero(np.hypot(sky[0], sky[1]) < 60)
    rows = rng.choice(near, n, replace=False)
    pm = rng.normal(0, dispersion, (2, n)) + np.array([[-3.0], [2.0]])
    ra, dec = PLANE.to_sky(*(c[rows] - (m * years + rng.normal(0, 0.1, n)) / 1e3
                             for c, m in zip(sky[:2], pm, strict=True)))  # fmt: skip
    reference = Table({"ra": ra, "dec": dec, "ra_error": np.full(n, 0.1), "dec_error": np.full(n, 0.1)})
    lost = np.arange(n) < round(unknown * n)
    for c, m in zip(("pmra", "pmdec"), pm, strict=True):
        reference[c] = np.where(lost, np.nan, m + rng.normal(0, 0.02, n))
        reference[f"{c}_error"] = np.where(lost, np.nan, 0.02)
    reference["mag"] = sky[2][rows] + 25
    reference.meta["epoch"] = 2022.3 - years
    frame = build_master(lists, reference=reference)
    t, (i, j, x, y) = frame.table, matched(frame, sky)
    # the frame's own map; that of one star would hold its own error
    found = fit_linear(x, y, np.asarray(t["x"])[i], np.asarray(t["y"])[i]).transform.forward(x, y)
    middle = int(np.argmin(np.hypot(sky[0][j], sky[1][j])))
    return {
        f"{c}_err_tie": np.array([(f - w)[middle] / np.asarray(t[f"{c}_err_tie"])[i][middle]])
        for c, f, w in zip("xy", found, (x, y), strict=True)
    }  # fmt: skip


# motions


def frame_of(place, mag, error, epoch):
    """Master frame of stars at places (2, n) in the plane, arcsec, with one error, mas."""
    n, (x, y), (ra, dec) = mag.size, PLANE.to_pixels(*place), PLANE.to_sky(*place)
    err = np.full(n, error / PLANE.scale_mas)
    data = {
        "id": np.arange(n), "x": x, "y": y, "ra": ra, "dec": dec, "x_err": err, "y_err": err,
        "x_err_formal": err, "y_err_formal": err, "mag": mag, "mag_err": np.full(n, 0.01),
        "qfit": np.full(n, 0.02), "n_found": np.full(n, 12), "n_used": np.full(n, 12),
        "flags": np.zeros(n, int),
    }  # fmt: skip
    return make_table(MASTER, data, {"epoch": epoch, "filter": "F150W", **PLANE.to_meta()})


def fast_two(seed, n=800, n_fast=6, speed=120.0, lost=0.05):
    """Fast stars without known motions in two epochs: share found, false ones and their stated number."""
    rng = np.random.default_rng([seed, 17])
    t1, t2, e1, e2 = 2006.4, 2022.3, 0.4, 0.15
    xi, eta = rng.uniform(-80, 80, (2, n))
    pm, mag = rng.normal(0, 0.2, (2, n)), rng.uniform(-7, -3, n)
    angle = rng.uniform(0, 2 * np.pi, n_fast)
    pm[:, :n_fast] += speed * np.stack([np.cos(angle), np.sin(angle)])
    now = [c + (p * (t2 - t1) + rng.normal(0, e2, n)) / 1e3 for c, p in zip((xi, eta), pm, strict=True)]
    keep1, keep2 = rng.random((2, n)) > lost
    keep1[:n_fast] = keep2[:n_fast] = True
    frame = frame_of(now, mag, e2, t2)[keep1]
    ra, dec = PLANE.to_sky(*(c + rng.normal(0, e1, n) / 1e3 for c in (xi, eta)))
    first = Table({"ra": ra, "dec": dec, "ra_error": np.full(n, e1), "dec_error": np.full(n, e1)})
    first["mag"], first["star"] = mag + 30 + rng.normal(0, 0.1, n), np.arange(n)
    first = first[keep2]
    first.meta.update({"epoch": t1, **PLANE.to_meta()})
    t = two_epoch_motions(frame, first).table
    one, two = np.asarray(frame["id"])[t["master_row"]], np.asarray(first["star"])[t["first_epoch_row"]]
    flags = np.asarray(t["flags"])
    fast = flags & int(Flag.FAST) != 0
    taken = fast & (flags & int(Flag.AMBIGUOUS) == 0)
    good = fast & (one == two)
    return {
        "found": np.isin(np.arange(n_fast), one[good]).astype(float),
        "false": np.array([np.sum(taken & ~good)], float),
        "expected": np.array([np.sum(np.asarray(t["p_chance"])[taken])]),
    }  # fmt: skip


def fast_many(seed, speed=50.0, epochs=8, n=250, n_fast=5, lost=0.0):
    """Fast stars of many epochs: rows that each becomes (one is right), share found, pulls of motions."""
    rng = np.random.default_rng([seed, 19])
    times, scale, sigma, gaia = np.linspace(2010.0, 2023.5, epochs), 100.0, 0.2, 40
    e, h = rng.uniform(-30e3, 30e3, (2, n))
    pm, mag = rng.normal((-3.0, -5.0), 2.0, (n, 2)), rng.uniform(14, 18, n)
    fast, angle = np.arange(n - n_fast, n), rng.uniform(0, 2 * np.pi, n_fast)
    pm[fast] += speed * np.stack([np.cos(angle), np.sin(angle)], -1)
    mag[:gaia] = rng.uniform(14, 16, gaia)
    lists, err = [], np.full(n, sigma / scale)
    for k, t in enumerate(times):
        east, north = e + pm[:, 0] * (t - 2016), h + pm[:, 1] * (t - 2016)
        noise = rng.normal(0, sigma, (2, n))
        table = Table(
            {"x": (-east + noise[0]) / scale, "y": (north + noise[1]) / scale, "x_err": err, "y_err": err,
             "mag": mag + rng.normal(0, 0.01, n), "star": np.arange(n)},
            meta={"epoch": float(t), "filename": f"list{k}", "position_angle": 0.0, "pixel_scale_mas": scale},
        )  # fmt: skip
        lists.append(table[(rng.random(n) > lost) | (np.arange(n) < gaia)])
    error = np.full(gaia, 0.05)
    ra, dec = TangentPlane(266.4, -29.0).to_sky(*((c[:gaia] + rng.normal(0, error)) / 1e3 for c in (e, h)))
    data = {"source_id": np.arange(gaia), "ra": ra, "dec": dec, "ra_error": error, "dec_error": error}
    for k, c in enumerate(("pmra", "pmdec")):
        data[c], data[f"{c}_error"] = pm[:gaia, k] + rng.normal(0, error), error
    data |= {"phot_g_mean_mag": mag[:gaia] + 2, "ruwe": np.ones(gaia), "ref_epoch": np.full(gaia, 2016.0)}
    t = fit_epochs(lists, Table(data), models="linear", ra_ref=266.4, dec_ref=-29.0, degree=1).table
    xi, eta = TangentPlane(266.4, -29.0).from_sky(np.asarray(t["ra"]), np.asarray(t["dec"]))
    dt = np.asarray(t["ref_epoch"])[:, None] - 2016
    apart = np.hypot(xi[:, None] * 1e3 - e - pm[:, 0] * dt, eta[:, None] * 1e3 - h - pm[:, 1] * dt)
    rows = np.sum(apart[:, fast] < 30 * speed / 10, axis=0)
    row = apart[:, fast].argmin(0)
    d = np.stack([np.asarray(t[c])[row] - pm[fast, k] for k, c in enumerate(("pmra", "pmdec"))])
    found = np.all(np.abs(d) < 2.0, axis=0)
    errors = np.stack([np.asarray(t[f"{c}_error_total"])[row] for c in ("pmra", "pmdec")])
    return {
        "rows": rows.astype(float), "found": found.astype(float),
        "pm_error_total": (d / errors)[:, found].ravel(),
    }  # fmt: skip


def few_in_many(seed, n_short=7, absent=0, n=1200, trials=5):
    """A handful of catalog stars in a long list, angle and scale nearly known: share found, wrong pairs."""
    rng = np.random.default_rng([seed, 23])
    found, wrong = [], []
    for _ in range(trials):
        x, y = rng.uniform(-30e3, 30e3, (2, n))
        rows = rng.choice(n, n_short, replace=False)
        u, v = x[rows] + rng.normal(0, 2, n_short), y[rows] + rng.normal(0, 2, n_short)
        u[:absent], v[:absent] = rng.uniform(-30e3, 30e3, (2, absent))
        a = np.deg2rad(1.3)
        c, s = 1.004 * np.cos(a), 1.004 * np.sin(a)
        m = match_blind(c * u - s * v + 2500, s * u + c * v - 900, x, y, max_rotation=3.0,
                        scale_tolerance=0.02, parameters=4, min_stars=5)  # fmt: skip
        good = (m.i1 >= absent) & (m.i2 == rows[m.i1])
        found.append(good.sum() / (n_short - absent))
        wrong.append(float(np.sum(~good)))
    return {"found": np.array(found), "false": np.array(wrong)}


def cluster(seed, sigma=0.1, n_cluster=200, n_field=2000, error=0.025, trials=2):
    """A cluster in a field that moves nearly as it does: pulls of motion and σ, mean σ/true."""
    rng = np.random.default_rng([seed, 29])
    pull, pull_sigma, ratio = [], [], []
    for _ in range(trials):
        n = n_field + n_cluster
        x, y = rng.uniform(-100, 100, (2, n))
        x[:n_cluster], y[:n_cluster] = rng.normal(0, 11, (2, n_cluster))
        motion, width = np.array([1.873, 0.321]), max(3 * sigma, 0.075)
        v = rng.normal([[motion[0] + width], [motion[1]]], width, (2, n))
        v[:, :n_cluster] = motion[:, None] + rng.normal(0, sigma, (2, n_cluster))
        v += rng.normal(0, error, (2, n))
        e = np.full(n, error)
        ra, dec = 80.0 + x / 3600 / np.cos(np.deg2rad(-69.0)), -69.0 + y / 3600
        names = ("ra", "dec", "pmra", "pmdec", "pmra_error", "pmdec_error")
        found = cluster_motion(Table([ra, dec, *v, e, e], names=names), ra=80.0, dec=-69.0)
        pull.append((found.motion - motion) / found.error)
        pull_sigma.append((found.dispersion.sigma - sigma) / found.dispersion.sigma_error)
        ratio.append(found.dispersion.sigma / sigma)
    return {
        "motion_error": np.ravel(pull), "sigma_error": np.array(pull_sigma), "ratio": np.array(ratio),
    }  # fmt: skip


SHAPES = ("normal", "slightly", "skewed")
PARTS = {
    "mosaics": [(mosaic, {}), (mosaic, {"columns": 6, "rows": 1}),
                (mosaic, {"columns": 6, "rows": 1, "overlap": 0.3}),
                (mosaic, {"columns": 1, "rows": 1, "exposures": 6, "depths": (30.0, 30.0)})],
    "patterns": [
        (pattern_frame, {"n": n, "exposures": k}) for n, k in ((60, 9), (150, 9), (600, 9), (60, 2), (150, 2))
    ],
    "transformations": [(pairs, {"shape": s}) for s in ("normal", "skewed", "bimodal")]
    + [(pairs, {"n": n, "trials": 100}) for n in (5, 6, 8, 15)]
    + [(pairs, {"n": n, "shape": s, "trials": 100}) for s in ("slightly", "skewed") for n in (40, 100)]
    + [(pairs, {"n": n, "trials": 100, "shape": s}) for s in SHAPES for n in (20, 24, 28)]
    + [(pairs, {"n": n, "shape": "skewed", "by": 6.0}) for n in (100, 400)],
    "magnitudes": [(faint_magnitudes, {"snr": q}) for q in (5.0, 7.0, 10.0, 20.0)]
    + [(faint_magnitudes, {"snr": 10.0, "exposures": k}) for k in (2, 3)],
    "ties": [(unknown_motions, {}), (unknown_motions, {"n": 30})]
    + [(few_in_many, {"n_short": n, "absent": k}) for n, k in ((6, 0), (7, 0), (8, 1))],
    "fast": [(fast_two, {}), (fast_two, {"n": 3000, "n_fast": 10, "lost": 0.1})]
    + [(fast_many, {"speed": v, "lost": q}) for v, q in ((50.0, 0.0), (50.0, 0.2), (120.0, 0.0))],
    "clusters": [(cluster, {"sigma": s}) for s in (0.01, 0.05, 0.2, 0.6)],
}  # fmt: skip
FIELDS = {pattern_frame: 4, unknown_motions: 10, cluster: 3, fast_two: 2}
SHARES = {"limit", "kept", "flagged", "found", "false", "expected", "rows", "ratio", "of_error"}
