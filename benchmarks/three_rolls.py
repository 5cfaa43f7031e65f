"""Claim: three epochs of three rolls tell one distortion without a catalog, and its slow change with time.

    python benchmarks/three_rolls.py [--seeds 1] [--stars 4000] [--exposures 4] [--first 1]

Star lists (no pixels: true positions and known errors) of three epochs (2022.33, 2023.60, 2025.20; rolls 97
and 36 degrees apart; dithers of 20 arcsec) of one field whose stars move are self-calibrated: no catalog
positions. By seed it prints the RMS of the distortion's error over the detector (offset, turn and scale,
which no exposure tells from its pointing, taken out) in x and y, what is stated, and the yearly change of
scale and skew at the detector's edge: found, true, error and pulls. First with a distortion that
stays, then with one that changes by 2e-5 in scale and 0.005 pixel in both skews a year.
"""

import argparse
import time
import warnings

import numpy as np
from epochs_at_scale import on_detector, star_list

VISITS = ((2022.33, 10.0), (2023.60, 107.0), (2025.20, 46.0))  # years, rolls
CENTER, HALF = 1023.0, 1024.0
#: yearly changes of scale, x stretched against y, and skew, pixels at the edge
CHANGES = ((0.0, 0.0, 0.0), (2e-5 * HALF, 0.005, -0.005))


def in_pixels(field):
    """The field's true distortion with values in pixels, those of the detector's middle unchanged."""
    from jwst_hpastrom.geometry import fit_linear

    grid = np.linspace(600, 1450, 12)
    x, y = (c.ravel() for c in np.meshgrid(grid, grid))
    fit = fit_linear(*field.corrected(x, y), x, y, parameters=4, sigma=None).transform
    return lambda x, y: np.stack(fit.forward(*field.corrected(x, y)))


def moved(corrected, x, y, change):
    """Raw positions where the corrected ones have changed by the matrix ``change`` about the middle."""
    goal = corrected(x, y)
    u, v = x.copy(), y.copy()
    for _ in range(6):  # the distortion's slopes are within a per cent of one
        du, dv = goal - corrected(u, v) - change @ np.stack([u - CENTER, v - CENTER])
        u, v = u + du, v + dv
    return u, v


def make_lists(seed, rates, n_stars, n_exposures):
    """Star lists of all epochs, and the true distortion."""
    from jwst_hpastrom.simulation import simulate_field

    rng = np.random.default_rng(seed + 1000)
    scale, stretch, skew = np.asarray(rates) / HALF
    rate = np.array([[scale + stretch, skew], [skew, scale - stretch]])
    middle, lists = np.mean([year for year, _ in VISITS]), []
    for k, (year, roll) in enumerate(VISITS):
        field = simulate_field(
            epoch=year, roll=roll, star_epoch=2016.0, observation=f"{k + 1:03d}", n_exposures=n_exposures,
            n_stars=n_stars, mag_faint=-4.0, dither_arcsec=20.0, seed=seed,
        )  # fmt: skip
        corrected = in_pixels(field)
        for exposure in field.exposures:
            x, y, mag = on_detector(exposure)
            if np.any(rate):
                x, y = moved(corrected, x, y, (year - middle) * rate)
            lists.append(star_list(rng, exposure, x, y, mag, 0))
    return lists, corrected


def off(correction, corrected):
    """RMS of the correction's error in x and y, and what is stated, pixels."""
    from jwst_hpastrom.geometry import fit_linear

    along = np.linspace(8, 2039, 65)
    x, y = (c.ravel() for c in np.meshgrid(along, along))
    true, found = corrected(x, y), correction.forward(x, y)
    left = fit_linear(*found, *true, parameters=4, sigma=None).transform.forward(*found) - true
    return *np.sqrt(np.mean(left**2, axis=1)), *(np.sqrt(np.mean(e**2)) for e in correction.error(x, y))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("seeds", 1), ("stars", 4000), ("exposures", 4), ("first", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    from jwst_hpastrom.distortion import solve_distortion

    pulls = []
    for seed in range(given.first, given.first + given.seeds):
        for rates in CHANGES:
            lists, corrected = make_lists(seed, rates, given.stars, given.exposures)
            start = time.process_time()
            solved = solve_distortion(lists, method="self")
            spent = time.process_time() - start
            drift = solved.drift
            found = np.r_[drift["scale_change"] * HALF, drift["skew_change"]]
            error = np.r_[drift["scale_change_error"] * HALF, drift["skew_change_error"]]
            pulls.append((found - rates) / error)
            x, y, *stated = off(solved.correction, corrected)
            print(
                f"seed {seed}, {len(lists)} lists of {np.mean([len(t) for t in lists]):.0f} stars: off by "
                f"{x:.4f} {y:.4f} px, stated {stated[0]:.4f} {stated[1]:.4f}; change {found.round(5)}, true "
                f"{np.round(rates, 5)}, errors {error.round(5)}, pulls {pulls[-1].round(1)}; "
                f"{spent:.0f} s CPU",
                flush=True,
            )
    print(
        f"pulls of changes: RMS {np.sqrt(np.mean(np.square(pulls))):.2f}, largest {np.abs(pulls).max():.1f}"
    )


if __name__ == "__main__":
    main()
