"""Claim: many-epoch motions stand in Gaia's frame as well as Gaia's own errors allow, and say so.

    python benchmarks/bench_epoch_frames.py [--seeds 20] [--stars 1500] [--bad 0.2]

Simulated fields with known truth: shifts by position angle, a quadratic distortion an epoch, unseen
neighbors, outliers, bad Gaia stars. Pulls are given in three ways (3 sigma clipped, both axes): with
``*_error`` about the median; the same after a linear map of the motions against truth is taken out; and with
``*_error_total`` about zero, which is 1 on average over fields, not in one field: all stars share one draw of
Gaia's errors. The peer is an oracle that knows the bad Gaia stars and fits Gaia's errors of the others: the
drift that no use of the lists can avoid (Cramér-Rao).
"""

import argparse

import numpy as np

from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.simulation import simulate_epochs

AXES = ("pmra", "pmdec")
EPOCHS = (
    2010.5,
    2011.7,
    2012.6,
    2014.1,
    2016.3,
    2018.1,
    2019.2,
    2019.7,
    2019.8,
    2020.2,
    2022.1,
    2022.5,
    2023.2,
    2023.6,
)


def basis(stars, degree):
    """Powers of the position, in units of the fields' 30 arcsec."""
    return np.stack(
        [(stars["xi"] / 30) ** i * (stars["eta"] / 30) ** j for i, j in polynomial_terms(degree)], -1
    )


def weighted_fit(design, values, errors):
    """Coefficients and covariance, without values off by more than four errors."""
    keep = np.isfinite(values / errors)
    for _ in range(10):
        w = 1 / errors[keep]
        covariance = np.linalg.inv((design[keep] * w[:, None] ** 2).T @ design[keep])
        b = covariance @ (design[keep].T @ (values[keep] * w**2))
        keep = np.abs(values - design @ b) < 4 * errors
    return b, covariance


def clipped(z):
    z = z[np.isfinite(z)]
    for _ in range(20):
        z = z[np.abs(z - np.median(z)) < 3 * z.std()]
    return z


def measure(sim, models):
    """Errors and stated errors of the motions, rows of the truth, and the result."""
    out = fit_epochs(sim.lists, sim.gaia, models=models)
    rows = np.array([sim.rows[int(k)][int(r)] for k, r in (n.split(":") for n in out.table["source_name"])])
    error = np.stack([out.table[c] - sim.truth[c][rows] for c in AXES])
    stated, total = (
        np.stack([np.asarray(out.table[c + s]) for c in AXES]) for s in ("_error", "_error_total")
    )
    return error, stated, total, rows, out


def pulls(error, stated, total, stars):
    """Of the bright and the faint half, in the three ways."""
    line = basis(stars, 1)
    mapped = np.stack([e - line @ weighted_fit(line, e, s)[0] for e, s in zip(error, stated, strict=True)])
    for half in (stars["mag"] < 16.5, stars["mag"] > 17.5):
        for e, s in ((error, stated), (mapped, stated)):
            z = (e / s)[:, half]
            yield clipped((z - np.nanmedian(z, axis=1)[:, None]).ravel()).std()
        yield np.sqrt(np.mean(clipped((error / total)[:, half].ravel()) ** 2))


def frames(sim, error, stated, rows, out):
    """Per axis: mean drift, its stated error, chi-square of six terms; the oracle's; distance of the two."""
    gaia_rows = sim.config.n_stars + out.reference.row
    good = ~sim.truth["gaia_bad"][gaia_rows]
    at_gaia, at_stars = basis(sim.truth[gaia_rows], 2), basis(sim.truth[rows], 2)
    for axis, name in enumerate(AXES):
        wrong = (sim.gaia[name] - sim.truth[name][sim.config.n_stars :])[out.reference.row]
        sigma = np.hypot(sim.gaia[name + "_error"][out.reference.row], 0.012)  # and the lists' of such stars
        covariance = np.linalg.inv((at_gaia / np.asarray(sigma)[:, None] ** 2).T @ at_gaia)
        oracle, _ = weighted_fit(at_gaia[good], np.asarray(wrong)[good], np.asarray(sigma)[good])
        ours, noise = weighted_fit(at_stars, error[axis], stated[axis])
        mean = at_stars.mean(0)
        chi2 = [b @ np.linalg.solve(c, b) / 6 for b, c in ((ours, covariance + noise), (oracle, covariance))]
        apart = np.sqrt(np.mean((at_stars @ (ours - oracle)) ** 2))
        yield mean @ ours, out.table.meta["frame_pm_error_mas_yr"][axis], *chi2, apart


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stars", type=int, default=1500)
    parser.add_argument("--bad", type=float, default=0.2, help="share of the Gaia stars with wrong values")
    args = parser.parse_args()
    found, drifts, faint = {"auto": [], "h25": [], "linear": []}, [], []
    for seed in range(1, args.seeds + 1):
        sim = simulate_epochs(
            n_stars=args.stars, epochs=EPOCHS, angle_offset_mas=2.0, confused=0.04, outliers=0.012,
            bad_gaia=args.bad, seed=seed,
        )  # fmt: skip
        median = []
        for models, rows_of in found.items():
            error, stated, total, rows, out = measure(sim, models)
            stars = sim.truth[rows]
            rows_of.append(list(pulls(error, stated, total, stars)))
            median.append(np.nanmedian(np.hypot(*error[:, stars["mag"] > 17.5])))
            if models == "auto":
                drifts += frames(sim, error, stated, rows, out)
        faint.append([median[0] / median[2], median[1] / median[2]])
        print(f"field {seed}: faint stars' error, auto/linear {faint[-1][0]:.2f}", flush=True)
    print("\npulls, mean over fields (16th-84th)   bright: median out, map out, total    faint: the same")
    for models, values in found.items():
        low, high = np.percentile(values, [16, 84], axis=0)
        text = (f"{m:.2f} ({a:.2f}-{b:.2f})" for m, a, b in zip(np.mean(values, 0), low, high, strict=True))
        print(f"{models:7s}", "  ".join(text))
    drift, stated, chi2, oracle, apart = np.array(drifts).T
    rms = [np.sqrt(np.mean(v**2)) for v in (drift / stated, drift, apart)]
    print(
        f"frame's drift over its stated error {rms[0]:.2f} (+- {(2 * drift.size) ** -0.5:.2f}), worst "
        f"{np.abs(drift / stated).max():.2f}; {rms[1]:.4f} mas/yr, {rms[2]:.4f} off an oracle"
    )
    scatter = np.sqrt(2 / 6 / chi2.size)
    print(f"its six terms an axis, chi2/dof {chi2.mean():.2f}; oracle {oracle.mean():.2f} (+- {scatter:.2f})")
    ratio = np.median(faint, axis=0)
    print(f"faint stars' error over linear's, median: auto {ratio[0]:.2f}, h25 {ratio[1]:.2f}")


if __name__ == "__main__":
    main()
