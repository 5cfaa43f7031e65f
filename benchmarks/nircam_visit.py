"""One visit of several of NIRCam's detectors, from pixels to the frame, against runs of one detector.

    python benchmarks/nircam_visit.py [--detectors NRCB1 …] [--stars 1500] [--seed 1] [--singles 4] [--out D]

Exposures of the package's simulation with NIRCam's scale and the detectors' places (SIAF), four dithers of
6 arcsec, one attitude for all detectors of an exposure; each detector has a fine structure and ePSFs of its
own, and lies up to 10 mas off where the WCS says. Prints for each detector the scatter of isolated stars over
the Cramér–Rao error, as it is and without a quadratic of the place, and the distortion's error (similarity
taken out) and what is stated; the frame's pulls; how far the detectors' places are off, common shift and
rotation taken out; CPU time and peak memory of the visit's process and of the runs of one detector
(``--singles``: how many of them are run, the sum is taken from their mean). The first run compiles: take the
second.
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

from jwst_hpastrom.geometry import TangentPlane, robust_sigma
from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.io import read_star_list
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
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


def detector_rows(name, made, out):
    """Print scatter over the bound by magnitude, and the distortion's error."""
    become(ROWS[name])
    names = [e.name.replace("_nis", f"_{name.lower()}") for e in made.exposures]
    stars = comparison.compare_stars(made, [read_star_list(out / f"{n}_stars.ecsv") for n in names])
    for axis in "xy":
        off = stars[f"d{axis}"]
        middle = np.array([np.median(off[stars["exposure"] == k]) for k in range(4)])
        off, bound = off - middle[stars["exposure"]], stars[f"{axis}_bound"]
        bins = [stars["isolated"] & (stars["mag"] > a) & (stars["mag"] < b) for a, b in BINS]
        whole, rest = (d / bound for d in (off, without_quadratic(off, bound, stars["x"], stars["y"])))
        parts = [f"{robust_sigma(whole[k]):.2f}, {robust_sigma(rest[k]):.2f} ({k.sum()})" for k in bins]
        print(name, axis, "scatter over Cramér–Rao, and without a quadratic of the place:", *parts)
    path = out / f"visit_{name.lower()}_{BAND.lower()}_distortion.asdf"
    left, correction = comparison.distortion_residuals(made, path), read_distortion(path)
    stated = [np.sqrt(np.mean(e**2)) for e in correction.error(left["x"], left["y"])]
    found = np.std(left["dx"]), np.std(left["dy"])
    print(name, "distortion off by {:.4f} {:.4f} px, stated {:.4f} {:.4f}".format(*found, *stated))


def without_quadratic(off, bound, x, y):
    """Offsets less what errors of an ePSF do like a distortion: a solution from these lists finds it."""
    basis = polynomial_basis(x / 1023.5 - 1, y / 1023.5 - 1, polynomial_terms(2))
    weight, left = 1 / np.hypot(bound, 0.001), off
    for _ in range(5):
        w = weight * (np.abs(left) * weight < 4)
        left = off - basis @ np.linalg.lstsq(basis * w[:, None], off * w, rcond=None)[0]
    return left


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
        for name, made in fields.items():
            detector_rows(name, made, folder / "out_visit")
        frame_rows(fields[a.detectors[0]], folder / "out_visit")
        places_rows(fields, folder / "out_visit")
    print(f"visit: {cpu:.0f} CPU s, {peak:.2f} GB")
    if singles:
        one, most = np.mean([s for s, _ in singles]), max(m for _, m in singles)
        total = one * len(a.detectors)
        print(f"{len(a.detectors)} runs of one: {total:.0f} CPU s, {most:.2f} GB; ratio {cpu / total:.2f}")


if __name__ == "__main__":
    main()
