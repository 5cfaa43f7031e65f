"""Claim: what the catalogs print as errors are errors: pulls of every column near 1, in all regimes.

    python benchmarks/calibration.py [--parts master two_epoch many_epoch ...] [--seeds 3]
                                     [--out calibration.json]

Simulated catalogs with known truth: stars, exposures, pointings and depths of master frames; references and
dispersions of two epochs; epochs, offsets between position angles, their coincidence with time, drifts and
outliers of many; dispersions of few stars. In files of their own: transformations of pairs that are
wrong alike, mosaics, patterns of the detector, faint magnitudes, ties to stars without motions, fast stars,
clusters (`calibration_lists`), wrong epochs and drifts of many stars (`calibration_epochs`), distortions
(`calibration_distortion`), and with pixels star fits and ePSF builds (`calibration_pixels`). Every regime is
written to ``--out`` when it is done; what is there already is not made again. Prints root mean square and
robust width of (found - true) / error, and the share beyond 3. ``ratio``, ``cover``, ``ambiguous``,
``unchecked``, ``limit`` and the like are no pulls but mean ratios to the truth, coverages, and shares of
flagged stars, which the pulls of the printed errors leave out (``_of_limit``: theirs); ``bias_`` rows are
biases with their standard errors.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane, fit_linear, match_nearest, robust_sigma
from jwst_hpastrom.kinematics import bulk_motion, fit_dispersion
from jwst_hpastrom.motion import fit_epochs, two_epoch_motions

sys.path.insert(0, str(Path(__file__).parent))

import calibration_distortion
import calibration_epochs
import calibration_lists
import calibration_pixels

MORE = calibration_lists, calibration_epochs, calibration_pixels, calibration_distortion
PLANE = TangentPlane(80.4875, -69.4975)
PIXEL = 65.6  # mas


# master frames


def exposure(rng, sky, center, depth, k, size=2048, flat=0.0, shifts=None):
    """Star list of one exposure: photon noise, a zero point, a pointing error.

    ``flat`` (mag) and ``shifts`` (of the detector's places, pixels) are not stated.
    """
    xi, eta, mag = sky
    a = np.deg2rad(35 + rng.normal(0, 0.02))
    p, q = -(xi - center[0]) * 1e3 / PIXEL, (eta - center[1]) * 1e3 / PIXEL
    x, y = np.cos(a) * p + np.sin(a) * q + size / 2, -np.sin(a) * p + np.cos(a) * q + size / 2
    s = np.flatnonzero((x > 0) & (x < size - 1) & (y > 0) & (y < size - 1))
    noise = np.sqrt((1 + 10 ** (0.4 * (mag[s] + 5))) / depth)
    ex, em = 0.004 * noise, 0.005 * noise
    x, y = x[s] + rng.normal(0, ex), y[s] + rng.normal(0, ex)
    ra, dec = calibration_lists.through_wcs(x - size / 2, y - size / 2, a, center, rng.normal(0, 0.3, 2))
    if shifts is not None:
        x, y = (c + d for c, d in zip((x, y), shifts(x, y), strict=True))
    data = {
        "x": x, "y": y, "x_err": ex, "y_err": ex,
        "mag": mag[s] + rng.normal(0, 0.3) + rng.normal(0, np.hypot(em, flat)), "mag_err": em,
        "qfit": np.full(s.size, 0.03), "radxs": np.zeros(s.size), "flags": np.zeros(s.size, int), "ra": ra,
        "dec": dec,
    }  # fmt: skip
    return Table(data, meta={"filename": f"e{k}_cal.fits", "filter": "F150W", "epoch": 2022.3})


def master(seed, n=600, exposures=6, pointings=1, depth=1.0, flat=0.0, pattern=None):
    """Columns of a master frame; ``n`` stars a pointing, the first exposure ``depth`` times as deep.

    ``pattern``: size of every third- and fourth-degree term of the detector's that nothing corrects, pixels.
    """
    shifts = correction = None
    if pattern is not None:
        shifts = calibration_lists.polynomial_pattern(np.random.default_rng([seed, 47]), pattern, (3, 4))
        correction = IdentityMapping()  # the lists' sky positions, which have no pattern, would correct it
    rng = np.random.default_rng(seed)
    step, half = 90.0, 80.0
    area = (2 * half) * (2 * half + step * (pointings - 1)) / 134.0**2
    total = max(int(n * area), 6)
    xi = rng.uniform(-half, half + step * (pointings - 1), total)
    sky = (xi, rng.uniform(-half, half, total), rng.uniform(-8, -4, total))
    deep, at = (depth, *[1.0] * (exposures - 1)), [(6.0 * (k % 3), 6.0 * (k // 3)) for k in range(exposures)]
    lists = [
        exposure(rng, sky, (step * p + at[k][0], at[k][1]), deep[k], k, flat=flat, shifts=shifts)
        for p in range(pointings)
        for k in range(exposures)
    ]
    ex = rng.uniform(0.3, 0.6, total)  # a catalog of sub-mas errors
    noisy = (sky[0] + rng.normal(0, ex) / 1e3, sky[1] + rng.normal(0, ex) / 1e3)
    ra, dec = PLANE.to_sky(*noisy)
    reference = Table(
        {"ra": ra, "dec": dec, "ra_error": ex, "dec_error": ex, "mag": sky[2] + 30},
        meta={"epoch": 2022.3, **PLANE.to_meta()},
    )
    t = build_master(lists, correction=correction, reference=reference, min_exposures=min(3, exposures)).table
    x, y = PLANE.to_pixels(*sky[:2])
    i, j, _ = match_nearest(t["x"], t["y"], x, y, 0.5)
    fit = fit_linear(x[j], y[j], np.asarray(t["x"])[i], np.asarray(t["y"])[i], parameters=6)
    u, v = fit.transform.forward(x[j], y[j])  # the frame's own map is x_err_tie's
    limit = np.asarray(t["flags"])[i] & int(Flag.SYSTEMATIC_LIMIT) != 0
    out = {"limit": limit.astype(float)}
    for c, true, at in (("x", u, x[j]), ("y", v, y[j])):
        d = np.asarray(t[c])[i] - true
        for column in ("err", "err_formal", "err_empirical"):
            pull = d / t[f"{c}_{column}"][i]
            out[f"{c}_{column}"] = pull[~limit] if column == "err" else pull
        out[f"{c}_err_of_limit"] = (d / t[f"{c}_err"][i])[limit]
        m = int(np.argmin(np.hypot(u - np.median(u), v - np.median(v))))
        out[f"{c}_err_tie"] = np.array([(true - at)[m] / t[f"{c}_err_tie"][i][m]])
    dm = np.asarray(t["mag"])[i] - sky[2][j]
    out["mag_err"] = (dm - np.median(dm)) / t["mag_err"][i]
    return out


# two epochs


def two_epoch(seed, n=600, references=100, dispersion=1.0, absolute=False, of_references=None):
    """Columns of two-epoch motions; the brightest ``references``, of some dispersion, hold the frame.

    Fields whose reference stars are called two kinds have no pulls; their share is ``divided``.
    """
    rng = np.random.default_rng(seed)
    t1, t2, e1, e2, epm = 2006.4, 2022.3, 0.4, 0.15, 0.06
    xi, eta = rng.uniform(-80, 80, (2, n))
    pm, mag = rng.normal(0, dispersion, (2, n)), np.sort(rng.uniform(-8, -3, n))
    pm[:, :references] *= 1.0 if of_references is None else of_references / dispersion
    now = [c + p * (t2 - t1) / 1e3 + rng.normal(0, e2, n) / 1e3 for c, p in zip((xi, eta), pm, strict=True)]
    frame = calibration_lists.frame_of(now, mag, e2, t2)
    ra, dec = PLANE.to_sky(*(c + rng.normal(0, e1, n) / 1e3 for c in (xi, eta)))
    first = Table({"ra": ra, "dec": dec, "ra_error": np.full(n, e1), "dec_error": np.full(n, e1)})
    first["mag"] = mag + 30
    if absolute:
        for c, p in zip(("pmra", "pmdec"), pm, strict=True):
            first[c], first[f"{c}_error"] = p + rng.normal(0, epm, n), np.full(n, epm)
    first.meta.update({"epoch": t1, **PLANE.to_meta()})
    radius = 100.0 + 5 * dispersion * (t2 - t1)
    with calibration_pixels.warnings_of("stpipe.hpastrom.motion") as told:
        found = two_epoch_motions(
            frame, first, mag_max=float(mag[references - 1]) + 1e-6, match_radius=radius, fast_motion=0.0
        )
    if any("two kinds" in message for message in told):
        return {"divided": np.ones(1)}
    t = found.table
    rows = np.asarray(t["id"])
    ambiguous = np.asarray(t["flags"]) & int(Flag.AMBIGUOUS) != 0
    other = (rows >= references) & ~ambiguous
    out = {"ambiguous": ambiguous.astype(float), "divided": np.zeros(1)}
    for k, c in enumerate(("pmra", "pmdec")):
        d = np.asarray(t[c]) - pm[k][rows]
        error = np.asarray(t[f"{c}_error"])
        if absolute:
            out[f"zero_point_{c}_error"] = np.array([np.median(d) / found.zero_point_error[k]])
            error = np.hypot(error, found.zero_point_error[k])
        out[f"{c}_error"] = (d / error)[other]
    return out


# many epochs


def many_epoch(
    seed, epochs=8, offset=0.0, split=False, models="auto", outliers=0.0, wrong=12.0, gaia=40, n=250, walk=0.0
):
    """Columns of many-epoch motions; offsets between two position angles, and drifts of two years' memory
    (``walk``), in units of the errors.
    """
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(2010.0, 2024.0, epochs)) if epochs > 2 else np.array([2010.0, 2023.0])
    times[[0, -1]] = 2010.0, 2023.5
    angle = (times > 2017.0) if split else np.arange(epochs) % 2 == 1
    e, h = rng.uniform(-30e3, 30e3, (2, n))
    pm, mag, sigma, scale = rng.normal((-3.0, -5.0), 2.0, (n, 2)), rng.uniform(14, 18, n), 0.2, 100.0
    mag[:gaia] = rng.uniform(14, 16, gaia)
    shift = rng.normal(0, offset * sigma, (2, 2, n)) * (np.arange(n) >= gaia)  # angle, axis
    memory = np.exp(-0.5 * ((times[:, None] - times) / 2.0) ** 2) + 1e-9 * np.eye(epochs)
    drift = walk and walk * sigma * np.linalg.cholesky(memory) @ rng.normal(size=(2, epochs, n))
    lists = []
    for k, t in enumerate(times):
        a = np.deg2rad(135.0 if angle[k] else -45.0)
        east = e + pm[:, 0] * (t - 2016) + shift[int(angle[k]), 0]
        north = h + pm[:, 1] * (t - 2016) + shift[int(angle[k]), 1]
        if walk:
            east, north = (
                east + drift[0, k] * (np.arange(n) >= gaia),
                north + drift[1, k] * (np.arange(n) >= gaia),
            )
        x, y = -east * np.cos(a) + north * np.sin(a), east * np.sin(a) + north * np.cos(a)
        bad = (rng.uniform(size=n) < outliers) & (np.arange(n) >= gaia)
        noise = rng.normal(0, sigma, (2, n)) + bad * rng.choice((-1, 1), (2, n)) * wrong * sigma
        error = np.full(n, sigma / scale)
        table = Table(
            {"x": (x + noise[0]) / scale, "y": (y + noise[1]) / scale, "x_err": error, "y_err": error,
             "mag": mag + rng.normal(0, 0.01, n), "name": [f"S{i}" for i in range(n)]},
            meta={"epoch": float(t), "filename": f"list{k}", "position_angle": 135.0 if angle[k] else -45.0,
                  "pixel_scale_mas": scale},
        )  # fmt: skip
        lists.append(table)
    err = np.full(gaia, 0.05)
    ra, dec = TangentPlane(266.4, -29.0).to_sky(*((c[:gaia] + rng.normal(0, err)) / 1e3 for c in (e, h)))
    data = {"source_id": np.arange(gaia), "ra": ra, "dec": dec, "ra_error": err, "dec_error": err}
    for k, c in enumerate(("pmra", "pmdec")):
        data[c], data[f"{c}_error"] = pm[:gaia, k] + rng.normal(0, err), err
    data |= {"phot_g_mean_mag": mag[:gaia] + 2, "ruwe": np.ones(gaia), "ref_epoch": np.full(gaia, 2016.0)}
    t = fit_epochs(
        lists, Table(data), models=models, match="name", ra_ref=266.4, dec_ref=-29.0, degree=1
    ).table
    row = np.array([int(name[1:]) for name in t["source_name"]])
    field = row >= gaia
    ambiguous = np.asarray(t["flags"]) & int(Flag.AMBIGUOUS) != 0
    unchecked = np.asarray(t["flags"]) & int(Flag.UNCHECKED) != 0
    out = {"ambiguous": ambiguous[field].astype(float), "unchecked": unchecked[field].astype(float)}
    told = field & ~ambiguous & ~(unchecked & (outliers > 0))  # without wrong ones their errors hold, too
    for k, c in enumerate(("pmra", "pmdec")):
        d = np.asarray(t[c]) - pm[row, k]
        out[f"{c}_error"] = ((d - np.median(d[field])) / t[f"{c}_error"])[told]
        out[f"{c}_error_total"] = (d / t[f"{c}_error_total"])[told]
    xi, eta = TangentPlane(266.4, -29.0).from_sky(np.asarray(t["ra"]), np.asarray(t["dec"]))
    for k, (c, at, true) in enumerate((("ra", xi, e), ("dec", eta, h))):
        d = at * 1e3 - true[row] - pm[row, k] * (np.asarray(t["ref_epoch"]) - 2016)
        out[f"{c}_error"] = ((d - np.median(d[field])) / t[f"{c}_error"])[told]
        out[f"{c}_error_total"] = (d / t[f"{c}_error_total"])[told]
    return out


# dispersions


def few_stars(seed, n=30, error=1.0, sigma=1.0, trials=60):
    """Dispersions of n stars: pulls of the mean and of σ, mean ratio σ/true, and cover of the 95 % limit."""
    rng = np.random.default_rng(seed)
    e = np.full(n, float(error))
    found = [fit_dispersion(rng.normal(0, np.hypot(sigma, e)), e) for _ in range(trials)]
    mean, mean_error, s, s_error, upper = np.array(
        [(d.mean, d.mean_error, d.sigma, d.sigma_error, d.upper) for d in found]
    ).T
    return {
        "mean_error": mean / mean_error, "sigma_error": (s - sigma) / s_error, "ratio": s / sigma,
        "cover": (upper > sigma).astype(float),
    }  # fmt: skip


def bulk(seed, sigma=0.1, error=0.02, n=300, trials=10, **kwargs):
    """Mean motion and dispersion of a group without a field: pulls, and the ratio σ/true."""
    rng = np.random.default_rng(seed)
    e = np.full((2, n), error)
    names = ("pmra", "pmdec", "pmra_error", "pmdec_error")
    found = [
        bulk_motion(Table([*rng.normal(0, np.hypot(sigma, e)), *e], names=names), **kwargs)
        for _ in range(trials)
    ]
    d = [f.dispersion for f in found]
    return {
        "motion_error": np.array([f.motion / f.error for f in found]).ravel(),
        "sigma_error": np.array([(x.sigma - sigma) / x.sigma_error for x in d]),
        "ratio": np.array([x.sigma for x in d]) / sigma,
    }  # fmt: skip


#: part: regimes, each a function and what differs from its defaults
PARTS = {
    "master": [
        (master, {"n": n}) for n in (20, 60, 150, 2000)
    ] + [(master, {"exposures": k}) for k in (2, 3, 4, 9, 18)]
    + [(master, {"pointings": k, "exposures": 4}) for k in (2, 3, 6)]
    + [(master, {"depth": d, "exposures": 4}) for d in (10.0, 100.0)]
    + [(master, {"depth": 100.0, "exposures": 4, "flat": 0.001})]
    + [(master, {"depth": 100.0, "exposures": 4, "pattern": p}) for p in (0.0, 0.0006, 0.0012)],
    "two_epoch": [(two_epoch, {"references": k}) for k in (6, 10, 30, 100, 400)]
    + [(two_epoch, {"dispersion": s}) for s in (0.05, 0.3, 3.0, 5.0)]
    + [(two_epoch, {"dispersion": 3.0, "references": k, "of_references": 0.3}) for k in (7, 10, 30, 100)]
    + [(two_epoch, {"absolute": True}), (two_epoch, {"n": 10000, "references": 5000})],
    "many_epoch": [(many_epoch, {"epochs": k}) for k in (2, 3, 4, 6, 14)]
    + [(many_epoch, {"epochs": 11, "offset": 2.0, "split": s}) for s in (False, True)]
    + [(many_epoch, {"epochs": 11, "walk": 2.0})]
    + [(many_epoch, {"epochs": 11, "split": True}), (many_epoch, {"epochs": 11, "models": "h25"})]
    + [(many_epoch, {"epochs": 4, "outliers": 0.1, "wrong": w}) for w in (4.0, 6.0, 12.0, 30.0)]
    + [(many_epoch, {"epochs": k, "outliers": 0.1}) for k in (2, 3, 5, 6, 8)],
    "kinematics": [(few_stars, {"n": n}) for n in (5, 10, 30, 300)]
    + [(bulk, {"sigma": s}) for s in (0.02, 0.05, 0.3, 0.6, 3.0)],
}  # fmt: skip


#: fields a seed: of two epochs, and of the tie, all stars share one draw of the frame's error
FIELDS = {two_epoch: 10}
#: rows that are means, not pulls
SHARES = {"ratio", "cover", "ambiguous", "unchecked", "limit", "divided"}
for module in MORE:
    PARTS.update(module.PARTS)
    FIELDS.update(module.FIELDS)
    SHARES.update(module.SHARES)


def name_of(regime):
    function, changes = regime
    return " ".join([function.__name__, *(f"{k}={v}" for k, v in changes.items())])


def summary(regime, seeds):
    """Rows {column: (number, rms, robust width, per cent beyond 3)}; a text where nothing could be made."""
    function, changes = regime
    collected, refused = {}, ""
    for seed in range(seeds * FIELDS.get(function, 1)):
        try:
            found = function(seed, **changes)
        except HPAstromError as error:
            refused = f"{type(error).__name__}: {error}"
            continue
        for column, pulls in found.items():
            collected.setdefault(column, []).append(np.asarray(pulls, float))
    rows = {}
    for column, parts in collected.items():
        z = np.concatenate(parts)
        z = z[np.isfinite(z)]
        if column in SHARES:
            rows[column] = [int(z.size), float(np.mean(z)), None, None]
        elif column.startswith("bias_"):
            rows[column] = [int(z.size), float(np.mean(z)), float(np.std(z) / np.sqrt(max(z.size, 1))), None]
        elif z.size:
            width = float(robust_sigma(np.r_[z, -z]))
            rows[column] = [
                int(z.size),
                float(np.sqrt(np.mean(z**2))),
                width,
                float(100 * np.mean(abs(z) > 3)),
            ]
    if refused:
        rows["refused"] = refused
    return rows


def show(name, rows):
    print(name)
    for column, row in rows.items():
        if isinstance(row, str):
            print(f"    {row}")
        elif row[2] is None:
            print(f"    {column:24s} {row[0]:7d}  {row[1]:5.2f}")
        elif row[3] is None:
            print(f"    {column:24s} {row[0]:7d}  {row[1]:5.2f} ± {row[2]:.2f}")
        else:
            print(f"    {column:24s} {row[0]:7d}  {row[1]:5.2f}  {row[2]:5.2f}  {row[3]:5.1f} %")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("calibration.json"))
    args = parser.parse_args(arguments)
    done = json.loads(args.out.read_text()) if args.out.exists() else {}
    print("column                        number    rms  width  beyond 3")
    for part in args.parts:
        for regime in PARTS[part]:
            name = name_of(regime)
            key = f"{name} seeds={args.seeds}"
            if key not in done:
                done[key] = summary(regime, args.seeds)
                args.out.write_text(json.dumps(done, indent=1))
            show(name, done[key])


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    main()
