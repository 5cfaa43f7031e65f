"""Many-exposure measurement and artificial stars: time, memory, depth.

Claims: 18 full frames in at most 8 minutes on 2 cores and 8 GB; 10,000 artificial stars in at most 2
minutes; half complete at least 0.7 magnitudes deeper than the average of single-exposure lists of the same
images (neighbors subtracted in each), with at most 2 % false stars; crowded stars' errors at least 20 %
smaller; artificial stars' completeness that of the true stars to 3 %.

    python benchmarks/bench_many.py [--size 1024] [--exposures 9] [--stars 12000] [--artificial 2000]
    [--workers 2]
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.passes import measure_stars
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane, match_nearest
from jwst_hpastrom.measure import artificial_stars, measure_many, summarise_artificial

PLANE = TangentPlane(80.0, -69.0, scale_mas=65.0)


def library(size):
    offset = np.arange(-50, 51) / 4
    r2 = offset[:, None] ** 2 + offset**2
    psf = np.exp(-0.5 * r2 / 0.65**2) + 2e-3 / (1 + r2) ** 1.5
    nodes = np.linspace(0, size - 1.0, 5)
    return EPSFLibrary(np.repeat(psf[None], 25, axis=0), nodes, nodes, 4).normalized()


def images(size, n_exposures, n_stars, lib, rng):
    from jwst_hpastrom.epsf.fit import add_models

    x, y = rng.uniform(-10, size + 10, (2, n_stars))
    mag = np.log10(rng.uniform(10 ** (0.28 * -8), 10 ** (0.28 * 2.0), n_stars)) / 0.28
    out, places = [], []
    for _ in range(n_exposures):
        shift = rng.uniform(-10, 10, 2)
        px, py = x + shift[0], y + shift[1]
        signal = np.full((size, size), 0.25)
        add_models(signal, lib, px, py, 10 ** (-0.4 * mag), 1.0, 12.0)
        err = np.sqrt(0.0018 + 0.0035 * signal)
        out.append(Image(signal + rng.normal(0, 1, err.shape) * err, err, *np.zeros((2, size, size), bool)))
        places.append((px, py))
    return out, x, y, mag, places


def main():
    parser = argparse.ArgumentParser()
    for name, default in (
        ("size", 1024),
        ("exposures", 9),
        ("stars", 12000),
        ("artificial", 2000),
        ("workers", 2),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    lib = library(args.size)
    frames, x, y, mag, places = images(args.size, args.exposures, args.stars, lib, rng)
    lists = []
    for k, (image, (px, py)) in enumerate(zip(frames, places, strict=True)):
        table = measure_stars(image, lib, mode="catalog")
        dx, dy = np.median(px - x), np.median(py - y)
        table["ra"], table["dec"] = PLANE.to_sky(
            *PLANE.from_pixels(np.asarray(table["x"]) - dx + 9000, np.asarray(table["y"]) - dy + 9000)
        )
        table.meta.update(filename=f"exposure {k}", epoch=2022.3)
        lists.append(Table(table))
    frame = build_master(lists, correction=IdentityMapping(), plane=PLANE)
    context = get_context("forkserver")
    with ProcessPoolExecutor(args.workers, mp_context=context) as pool:
        wall = time.perf_counter()
        result = measure_many(frames, lib, frame, executor=pool)
        wall = time.perf_counter() - wall
        pixels = args.exposures * args.size**2
        print(
            f"many: {len(result.table)} stars in {wall:.0f} s on {args.workers} workers, "
            f"{wall * 18 * 2048**2 / pixels:.0f} s for 18 full frames at this density"
        )
        start = time.perf_counter()
        made = artificial_stars(result, rng=rng, n_stars=args.artificial, mag_max=2.0, executor=pool)
        start = time.perf_counter() - start
        print(f"{args.artificial} artificial stars: {start:.0f} s")
        print(f"10^4 would take {1e4 * start / args.artificial:.0f} s")
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"memory {rss:.1f} GB here, {worker:.1f} GB a worker")
    half, crowded = {}, {}
    near = cKDTree(np.c_[x, y]).query_pairs(4.0, output_type="ndarray")
    close = np.zeros(mag.size, bool)
    for a, b in (near.T, near.T[::-1]):
        close[a[mag[b] < mag[a] + 2]] = True
    inside = (x > 20) & (x < args.size - 20) & (y > 20) & (y < args.size - 20)
    edges = np.arange(-4, 2.01, 0.25)
    rows = np.full((2, mag.size), -1)
    tables = {"average": frame.table, "many": result.table}
    for k, (name, table) in enumerate(tables.items()):
        i, j, _ = match_nearest(table["x"], table["y"], x + 9000, y + 9000, 0.7)
        ok = np.abs(np.asarray(table["mag"])[i] - mag[j]) < 0.75
        rows[k, j[ok]] = i[ok]
        found = rows[k] >= 0
        share = [found[inside & (mag >= a) & (mag < a + 0.25)].mean() for a in edges[:-1]]
        below = np.flatnonzero(np.array(share) < 0.5)
        half[name] = edges[below[0]] if below.size else edges[-1]
        false = 100 * (1 - i.size / len(table))
        print(f"{name}: {len(table)} stars, half complete at {half[name]:.2f}, {false:.1f} % false")
    both = (rows >= 0).all(0) & inside & close & (mag > -6.5) & (mag < -3)
    for k, (name, table) in enumerate(tables.items()):
        d = [np.asarray(table[c])[rows[k, both]] - p[both] - 9000 for c, p in (("x", x), ("y", y))]
        crowded[name] = np.sqrt(np.mean(np.clip([c - np.median(c) for c in d], -0.5, 0.5) ** 2))
    print(f"gain {half['many'] - half['average']:.2f} mag")
    print(
        f"{both.sum()} crowded stars of -6.5 < mag < -3: error {crowded['average']:.4f} pixel by the "
        f"average, {crowded['many']:.4f} by many, ratio {crowded['many'] / crowded['average']:.2f}"
    )
    put, seen = np.asarray(made["mag_true"]), np.asarray(made["found"])
    centers = np.arange(-3.5, 2.0)
    real = np.array([(rows[1] >= 0)[inside & (np.abs(mag - c) < 0.5)].mean() for c in centers])
    away = np.array([seen[np.abs(put - c) < 0.5].mean() for c in centers]) - real
    print(f"completeness of artificial minus of true stars, bins of 1 mag: at most {np.abs(away).max():.3f}")
    summarise_artificial(made)["mag", "n", "completeness", "mag_bias", "x_scatter", "x_pull"].pprint_all()


if __name__ == "__main__":
    main()
