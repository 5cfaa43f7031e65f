"""Claim: errors by light that was not subtracted hold where an ePSF tells of its wings, in every filter.

    python benchmarks/far_light.py [--filters F150W F277W F480M] [--stars 10000] [--seeds 11 12]

Four exposures of a crowded field (``--stars`` a full detector, brighter than -5, so that none is hidden) are
measured with their true ePSF to 12.5 pixels; their light reaches 45. Of stars whose error by others' light,
as one constant for all filters has it, is larger than the fits' own, it prints the robust width of (found -
true) / error: with that constant, with what the ePSF tells (`EPSFLibrary.wing_shift`), and without.
"""

import argparse
import logging
import warnings

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import EPSFLibrary, measure_stars
from jwst_hpastrom.frame.systematics import light_errors
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.simulation import simulate_field
from jwst_hpastrom.simulation.optics import OpticsConfig

SIZE, RIM = 512, 60
OPTICS = OpticsConfig(n_field=2, half_width=45, n_wavelengths=7, oversampling=4, n_pupil=192)


def measured(made, library):
    """Errors (exposure, axis, star), stated ones, places and flags of a field's stars; NaN: not found."""
    n = len(made.stars)
    off, error, at = (np.full((len(made.exposures), 2, n), np.nan) for _ in range(3))
    flags = np.zeros(n, int)
    for k, exposure in enumerate(made.exposures):
        t, truth = measure_stars(exposure.image, library, mode="catalog"), exposure.truth
        apart, j = cKDTree(np.c_[truth["x"], truth["y"]]).query(np.c_[t["x"], t["y"]])
        dm = np.asarray(t["mag"]) - np.asarray(truth["mag"])[j]
        i = np.flatnonzero((apart < 0.5) & (np.abs(dm - np.median(dm)) < 0.3))
        _, first = np.unique(j[i], return_index=True)
        i = i[first]
        star = np.asarray(truth["id"])[j[i]]
        for a, c in enumerate("xy"):
            off[k, a, star] = np.asarray(t[c])[i] - np.asarray(truth[c])[j[i]]
            off[k, a] -= np.nanmedian(off[k, a])
            error[k, a, star], at[k, a, star] = t[f"{c}_err"][i], truth[c][j[i]]
        flags[star] |= np.asarray(t["flags"])[i]
    return off, error, at[0], flags


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--filters", nargs="+", default=["F150W", "F277W", "F480M"])
    parser.add_argument("--stars", type=int, default=10_000)
    parser.add_argument("--seeds", nargs="+", type=int, default=[11, 12])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for name in args.filters:
        for seed in args.seeds:
            n = int(2.7 * args.stars * (SIZE / 2048) ** 2)  # the sky is wider than the detector
            made = simulate_field(
                filter=name, seed=seed, size=SIZE, n_exposures=4, dither_arcsec=1.0, n_stars=n, optics=OPTICS,
                mag_bright=-9.5, mag_faint=-5.0, min_separation=0.15,
            )  # fmt: skip
            library = EPSFLibrary(*made.epsf.sampled(), meta={"filter": name}).normalized()
            library = library.shifted(*(-float(c) for c in made.config.origin))
            off, error, at, flags = measured(made, library)
            rows, mag = np.flatnonzero(np.isfinite(at).all(0)), np.asarray(made.stars["mag"])
            own = np.sqrt((error**2).sum(0))[:, rows] / len(error)
            stars = (*at[:, rows], mag[rows], flags[rows], name, 1.0, "NIRISS")
            light = {s: light_errors(*stars, wing_shift=w) for s, w in
                     (("constant", None), ("ePSF's", library.wing_shift()), ("none", 0.0))}  # fmt: skip
            inside = np.all((at[:, rows] > RIM) & (at[:, rows] < SIZE - RIM), axis=0)
            good = inside & np.isfinite(off[..., rows]).all((0, 1)) & (flags[rows] & int(Flag.SUBTRACTED) > 0)
            good &= light["constant"] > own.mean(0)
            pulls = {s: off.mean(0)[:, rows][:, good] / np.hypot(own, e)[:, good] for s, e in light.items()}
            widths = (f"{s} {robust_sigma(np.r_[z.ravel(), -z.ravel()]):.2f}" for s, z in pulls.items())
            print(f"{name} seed {seed}: {good.sum()} stars, {', '.join(widths)}", flush=True)


if __name__ == "__main__":
    main()
