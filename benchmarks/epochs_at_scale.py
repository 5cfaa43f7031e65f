"""CPU time and memory of several epochs' star lists on their way to motions.

Claim: six epochs of nine exposures of 30,000 stars are self-calibrated, averaged to frames and joined to
motions within ten minutes of one core and 6 GB. Star lists are made from a simulated field's true positions
and known errors (no pixels); motions are compared with the truth, their errors and pulls printed. With two
and three epochs it tells what JWST's own can.

    python benchmarks/epochs_at_scale.py [--epochs 6] [--exposures 9] [--stars 30000] [--seed 1]
"""

import argparse
import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table

#: instrumental magnitudes, and position errors there in pixels
MAGS = (-9.0, -7.5, -6.5, -5.5, -4.7, -4.0, -3.0, -2.0)
ERRORS = (0.0013, 0.0014, 0.002, 0.0031, 0.0047, 0.0065, 0.012, 0.025)
ROLLS = (10.0, 200.0, 107.0, 300.0, 60.0, 46.0)
FIRST, LAST = 2022.3, 2025.2


def on_detector(exposure):
    """True positions and magnitudes of an exposure's stars that are not at the edges."""
    x, y, mag = (np.asarray(exposure.truth[c], float) for c in ("x", "y", "mag"))
    k = (x > 5) & (x < 2042) & (y > 5) & (y < 2042)
    return x[k], y[k], mag[k]


def star_list(rng, exposure, x, y, mag, flags):
    """Star list of these positions, with noise of known errors."""
    error = np.interp(mag, MAGS, ERRORS)
    x, y = (v + rng.normal(size=v.size) * error for v in (x, y))
    table = Table({"x": x, "y": y, "x_err": error, "y_err": error}, meta=dict(exposure.meta))
    table["mag"] = mag + rng.normal(0, 0.004, mag.size)
    table["mag_err"], table["qfit"], table["flags"] = 0.004, 0.02, flags
    table["ra"], table["dec"] = exposure.to_sky(x, y)
    return table


def make_lists(rng, n_epochs, n_exposures, n_stars):
    """Star lists by epoch, the truth, and a catalog like Gaia's of the 200 brightest stars."""
    from jwst_hpastrom.columns import Flag
    from jwst_hpastrom.geometry import TangentPlane, propagate
    from jwst_hpastrom.simulation import simulate_field

    epochs = []
    for k, year in enumerate(np.linspace(FIRST, LAST, n_epochs)):
        field = simulate_field(
            epoch=year, roll=ROLLS[k % len(ROLLS)], star_epoch=2016.0, observation=f"{k + 1:03d}",
            n_exposures=n_exposures, n_stars=n_stars, mag_faint=-2.0, dither_arcsec=20.0, seed=11,
        )  # fmt: skip
        lists = []
        for exposure in field.exposures:
            x, y, mag = on_detector(exposure)
            # these positions have nothing of their neighbors' light, as where fits subtract them
            lists.append(star_list(rng, exposure, x, y, mag, int(Flag.SUBTRACTED)))
        epochs.append(lists)
    stars = field.stars
    g = np.argsort(np.asarray(stars["mag"]))[:200]
    xi, eta, *pm = (np.asarray(stars[c])[g] for c in ("xi", "eta", "pmra", "pmdec"))
    xi, eta = propagate(xi, eta, *pm, 2016.0 - stars.meta["epoch"])
    noise = rng.normal(size=(4, g.size))
    ra, dec = TangentPlane.from_meta(stars.meta).to_sky(xi + 1.5e-4 * noise[0], eta + 1.5e-4 * noise[1])
    gaia = Table({"source_id": g, "ra": ra, "dec": dec})
    for name, value, error in zip(("pmra", "pmdec"), pm, noise[2:], strict=True):
        gaia[name], gaia[f"{name}_error"] = value + 0.12 * error, 0.12
    gaia["ra_error"] = gaia["dec_error"] = 0.15
    gaia["phot_g_mean_mag"] = np.asarray(stars["mag"])[g] + 24.0
    gaia["ruwe"], gaia["ref_epoch"] = 1.0, 2016.0
    return epochs, stars, gaia


class Stages:
    """Prints what each stage takes."""

    def __init__(self):
        self.total = 0.0

    def __call__(self, name, task):
        before = time.process_time()
        out = task()
        spent = time.process_time() - before
        self.total += spent
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:12} {spent:7.1f} s CPU, {self.total:7.1f} s so far, peak {peak:.2f} GB", flush=True)
        return out


def judge(stars, motions):
    """Scatter and pulls of motions about the median, for three ranges of magnitude."""
    from jwst_hpastrom.geometry import TangentPlane, match_nearest, robust_sigma
    from jwst_hpastrom.simulation.sky import positions_at

    plane = TangentPlane.from_meta(stars.meta)
    year = float(np.nanmedian(np.asarray(motions["ref_epoch"])))
    at = plane.from_sky(np.asarray(motions["ra"]), np.asarray(motions["dec"]))
    i, j, _ = match_nearest(*at, *plane.from_sky(*positions_at(stars, year)), 0.02)
    mag = np.asarray(stars["mag"])[j]
    off, own, total = (
        np.stack([np.asarray(of(c)) for c in ("pmra", "pmdec")])
        for of in (
            lambda c: motions[c][i] - stars[c][j],
            lambda c: motions[f"{c}_error"][i],
            lambda c: motions[f"{c}_error_total"][i],
        )
    )
    for low, high in ((-8, -6.5), (-6.5, -5), (-5, -3)):
        k = (mag > low) & (mag < high)
        about = off[:, k] - np.nanmedian(off[:, k], axis=1)[:, None]
        print(
            f"mag {low} to {high}: {k.sum()} stars, {robust_sigma(about.ravel()):.3f} mas/yr, stated "
            f"{np.nanmedian(own[:, k]):.3f}, pull {robust_sigma((about / own[:, k]).ravel()):.2f}, "
            f"total pull about zero {robust_sigma((off / total)[:, k].ravel()):.2f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--exposures", type=int, default=9)
    parser.add_argument("--stars", type=int, default=30000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    from jwst_hpastrom.distortion import solve_distortion
    from jwst_hpastrom.frame import build_master
    from jwst_hpastrom.io.files.writing import write_table
    from jwst_hpastrom.io.gaia import read_gaia
    from jwst_hpastrom.io.tables.epochs import read_epoch_list
    from jwst_hpastrom.motion.many_epoch import fit_epochs

    rng, stage = np.random.default_rng(given.seed), Stages()
    epochs, stars, gaia = stage(
        "(simulation)", lambda: make_lists(rng, given.epochs, given.exposures, given.stars)
    )
    stage.total = 0.0
    every = [t for lists in epochs for t in lists]
    print(f"{len(every)} lists of {np.mean([len(t) for t in every]):.0f} stars")
    solution = stage("distortion", lambda: solve_distortion(every, method="self"))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"e{k}_master.ecsv" for k in range(len(epochs))]
        for lists, path in zip(epochs, paths, strict=True):
            frame = stage("frame", lambda lists=lists: build_master(lists, correction=solution.correction))
            stage("writing", lambda frame=frame, path=path: write_table(frame.table, path))
        gaia.write(Path(folder) / "gaia.ecsv")
        reference = read_gaia(Path(folder) / "gaia.ecsv")
        lists = stage("reading", lambda: [read_epoch_list(p) for p in paths])
    motions = stage("motions", lambda: fit_epochs(lists, reference, degree=1))
    judge(stars, motions.table)


if __name__ == "__main__":
    main()
