"""Claim: two figures that many-epoch motions are asked for are set by the data, not by the estimator.

    python benchmarks/motion_limits.py [--fields 6] [--stars 1200]

Faint stars: the error of ``models=auto`` over that of ``linear`` (medians), and the same of an oracle that
knows every transformation, every offset between position angles and every unseen neighbor, and meets no
outlier. It fits a weighted line to photon noise alone (Cramér-Rao): no estimator gets below its ratio.

Total pulls: all stars of a field share one draw of the frame's error, so that a field's pulls with
``*_error_total`` about zero are far from 1 though the errors are right. Fields are drawn with errors
exactly as stated: how many of 30 have pulls in 0.9...1.15, and how far the pulls of all fields together (root
of the mean square) scatter about 1. The second can be tested; the first cannot.
"""

import argparse

import numpy as np
from bench_epoch_frames import EPOCHS, clipped, measure

from jwst_hpastrom.simulation import simulate_epochs

FAINT, LOW, HIGH, OF = 17.5, 0.9, 1.15, 30
DRAWS = 2000
#: errors of the frame over a star's own; fields of the Galactic center by HST have about 1
RATIOS = (0.5, 0.75, 1.0, 1.5)


def photon_errors(sim):
    """Errors of the motions of all stars of the truth from their photons alone, mas/yr."""
    weight = np.zeros((len(sim.truth), len(sim.lists)))
    t = np.array([table.meta["epoch"] for table in sim.lists])
    for k, table in enumerate(sim.lists):
        sigma = np.asarray(table["x_err"], float) * table.meta["pixel_scale_mas"]
        weight[np.asarray(sim.rows[k]), k] = sigma**-2.0
    total = np.maximum(weight.sum(1), 1e-300)
    mean = weight @ t / total
    return 1 / np.sqrt(np.maximum(np.sum(weight * (t - mean[:, None]) ** 2, 1), 1e-300))


def faint_stars(sim, rng):
    """Median error of faint stars with auto, linear and the oracle; errors, stated and total, of auto."""
    median = []
    for models in ("auto", "linear"):
        error, stated, total, rows, _ = measure(sim, models)
        faint = np.asarray(sim.truth["mag"])[rows] > FAINT
        about = error - np.nanmedian(error[:, faint], axis=1)[:, None]
        median.append(np.nanmedian(np.abs(about[:, faint])))
        if models == "auto":
            kept = error, stated, total
            draws = rng.normal(size=(100, 2, int(faint.sum()))) * photon_errors(sim)[rows[faint]]
            oracle = np.median(np.abs(draws))
    return [*median, oracle], kept


def pull(z):
    return np.sqrt(np.mean(clipped(z.ravel()) ** 2))


def drawn_pulls(stated, ratio, rng):
    """Pulls of fields whose errors are exactly as stated: own ones, and one draw an axis of the frame's."""
    stated = stated[:, np.isfinite(stated).all(0)]
    frame = ratio * np.median(stated)
    out = np.empty(DRAWS)
    for k in range(DRAWS):
        z = stated * rng.normal(size=stated.shape) + frame * rng.normal(size=(2, 1))
        out[k] = np.sqrt(np.mean(z**2 / (stated**2 + frame**2)))
    return out


def report_pulls(stated, ratio, rng, measured=()):
    """Print what right errors lead to at one size of the frame's error, and what was measured."""
    drawn = drawn_pulls(stated, ratio, rng)
    n = len(measured) or OF
    share = np.mean((drawn > LOW) & (drawn < HIGH))
    pooled = np.sqrt(np.mean(rng.choice(drawn**2, (DRAWS, n)), 1))
    low, high = np.percentile(pooled, [2.5, 97.5])
    scatter = np.sqrt(n * share * (1 - share))
    text = f"{ratio:5.2f}   {n * share:5.1f} +- {scatter:.1f} of {n}   {low:.2f}...{high:.2f}"
    if len(measured):
        inside = int(np.sum((measured > LOW) & (measured < HIGH)))
        text += f"   measured: {inside}, {np.sqrt(np.mean(measured**2)):.2f}"
    print(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fields", type=int, default=6)
    parser.add_argument("--stars", type=int, default=1200)
    args = parser.parse_args()
    rng, medians, ours, ratios = np.random.default_rng(1), [], [], []
    print("field   faint: auto, linear, oracle (mas/yr)   auto/linear  oracle/linear   total pull")
    for seed in range(1, args.fields + 1):
        sim = simulate_epochs(
            n_stars=args.stars, epochs=EPOCHS, angle_offset_mas=2.0, confused=0.04, outliers=0.012,
            bad_gaia=0.2, seed=seed,
        )  # fmt: skip
        (auto, linear, oracle), (error, stated, total) = faint_stars(sim, rng)
        medians.append((auto / linear, oracle / linear))
        ours.append(pull(error / total))
        ratios.append(np.sqrt(np.nanmedian(total**2 - stated**2)) / np.nanmedian(stated))
        print(
            f"{seed:5d}   {auto:.4f} {linear:.4f} {oracle:.4f}   {auto / linear:.2f}   {oracle / linear:.2f}"
            f"   {ours[-1]:.2f}",
            flush=True,
        )
    ratio = np.median(medians, axis=0)
    print(f"\nfaint stars over linear, median of fields: auto {ratio[0]:.2f}, oracle {ratio[1]:.2f}")
    print(
        f"\nerrors exactly as stated: frame's over a star's own, fields with total pulls in {LOW}...{HIGH},"
    )
    print("pulls of all fields together (95 %)")
    report_pulls(stated, np.median(ratios), rng, np.array(ours))
    for size in RATIOS:
        report_pulls(stated, size, rng)


if __name__ == "__main__":
    main()
