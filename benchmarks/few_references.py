"""Claim: with a few reference stars, a given ePSF and the WCS's distortion, frames err as the bound allows.

    python benchmarks/few_references.py [--references 43 12 0] [--fields 1] [--first 0] [--filter F200W]
                                        [--stars 420] [--lists] [--understated 1.5] [--wrong 2]

The pipeline runs on four simulated exposures (dithers of 3 arcsec) of a sparse field, with an ePSF about
whose focus theirs scatter, and a catalog of so many stars (0.15 mas, 0.12 mas/yr, six years old). By
magnitude it prints the RMS error of isolated stars about the median, per axis, over the bound: the
exposures' Cramér-Rao errors, and what the reference stars leave of a polynomial and of the structure that
this does not follow, at the degree for which the bound is the smallest; and pulls: errors over stated
ones, about the median, and about zero with the tie's, and the share of stars flagged SYSTEMATIC_LIMIT.
All stars of a field share the polynomial's terms, so that few fields say little. Without reference stars
six parameters are taken out of the errors, since the WCS's scale and turn are believed; the bound has
what they leave of the WCS's distortion. ``--lists`` makes star lists with the bound's errors and 0.002
pixel more instead of images; ``--understated`` divides the catalog's stated errors, ``--wrong`` puts so many
of its stars 10 to 40 mas elsewhere.
"""

import argparse
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import QTable, Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.distortion.few_stars import refine_distortion
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import fit_polynomial
from jwst_hpastrom.io import write_epsf_reference
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.simulation import cramer_rao, frame_bound, simulate_field, write_field
from jwst_hpastrom.simulation.comparison import compare_master
from jwst_hpastrom.simulation.optics import OpticsConfig
from jwst_hpastrom.simulation.sky import positions_at

POSITION, MOTION, YEARS, FAINTEST = 0.15, 0.12, 6.0, -5.5  # mas, mas/yr: of the reference stars
BINS = ((-9.5, -7.5), (-7.5, -6.5), (-6.5, -5.0))
DEGREES = range(1, 6)
UNKNOWN = 0.002  # pixels: of star lists beside the bound
ELSEWHERE = 10.0, 40.0  # mas: of wrong reference stars
FOCUS = 5.0  # nm: of the exposures, about the given ePSF's
OPTICS = OpticsConfig(n_field=3, n_wavelengths=3)


def references(made, n, rng, understated=1.0, wrong=0):
    """A catalog of n of the stars that Gaia would have, and the numbers of those that are not wrong."""
    epoch, seen = made.config.epoch - YEARS, np.zeros(len(made.stars), int)
    for exposure in made.exposures:
        seen[np.asarray(exposure.truth["id"])] += 1
    good = (np.asarray(made.stars["mag"]) < FAINTEST) & (seen == len(made.exposures))
    rows = rng.permutation(np.flatnonzero(good))[:n]
    ra, dec = (np.asarray(v)[rows] for v in positions_at(made.stars, epoch))
    about, far = rng.uniform(0, 2 * np.pi, wrong), rng.uniform(*ELSEWHERE, wrong) / 3.6e6
    off, motion = rng.normal(0, POSITION / 3.6e6, (2, rows.size)), rng.normal(0, MOTION, (2, rows.size))
    off[:, :wrong] += far * np.stack([np.cos(about), np.sin(about)])
    out = QTable({"ra": (ra + off[0] / np.cos(np.deg2rad(dec))) * u.deg, "dec": (dec + off[1]) * u.deg})
    for k, c in enumerate(("pmra", "pmdec")):
        out[c] = (np.asarray(made.stars[c])[rows] + motion[k]) * u.mas / u.yr
        out[f"{c}_error"] = np.full(rows.size, MOTION / understated) * u.mas / u.yr
    for c in ("ra_error", "dec_error"):
        out[c] = np.full(rows.size, POSITION / understated) * u.mas
    out["mag"] = np.asarray(made.stars["mag"])[rows]
    out.meta["ref_epoch"] = epoch
    return out, np.asarray(made.stars["id"])[rows[wrong:]]


def structure(made, degree, rng):
    """RMS per axis, mas, of what a polynomial leaves of the true distortion against that of the WCS."""
    x, y = rng.uniform(20, 2027, (2, 4000))
    known, true = made.distortion.official.forward(x, y), made.distortion.forward(x, y)
    found = fit_polynomial(*known, *true, degree=degree, sigma=None).transform.forward(*known)
    return 1e3 * np.sqrt(0.5 * np.mean(np.sum(np.square(np.subtract(found, true)), axis=0)))


def bound_of(made, found, chosen, rng):
    """Smallest bound over the degrees, mas, for each of the stars that were found."""
    stars = made.stars[np.asarray(found["id"])]  # numbers are those of rows
    at, own = (np.asarray(stars["xi"]), np.asarray(stars["eta"])), np.asarray(found["bound"])
    if not len(chosen):
        return np.hypot(own, structure(made, 1, rng))
    rows = np.flatnonzero(np.isin(found["id"], chosen))
    out = []
    for degree in DEGREES:
        try:
            left = structure(made, degree, rng)
            out.append(frame_bound(*at, own, rows, np.hypot(POSITION, MOTION * YEARS), degree=degree,
                                   structure=left))  # fmt: skip
        except NotEnoughStarsError:
            break
    return min(out, key=lambda b: np.mean(np.square(b)))


