"""Claim: two figures that many-epoch motions are asked for are set by the data, not by the estimator.

    python benchmarks/motion_limits.py [--fields 6] [--stars 1200]

Faint stars: the error of ``models=auto`` over that of ``linear`` (medians), and the same of an oracle that
knows every transformation, every offset between position angles and every unseen neighbor, and meets no
outlier. It fits a weighted line to photon noise alone (Cramér-Rao): no estimator gets below its ratio.

Total pulls: all stars of a field share one draw of the frame's error, so that a field's pulls with
``*_error_total`` about zero are far from 1 though the errors are right. Fields are drawn with errors exactly
as stated; how many of 30 have pulls in 0.9...1.15, and how far the pulls of all fields together (root of the mean
square) scatter about 1. The second can be tested; the first cannot.
"""

import argparse

import numpy as np
from bench_epoch_frames import EPOCHS, clipped, measure

from jwst_hpastrom.simulation import simulate_epochs

FAINT, LOW, HIGH, OF = 17.5, 0.9, 1.15, 30
DRAWS = 2000


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


def drawn_pulls(stated, total, rng):
    """Pull of a field whose errors are exactly as stated: own ones, and one draw an axis of the frame's."""
    frame = np.sqrt(np.nanmedian(total**2 - stated**2, axis=1))[:, None]
    ok = np.isfinite(stated).all(0)
    out = np.empty(DRAWS)
    for k in range(DRAWS):
        z = stated[:, ok] * rng.normal(size=(2, ok.sum())) + frame * rng.normal(size=(2, 1))
        out[k] = np.sqrt(np.mean((z / total[:, ok]) ** 2))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fields", type=int, default=6)
    parser.add_argument("--stars", type=int, default=1200)
    args = parser.parse_args()
    rng, medians, ours, drawn = np.random.default_rng(1), [], [], []
    print("field   faint: auto, linear, oracle (mas/yr)   auto/linear  oracle/linear   total pull")
    for seed in range(1, args.fields + 1):
        sim = simulate_epochs(
            n_stars=args.stars, epochs=EPOCHS, angle_offset_mas=2.0, confused=0.04, outliers=0.012,
            bad_gaia=0.2, seed=seed,
        )  # fmt: skip
        (auto, linear, oracle), (error, stated, total) = faint_stars(sim, rng)
        medians.append((auto / linear, oracle / linear))
        ours.append(pull(error / total))
        drawn.append(drawn_pulls(stated, total, rng))
        print(
            f"{seed:5d}   {auto:.4f} {linear:.4f} {oracle:.4f}   {auto / linear:.2f}   {oracle / linear:.2f}"
            f"   {ours[-1]:.2f}",
            flush=True,
        )
    ratio = np.median(medians, axis=0)
    print(f"\nfaint stars over linear, median of fields: auto {ratio[0]:.2f}, oracle {ratio[1]:.2f}")
    drawn = np.array(drawn)
    share = np.mean((drawn > LOW) & (drawn < HIGH))
    scatter = np.sqrt(OF * share * (1 - share))
    pooled = np.sqrt(np.mean(rng.permuted(drawn.repeat(-(-OF // len(drawn)), 0)[:OF] ** 2, axis=1), 0))
    low, high = np.percentile(pooled, [2.5, 97.5])
    print(
        f"exactly right errors: {OF * share:.0f} +- {scatter:.0f} of {OF} fields have total pulls in "
        f"{LOW}...{HIGH}; pulls of {OF} fields together 95 % in {low:.2f}...{high:.2f}"
    )
    inside = np.mean((np.array(ours) > LOW) & (np.array(ours) < HIGH))
    few = np.sqrt(np.mean(rng.permuted(drawn**2, axis=1), 0))
    low, high = np.percentile(few, [2.5, 97.5])
    print(
        f"these {len(ours)} fields: {inside * len(ours):.0f} in that range; together "
        f"{np.sqrt(np.mean(np.square(ours))):.2f}, 95 % of right errors in {low:.2f}...{high:.2f}"
    )


if __name__ == "__main__":
    main()
