"""Memory and CPU time of the Steps against the number of exposures, and what they come to for 10⁴.

Claims: the Steps hold at most ``--memory``, workers included, however many the exposures; and their CPU time
an exposure at the largest number is within 15 % of that at the smallest. A few simulated exposures are
repeated under other names and pointings. Memory is the largest sum of the processes' proportional shares
(PSS) of what no file backs, looked at four times a second: pages of mapped files the system takes when it
needs them. Small frames (``--size 256 --stars 250``) show the same laws in a tenth of the time, but for the
distortion, which stars have to cover the whole detector for.

    python benchmarks/many_exposures.py [--numbers 18 72 200] [--size 2048] [--stars 6000] [--memory 4GB]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

FRAME = 2048  # pixels on a side of the whole detector
STEPS = ("build", "fit", "distortion", "average", "many")
COMMANDS = {
    "build": ["hp_epsf_build", "--n_iterations={iterations}"],
    "fit": ["hp_epsf_fit", "--epsf_file={epsf}"],
    "distortion": ["hp_distortion_refine", "--method=joint", "--reference_catalog={catalog}",
                   "--table_cells=8", "--min_stars=20"],
    "average": ["hp_master_frame", "--distortion_file={distortion}"],
    "many": ["hp_master_frame", "--mode=many", "--epsf_file={epsf}", "--distortion_file={distortion}"],
}  # fmt: skip


def simulate(folder, size, stars, n):
    """Write the exposures that are repeated; return their paths and the catalog's."""
    from jwst_hpastrom.simulation import simulate_field, write_field
    from jwst_hpastrom.simulation.optics import OpticsConfig

    field = simulate_field(
        size=size, n_exposures=n, n_stars=stars, mag_faint=-4.5, seed=7,
        optics=OpticsConfig(n_field=3, n_wavelengths=3),
    )  # fmt: skip
    files = write_field(field, folder, truth=False)
    return [Path(p) for p in files.exposures], files.reference_catalog


def repeat(paths, folder, n, rng):
    """Put ``n`` exposures into a folder: the same ones again and again, by other names and pointings."""
    from astropy.modeling.models import Shift
    from stdatamodels.jwst.datamodels import ImageModel

    folder.mkdir()
    names = []
    for k in range(n):
        names.append(f"jw1{k:04d}001001_02101_00001_nis_cal.fits")
        source = paths[k % len(paths)]
        if k < len(paths):
            os.link(source, folder / names[-1])
            continue
        with warnings.catch_warnings(), ImageModel(source) as model:
            warnings.simplefilter("ignore")
            a, d = rng.normal(0, 0.05 / 3600, 2)  # a pointing's error, degrees
            model.meta.wcs.insert_transform(model.meta.wcs.output_frame, Shift(a) & Shift(d))
            model.save(folder / names[-1])
    members = [{"expname": name, "exptype": "science"} for name in names]
    association = {"asn_type": "image3", "asn_rule": "DMS_Level3_Base", "asn_id": "a3001", "asn_pool": "none",
                   "program": "09999", "products": [{"name": "f", "members": members}]}  # fmt: skip
    (folder / "f_asn.json").write_text(json.dumps(association))


def family(pid):
    """Numbers of a process and all its descendants."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    out, todo = [], [pid]
    while todo:
        out.append(todo.pop())
        todo += children.get(out[-1], [])
    return out


def resident(pid):
    """Bytes of a process without pages of files, its share of what it shares."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(n.split()[1]) for n in lines if n.startswith(("Pss_Anon:", "Pss_Shmem:")))


def run(command, folder):
    """Run a command; return its peak memory, CPU seconds and wall seconds."""
    start, before, peak = time.monotonic(), os.times(), 0
    environment = dict(os.environ, STPIPE_DISABLE_CRDS_STEPPARS="true", OMP_NUM_THREADS="1")
    with open(folder / "log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        while process.poll() is None:
            peak = max(peak, sum(resident(p) for p in family(process.pid)))
            time.sleep(0.25)
    if process.returncode:
        sys.exit("".join((folder / "log").read_text().splitlines(True)[-30:]))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return peak, cpu, time.monotonic() - start


def law(numbers, values):
    """Constant and slope of the least-squares line, and the value it gives 10⁴ exposures."""
    slope, constant = np.polyfit(numbers, values, 1) if len(numbers) > 1 else (np.nan, np.nan)
    return constant, slope, constant + 1e4 * slope


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[18, 72, 200])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--stars", type=int, default=6000)
    parser.add_argument("--base", type=int, default=18, help="exposures that are simulated")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--memory", default="4GB", help="none: the Steps' parameter is not given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS)
    parser.add_argument("--folder", help="where the exposures are kept from run to run")
    args = parser.parse_args()
    if args.size < FRAME:  # the others go without
        args.steps = [step for step in args.steps if step != "distortion"]
    work = Path(args.folder or tempfile.mkdtemp())
    try:
        base = work / "base"
        if not base.exists():
            simulate(base, args.size, args.stars, args.base)
        paths, catalog = sorted(base.glob("*_cal.fits")), base / "first_epoch.ecsv"
        rows = {step: [] for step in args.steps}
        for n in args.numbers:
            folder = work / f"n{n}"
            if not folder.exists():
                repeat(paths, folder, n, np.random.default_rng(n))
            names = {"epsf": "f_epsf.fits", "distortion": "f_distortion.asdf", "catalog": catalog,
                     "iterations": args.iterations}  # fmt: skip
            common = [f"--workers={args.workers}", f"--output_dir={folder}"]
            common += [] if args.memory == "none" else [f"--memory={args.memory}"]
            for step in args.steps:
                alias, *more = COMMANDS[step]
                more = [m.format(**names) for m in more]
                if not (folder / names["distortion"]).exists():
                    more = [m for m in more if not m.startswith("--distortion_file")]
                peak, cpu, wall = run(["strun", alias, "f_asn.json", *more, *common], folder)
                rows[step].append((n, peak, cpu, wall))
                print(f"{step:12s} {n:6d} exposures: peak {peak / 1e9:6.3f} GB, "
                      f"{cpu / n:7.3f} CPU s an exposure, {wall:7.1f} s", flush=True)  # fmt: skip
        print(
            f"\n{'':12s} {'GB + MB an exposure':>22s} {'10⁴: GB':>9s} {'time ratio':>11s} {'10⁴: CPU h':>11s}"
        )
        for step, found in rows.items():
            n, peak, cpu, _ = np.array(found).T
            constant, slope, much = law(n, peak)
            print(f"{step:12s} {constant / 1e9:10.3f} + {slope / 1e6:9.3f} {much / 1e9:9.2f} "
                  f"{cpu[-1] / n[-1] / (cpu[0] / n[0]):11.2f} {law(n, cpu)[2] / 3600:11.1f}")  # fmt: skip
    finally:
        if not args.folder:
            shutil.rmtree(work)


if __name__ == "__main__":
    main()
