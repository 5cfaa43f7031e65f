"""One visit of several of NIRCam's detectors, from pixels to the frame, against runs of one detector.

    python benchmarks/nircam_visit.py [--detectors NRCB1 …] [--stars 1500] [--seed 1] [--singles 4] [--out D]

Exposures of the package's simulation with NIRCam's scale and the detectors' places (SIAF), four dithers of
6 arcsec, one attitude for all detectors of an exposure; each detector has a fine structure and ePSFs of its
own, and lies up to 10 mas off where the WCS says. Prints for each detector and axis the scatter of isolated
stars over the Cramér–Rao error by magnitude, three times:

- of repeats: measured positions less each star's mean over the dithers, a linear map of each exposure taken
  out, over the error of such a difference;
- from the truth: measured less true raw positions, each exposure's median taken out. An ePSF has its middle
  where a convention says, psi(-1/2) = psi(1/2): how well the stars' pixels tell that, place by place, is in
  this one, too, and is the same as a distortion to all that uses both;
- the same without a quadratic of the place.

Then by how much noise-free stars are off with the library, RMS over the detector; the distortion's error
(similarity taken out) and what is stated; the error of both together, noise-free stars through library and
distortion; the frame's pulls; how far the detectors' places are off, common shift and rotation taken out; CPU
time and peak memory of the visit's process and of the runs of one detector (``--singles``: how many of them
are run, the sum is taken from their mean). The first run compiles: take the second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.interpolate import RegularGridInterpolator

from jwst_hpastrom.geometry import TangentPlane, fit_linear, robust_sigma
from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.io import read_star_list
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms
from jwst_hpastrom.simulation import camera, comparison, config, detector, field, optics, sky, writing

SCALE, DITHER, BAND = 0.0311, 6.0, "F200W"
ROWS = INSTRUMENTS["NIRCAM"].detectors
#: middle of the camera in V2, V3 (arcsec), and its place and turn on the sky (degrees)
MIDDLE, TARGET, ROLL = (-88.5, -491.5), (80.5, -69.5), 35.0
RUN = """
import sys
from jwst_hpastrom.steps import HPAstromPipeline
HPAstromPipeline.call(sys.argv[1], output_dir=sys.argv[2], reference_catalog=sys.argv[3])
"""
BINS = ((-9.0, -7.0), (-7.0, -5.0), (-5.0, -3.0))


class Camera(config.FieldConfig):
    """A sky that all detectors and dithers fit on."""

    @property
    def half_field(self):
        """Half sides, arcsec."""
        return 105.0, 105.0


class Seeds:
    """The numbers that a field is drawn with: one sky, but each detector its own structure, optics, noise."""

    def __init__(self, seed, number):
        self.own = [seed, seed, *(1000 * seed + number,) * 3, seed]

    def integers(self, *_):
        """In place of a generator."""
        return self.own


def become(row):
    """Give the simulated observatory the place of a detector."""
    for module in (camera, comparison, config, detector, field, optics, sky, writing):
        for name, value in (
            ("SCALE", SCALE),
            ("V2_REF", row.v2),
            ("V3_REF", row.v3),
            ("V3_ANGLE", row.angle),
        ):
            if hasattr(module, name):
                setattr(module, name, value)


def attitude(east, north, roll):
    """Matrix from V2V3 to the sky, the camera's middle looking somewhere (arcsec off the target)."""
    ra, dec = TangentPlane(*TARGET).to_sky(east, north)
    camera.V2_REF, camera.V3_REF = MIDDLE
    return camera.Pointing(float(ra), float(dec), roll)._matrix()


def pointing(matrix, v2, v3):
    """The pointing of a place in V2V3 (arcsec) with an attitude."""

    def looks(v2, v3):
        a, b = np.deg2rad(v2 / 3600), np.deg2rad(v3 / 3600)
        x, y, z = matrix @ [np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)]
        return np.rad2deg(np.arctan2(y, x)) % 360, np.rad2deg(np.arcsin(z))

    ra, dec = looks(v2, v3)
    east, north = TangentPlane(ra, dec).from_sky(*looks(v2, v3 + 1.0))
    return camera.Pointing(float(ra), float(dec), float(np.rad2deg(np.arctan2(east, north))))


