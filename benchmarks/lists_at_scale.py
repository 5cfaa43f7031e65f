"""Star lists alone, without images: time and memory of frames and distortions against their number.

Claims: the CPU time an exposure of the largest number is within 15 % of that of the smallest, and the memory
that no file backs, with ``Store(0)``, hardly grows. The lists have known stars with errors of 0.01 pixel, at
dithers of 300 pixels, and rolls for ``self``. The numbers alternate; the best of each counts.

    python benchmarks/lists_at_scale.py [--work frame joint iterative self] [--numbers 18 200]
    [--stars 1500] [--repeats 2]
"""

import argparse
import logging
import os
import tempfile
import threading
import time

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.storage import Store

SIZE, SCALE, ERROR = 2048, 0.0656, 0.01  # pixels, arcsec a pixel, pixels
POINTING = {
    "v2_ref": -290.0, "v3_ref": -697.0, "v3yangle": 0.0, "vparity": -1, "va_scale": 1.0, "epoch": 2022.3,
    "filter": "F150W", "instrument": "NIRISS", "detector": "NIS",
}  # fmt: skip


def make_lists(n, stars, rolls):
    """Return star lists and their catalog."""
    rng, plane = np.random.default_rng(1), TangentPlane(80.5, -69.5, 1e3 * SCALE)
    reach = 1.8 * SIZE
    u, v = rng.uniform(-reach / 2, reach / 2, (2, int(stars * (reach / SIZE) ** 2)))
    mag = -3 - 5 * rng.random(u.size) ** 2
    ra, dec = plane.to_sky(*plane.from_pixels(u, v))
    lists = []
    for e in range(n):
        ra0, dec0 = plane.to_sky(*plane.from_pixels(*rng.uniform(-300, 300, 2)))
        meta = {**POINTING, "ra_ref": float(ra0), "dec_ref": float(dec0), "filename": f"e{e}_cal.fits"}
        meta["roll_ref"] = 30.0 * (e % 12) if rolls else 0.0
        ideal = IdealPlane(meta, (np.nan, np.nan))
        xy = [c / SCALE + SIZE / 2 for c in ideal.from_sky(ra, dec)]
        on = np.flatnonzero(np.all([(c > 0) & (c < SIZE) for c in xy], axis=0))
        x, y = (c[on] + rng.normal(0, ERROR, on.size) for c in xy)
        data = {"x": x, "y": y, "mag": mag[on] + rng.normal(0, 0.01, on.size), "ra": ra[on], "dec": dec[on]}
        data |= {name: np.full(on.size, ERROR) for name in ("x_err", "y_err", "mag_err", "qfit")}
        lists.append(Table(data | {"flags": np.zeros(on.size, int)}, meta=meta))
    errors = {name: np.full(u.size, 0.4) for name in ("ra_error", "dec_error")}
    return lists, Table({"ra": ra, "dec": dec, "mag": mag, **errors}, meta={"epoch": 2022.3})


def work(name, lists, catalog, folder):
    """Make a frame, or solve the distortion in one of its ways, with all columns in files."""
    with Store(0, folder) as store:
        if name == "frame":
            build_master(lists, store=store)
        else:
            solve_distortion(
                lists, None if name == "self" else catalog, method=name, table_cells=8, pixel_map=False,
                min_stars=20, shape=(SIZE, SIZE), store=store,
            )  # fmt: skip


def anonymous():
    """Bytes of this process that no file backs."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("RssAnon"))


def measured(*what):
    """CPU seconds of some work, and the bytes it took at most, in a process of its own."""
    ours, theirs = os.pipe()
    if (pid := os.fork()) == 0:
        before, most, ended = anonymous(), [0], threading.Event()

        def watch():
            while not ended.wait(0.02):
                most[0] = max(most[0], anonymous() - before)

        threading.Thread(target=watch).start()
        start = time.process_time()
        work(*what)
        start = time.process_time() - start
        ended.set()
        os.write(theirs, f"{start} {most[0]}".encode())
        os._exit(0)
    os.close(theirs)
    os.waitpid(pid, 0)
    with os.fdopen(ours) as pipe:
        return tuple(map(float, pipe.read().split()))


def main():
    ways = ("frame", "joint", "iterative", "self")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", nargs="+", default=ways[:2], choices=ways)
    parser.add_argument("--numbers", type=int, nargs="+", default=[18, 200])
    parser.add_argument("--stars", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.work:
            made = {n: make_lists(n, args.stars, name == "self") for n in args.numbers}
            work(name, *make_lists(6, args.stars, name == "self"), folder)  # compiles
            best = {}
            for _ in range(args.repeats):
                for n, (lists, catalog) in made.items():
                    found = measured(name, lists, catalog, folder)
                    best[n] = np.minimum(best.get(n, np.inf), found)
            for n, (seconds, size) in best.items():
                rows = sum(map(len, made[n][0]))
                print(
                    f"{name:10s} {n:5d} exposures, {rows} measurements: {1e3 * seconds / n:7.2f} CPU ms an "
                    f"exposure, {size / 1e6:7.1f} MB, {size / rows:.0f} bytes a measurement", flush=True,
                )  # fmt: skip
            few, many = args.numbers[0], args.numbers[-1]
            ratio = best[many][0] / many / (best[few][0] / few)
            print(f"{name:10s} CPU time an exposure, {many} over {few}: {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