def run(made, folder, catalog):
    from jwst_hpastrom.steps import HPAstromPipeline

    folder = Path(folder)
    files = write_field(made, folder, truth=False)
    epsf = EPSFLibrary(*made.epsf.sampled(), meta={"filter": made.config.filter}).normalized()
    write_epsf_reference(epsf, folder / "epsf.asdf")
    options = {"epsf_file": str(folder / "epsf.asdf"), "output_dir": str(folder / "out")}
    (folder / "out").mkdir()
    if len(catalog):
        catalog.write(folder / "few.ecsv")
        options["reference_catalog"] = str(folder / "few.ecsv")
    HPAstromPipeline.call(str(files.association), **options)
    chosen = Table.read(next((folder / "out").glob("*_choices_quality.ecsv")))
    print("  ", "; ".join(f"{row['part']}: {row['chosen']}" for row in chosen))
    return Table.read(next((folder / "out").glob("*_master.ecsv")))


def star_lists(made, rng):
    """Star lists of the exposures as fits by a perfect ePSF would make them, almost."""
    out, (ny, nx) = [], made.config.shape
    for exposure in made.exposures:
        x, y, mag = (np.asarray(exposure.truth[c], float) for c in ("x", "y", "mag"))
        error = np.hypot(cramer_rao(exposure)[:2], UNKNOWN)
        k = np.isfinite(error).all(0) & (x > 5) & (x < nx - 6) & (y > 5) & (y < ny - 6)
        error, (x, y) = error[:, k], np.stack([x[k], y[k]]) + rng.normal(0, error[:, k])
        columns = {"x": x, "y": y, "x_err": error[0], "y_err": error[1], "mag": mag[k]}
        columns |= dict(zip(("ra", "dec"), exposure.to_sky(x, y), strict=True))
        columns |= {"mag_err": np.full(x.size, 0.005), "flags": np.zeros(x.size, int)}
        out.append(Table(columns, meta=exposure.meta))
    return out


def of_lists(made, folder, catalog, rng):
    """The master frame of star lists, refined by the catalog as the pipeline does."""
    lists = star_lists(made, rng)
    if not len(catalog):
        return build_master(lists).table
    catalog.write(Path(folder) / "few.ecsv")
    reference = read_catalog(Path(folder) / "few.ecsv")
    correction = refine_distortion(lists, reference).correction
    return build_master(lists, correction=correction, reference=reference).table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--references", nargs="+", type=int, default=[43, 12, 0])
    parser.add_argument("--fields", type=int, default=1)
    parser.add_argument("--filter", default="F200W")
    parser.add_argument("--stars", type=int, default=420)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--understated", type=float, default=1.0)
    parser.add_argument("--wrong", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for n in args.references:
        rows = []
        for seed in range(args.first, args.first + args.fields):
            rng = np.random.default_rng([seed, n])
            made = simulate_field(
                filter=args.filter, seed=40 + 7 * seed, n_exposures=4, dither_arcsec=3.0, optics=OPTICS,
                n_stars=args.stars, mag_bright=-9.5, mag_faint=-4.0, min_separation=0.6, focus_nm=FOCUS,
            )  # fmt: skip
            catalog, chosen = references(made, n, rng, args.understated, min(args.wrong, n))
            with tempfile.TemporaryDirectory() as folder:
                master = of_lists(made, folder, catalog, rng) if args.lists else run(made, folder, catalog)
            rows.append((made, compare_master(made, master), chosen, rng))
        report(n, rows)


def report(n, rows):
    mag, ratio, own, pull, total, flagged = [], [], [], [], [], []
    for made, found, chosen, rng in rows:
        found = found[np.asarray(found["isolated"]) & np.isfinite(found["bound"])]
        bound = bound_of(made, found, chosen, rng)
        d = np.stack([found["dx"], found["dy"]])
        e = np.stack([found["x_err"], found["y_err"]])
        if not len(chosen):  # scale and turn of the WCS are believed
            at = made.stars[np.asarray(found["id"])]
            base = np.stack([np.ones(len(at)), at["xi"], at["eta"]], 1)
            d = d - (base @ np.linalg.lstsq(base, d.T, rcond=None)[0]).T
        off = np.array([[found.meta["median_dx"]], [found.meta["median_dy"]]])
        tie = np.stack([found["x_err_tie"], found["y_err_tie"]])
        mag.append(np.asarray(found["mag"]))
        flagged.append(np.asarray(found["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0)
        ratio.append(d / bound)
        own.append(bound)
        pull.append(d / e)
        total.append((d + off) / np.hypot(e, tie))
    mag, own, flagged = (np.concatenate(v) for v in (mag, own, flagged))
    ratio, pull, total = (np.concatenate(v, axis=1) for v in (ratio, pull, total))
    for low, high in BINS:
        b = (mag >= low) & (mag < high)
        over, pulls, zero = (" ".join(f"{v:.2f}" for v in np.sqrt(np.mean(z[:, b] ** 2, axis=1)))
                             for z in (ratio, pull, total))  # fmt: skip
        line = f"{n:3d} references, {low} to {high} ({b.sum()} stars): bound {np.median(own[b]):.2f} mas, "
        line += f"error over it {over}, pulls {pulls}, flagged {np.mean(flagged[b]):.0%}"
        print(line + (f", about zero {zero}" if n else ""), flush=True)


if __name__ == "__main__":
    main()