def simulate(names, stars, seed):
    """Fields by detector: one sky, one attitude for each exposure, detectors that are not quite in place."""
    rng, out, common = np.random.default_rng(seed), {}, None
    steps = DITHER * (np.array([[k % 2, k // 2] for k in range(4)]) - 0.5) + rng.uniform(-0.15, 0.15, (4, 2))
    rolls, errors = ROLL + rng.normal(0, 0.01, 4), rng.normal(0, 0.05, (4, 2))
    headers = [attitude(*s, r) for s, r in zip(steps, rolls, strict=True)]
    trues = [attitude(*(s + e), r) for s, r, e in zip(steps, rolls, errors, strict=True)]
    for number, name in enumerate(names):
        row, off = ROWS[name], rng.normal(0, 0.005, 2)
        become(row)
        settings = Camera(
            filter=BAND, n_exposures=4, n_stars=stars, mag_bright=-9.0, mag_faint=-3.0, target=TARGET,
            dither_arcsec=DITHER, filter_pix=0.05, seed=seed,
        )  # fmt: skip
        made = field.simulate_field(settings, rng=Seeds(seed, number))
        common = made if common is None else common
        made = replace(made, stars=common.stars, reference_catalog=common.reference_catalog, exposures=[])
        for k, (header, true) in enumerate(zip(headers, trues, strict=True)):
            said = pointing(header, row.v2, row.v3)
            really = pointing(true, row.v2 + off[0], row.v3 + off[1])
            pair = (replace(p, va_scale=settings.va_scale) for p in (said, really))
            made.exposures.append(field._exposure(made, k, *pair))
        out[name] = made
    return out


def write(fields, folder):
    """Exposures with NIRCam's keywords; associations of the visit and of each detector, the catalog."""
    every, catalog = [], None
    for name, made in fields.items():
        become(ROWS[name])
        files = writing.write_field(made, folder / "plain" / name, truth=False)
        members, catalog = [], catalog or files.reference_catalog
        for path in map(Path, files.exposures):
            new = path.name.replace("_nis_", f"_{name.lower()}_")
            with fits.open(path) as hdus:
                hdus[0].header.update(
                    INSTRUME="NIRCAM", DETECTOR=name, EXP_TYPE="NRC_IMAGE", FILTER=BAND, PUPIL="CLEAR",
                    MODULE=ROWS[name].keywords["module"], CHANNEL="SHORT", FILENAME=new,
                )  # fmt: skip
                hdus.writeto(folder / new)
            path.unlink()
            members.append({"expname": new, "exptype": "science"})
        every += members
        _associate(folder, name.lower(), members)
    _associate(folder, "visit", every)
    return catalog


def _associate(folder, product, members):
    text = json.dumps({"asn_type": "image3", "products": [{"name": product, "members": members}]})
    (folder / f"{product}_asn.json").write_text(text)


def run(folder, product, catalog):
    """CPU seconds and peak memory (GB) of a run of the pipeline in its own process."""
    out = folder / f"out_{product}"
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-c", RUN, str(folder / f"{product}_asn.json"), str(out), str(catalog)]
    with open(folder / f"{product}.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run of {product} failed: see {folder / product}.log")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def detector_rows(name, made, out, product):
    """Print scatter over the bound by magnitude, and errors of library and distortion."""
    become(ROWS[name])
    names = [e.name.replace("_nis", f"_{name.lower()}") for e in made.exposures]
    stars = comparison.compare_stars(made, [read_star_list(out / f"{n}_stars.ecsv") for n in names])
    bins = [stars["isolated"] & (stars["mag"] > a) & (stars["mag"] < b) for a, b in BINS]
    for axis in "xy":
        off, bound = stars[f"d{axis}"], stars[f"{axis}_bound"]
        middle = np.array([np.median(off[stars["exposure"] == k]) for k in range(4)])
        off = off - middle[stars["exposure"]]
        rest = without(2, off, stars["x"], stars["y"], bound)
        kinds = {"repeats": repeated(stars, axis), "truth": off / bound, "without a quadratic": rest / bound}
        for kind, each in kinds.items():
            parts = [each[k & np.isfinite(each)] for k in bins]
            print(name, axis, f"scatter over Cramér–Rao, {kind}:",
                  *(f"{robust_sigma(p):.2f} ({p.size})" for p in parts))  # fmt: skip
    path, at = out / f"{product}_distortion.asdf", np.linspace(0, 2047, 17)
    own = own_shifts(
        made, read_epsf(str(out / f"{product}_epsf.fits")), *(v.ravel() for v in np.meshgrid(at, at))
    )
    rms = np.std(own, axis=1)
    print(name, "library off by {:.5f} {:.5f} px".format(*rms))
    left, correction = comparison.distortion_residuals(made, path), read_distortion(path)
    x, y = left["x"], left["y"]
    shown = [np.sqrt(np.mean(e**2)) for e in (left["dx"], left["dy"], *correction.error(x, y))]
    print(name, "distortion off by {:.4f} {:.4f} px, stated {:.4f} {:.4f}".format(*shown))
    own = [RegularGridInterpolator((at, at), d.reshape(17, 17))((y, x)) for d in own]
    both = [x + left["dx"] + own[0], y + left["dy"] + own[1]]
    both = fit_linear(*both, x, y, parameters=4, sigma=1e6).transform.forward(*both)
    rms = [np.sqrt(np.mean((p - q) ** 2)) for p, q in zip(both, (x, y), strict=True)]
    print(name, "distortion and library together off by {:.4f} {:.4f} px".format(*rms))


def repeated(stars, axis):
    """Offsets from each star's mean over the dithers in their errors; NaN where it has fewer than three.

    A linear map of each exposure is taken out, which no one can tell from its pointing.
    """
    off, bound, star = (
        np.array(stars[f"d{axis}"]),
        np.asarray(stars[f"{axis}_bound"]),
        np.asarray(stars["id"]),
    )
    for k in range(4):
        of = stars["exposure"] == k
        off[of] = without(1, off[of], stars["x"][of], stars["y"][of], bound[of])
    weight = np.where(stars["isolated"] & (np.abs(off) < 6 * np.hypot(bound, 0.002)), bound**-2.0, 0.0)
    total = np.bincount(star, weight)[star]
    mean = np.bincount(star, weight * off)[star] / np.maximum(total, 1e-300)
    told = (weight > 0) & (np.bincount(star, weight > 0)[star] > 2)
    error = np.sqrt(np.where(told, bound**2 - 1 / np.maximum(total, 1e-300), np.nan))
    return (off - mean) / error


def without(degree, off, x, y, bound=0.0):
    """Offsets less a polynomial of the place."""
    basis = polynomial_basis(x / 1023.5 - 1, y / 1023.5 - 1, polynomial_terms(degree))
    weight, left = 1 / np.hypot(bound, 0.001) * np.ones(len(x)), off
    for _ in range(5):
        w = weight * (np.abs(left) * weight < 4) if np.ndim(bound) else weight
        left = off - basis @ np.linalg.lstsq(basis * w[:, None], off * w, rcond=None)[0]
    return left


def own_shifts(made, library, x, y, mag=-7.0, phases=4):
    """By how much noise-free stars at these places are off that are fitted with a library, pixels."""
    rng, flux, noise = np.random.default_rng(1), 10 ** (-0.4 * mag), made.config.noise
    box, out = np.arange(-2, 3), np.zeros((2, len(x)))
    floor = noise.background / noise.electrons + (noise.read_noise / noise.electrons) ** 2
    for _ in range(phases):
        at = np.stack([x, y]) + rng.uniform(-0.5, 0.5, out.shape)
        i, j = (np.rint(p)[:, None] + box - p[:, None] for p in at)
        dx, dy = np.broadcast_arrays(i[:, None, :], j[:, :, None])
        true = np.stack([made.epsf.evaluate(*star) for star in zip(dx, dy, *at, strict=True)])
        value, by_x, by_y = library.evaluate(dx, dy, *at[:, :, None, None], gradient=True)
        design = np.stack([value, -flux * by_x, -flux * by_y], -1).reshape(len(x), -1, 3)
        back = (design / (floor + flux * true / noise.electrons).reshape(len(x), -1, 1)).transpose(0, 2, 1)
        off = flux * (true - value).reshape(len(x), -1, 1)
        out += np.linalg.solve(back @ design, back @ off)[:, 1:, 0].T / phases
    return out


def frame_rows(made, out):
    """Print pulls of the frame's isolated stars by magnitude."""
    stars = comparison.compare_master(made, Table.read(out / "visit_master.ecsv"))
    for axis in "xy":
        error = np.hypot(stars[f"{axis}_err"], np.nan_to_num(np.asarray(stars[f"{axis}_err_tie"])))
        parts = [stars["isolated"] & (stars["mag"] > a) & (stars["mag"] < b) for a, b in BINS]
        pulls = [robust_sigma(stars[f"d{axis}"][k] / error[k]) for k in parts]
        print("frame", axis, "pulls:", *(f"{p:.2f} ({k.sum()}, {np.median(error[k]):.3f} mas)"
                                         for p, k in zip(pulls, parts, strict=True)))  # fmt: skip


def places_rows(fields, out):
    """Print how far the detectors' relative places are off, in mas and in stated errors."""
    table = Table.read(out / "visit_detectors.ecsv")
    true = []
    for name in table["detector"]:
        become(ROWS[name])
        made, grid = fields[name], np.meshgrid(*2 * [np.linspace(0, 2047, 33)])
        x, y = (v.ravel() for v in grid)
        moved = []
        for e in made.exposures:
            now, said = (np.stack(v) for v in (e.header_pointing.to_ideal(*e.to_sky_true(x, y)),
                                               e.header_pointing.to_ideal(*e.to_sky(x, y))))  # fmt: skip
            moved.append((now - said).mean(1))
        u, v = np.mean(moved, axis=0)
        c, s = np.cos(np.deg2rad(camera.V3_ANGLE)), np.sin(np.deg2rad(camera.V3_ANGLE))
        true.append(1e3 * np.array([camera.PARITY * u * c + v * s, -camera.PARITY * u * s + v * c]))
    found, at = (np.stack([table[a], table[b]], 1) for a, b in (("dv2", "dv3"), ("v2", "v3")))
    errors = np.stack([table["dv2_error"], table["dv3_error"]], 1)
    left = found - np.array(true)
    at = at - at.mean(0)
    left -= left.mean(0)
    turn = np.sum(at[:, 0] * left[:, 1] - at[:, 1] * left[:, 0]) / np.sum(at**2)
    left -= turn * np.stack([-at[:, 1], at[:, 0]], 1)
    for name, d, e in zip(table["detector"], left, errors, strict=True):
        print(name, "place off by {:+.3f} {:+.3f} mas, {:+.1f} {:+.1f} stated errors".format(*d, *(d / e)))


def main():
    """Simulate, run, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detectors", nargs="+", choices=[n for n in ROWS if "LONG" not in n],
                        default=["NRCB1", "NRCB2", "NRCB3", "NRCB4"])  # fmt: skip
    parser.add_argument("--stars", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--singles", type=int, default=4)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    fields = simulate(a.detectors, a.stars, a.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.out or Path(temporary)
        folder.mkdir(exist_ok=True)
        written = folder / "plain" / a.detectors[0] / "first_epoch.ecsv"
        catalog = written if written.exists() else write(fields, folder)
        singles = [run(folder, n.lower(), catalog) for n in a.detectors[: a.singles]]
        cpu, peak = run(folder, "visit", catalog)
        several = len(fields) > 1
        for name, made in fields.items():
            product = f"visit_{name.lower()}_{BAND.lower()}" if several else "visit"
            detector_rows(name, made, folder / "out_visit", product)
        frame_rows(fields[a.detectors[0]], folder / "out_visit")
        if several:
            places_rows(fields, folder / "out_visit")
    print(f"visit: {cpu:.0f} CPU s, {peak:.2f} GB")
    if singles:
        one, most = np.mean([s for s, _ in singles]), max(m for _, m in singles)
        total = one * len(a.detectors)
        print(f"{len(a.detectors)} runs of one: {total:.0f} CPU s, {most:.2f} GB; ratio {cpu / total:.2f}")


if __name__ == "__main__":
    main()
