"""Time of the iterative and of the joint solution: 18 exposures × 10⁴ stars of an invented field.

    python benchmarks/bench_distortion_solution.py [--whole] [--stars=N] [--exposures=N] [--fine=PIXELS]

With --whole: everything, pixel map and errors too, by either method, and what is wrong with it: the RMS
of the correction after six free parameters, and of its quotient to the stated errors. --fine adds structure
of about 10 pixels' size. The second run counts: the first compiles.
"""

import argparse
import time

import numpy as np
from astropy.table import Table
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_hpastrom.distortion import match_reference, solve_distortion
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.solve.iterative import solve_polynomial, solve_table
from jwst_hpastrom.distortion.solve.joint import solve_joint
from jwst_hpastrom.geometry import TangentPlane

META = {"v2_ref": -290.0, "v3_ref": -698.0, "v3yangle": 0.56, "vparity": -1, "va_scale": 1.0}


def field(rng, n_stars=26000):
    plane = TangentPlane(80.5, -69.5)
    xi, eta = rng.uniform(-108, 108, (2, n_stars))
    ra, dec = plane.to_sky(xi, eta)
    mag = rng.uniform(-7, -3, n_stars)
    lists = []
    for a in (-27, 0, 27):
        for b in (-27, 0, 27):
            for _ in (0, 1):
                ra0, dec0 = plane.to_sky(a, b)
                meta = {
                    **META,
                    "ra_ref": float(ra0),
                    "dec_ref": float(dec0),
                    "roll_ref": 35.0,
                    "epoch": 2022.0,
                }
                u, v = IdealPlane(meta, (0, 0)).from_sky(ra, dec)
                u, v = u / 0.0656 + 1023, v / 0.0656 + 1023
                x = u - 3e-6 * (u - 1023) ** 2 - 0.03 * np.sin(u / 50)
                y = v + 2e-6 * (u - 1023) * (v - 1023) - 0.03 * np.cos(v / 50)
                k = (x > 1) & (x < 2046) & (y > 1) & (y < 2046)
                e = np.full(k.sum(), 0.01)
                x, y = x[k] + rng.normal(0, 0.01, k.sum()), y[k] + rng.normal(0, 0.01, k.sum())
                columns = {"x": x, "y": y, "x_err": e, "y_err": e, "mag": mag[k], "ra": ra[k], "dec": dec[k]}
                lists.append(Table(columns, meta=meta))
    error = np.full(n_stars, 0.8)
    noisy = plane.to_sky(xi + rng.normal(0, 0.8, n_stars) / 1e3, eta + rng.normal(0, 0.8, n_stars) / 1e3)
    reference = Table({"ra": noisy[0], "dec": noisy[1], "ra_error": error, "dec_error": error, "mag": mag})
    reference.meta = {**plane.to_meta(), "epoch": 2022.0}
    return lists, reference


def timed(label, function):
    wall, cpu = time.perf_counter(), time.process_time()
    out = function()
    print(f"{label}: {time.perf_counter() - wall:.1f} s (CPU {time.process_time() - cpu:.1f} s)")
    return out


def structure(rms, size=6.0, n=2048):
    """Two images of smooth noise: the field's finest structure."""
    images = [gaussian_filter(v, size, mode="wrap") for v in np.random.default_rng(9).normal(size=(2, n, n))]
    return [rms * v / v.std() for v in images]


def at(images, x, y):
    return [map_coordinates(v, [y, x], order=1, mode="nearest") for v in images]


def judged(solution, fine):
    """RMS of the correction's error, and of that over the stated one, by axis."""
    u, v = (c.ravel() for c in np.meshgrid(*2 * [np.linspace(4, 2043, 200)]))
    x = u - 3e-6 * (u - 1023) ** 2 - 0.03 * np.sin(u / 50)
    y = v + 2e-6 * (u - 1023) * (v - 1023) - 0.03 * np.cos(v / 50)
    if fine:
        dx, dy = at(fine, x, y)
        x, y = x - dx, y - dy
    linear = np.stack([np.ones(u.size), u / 2048, v / 2048], 1)
    off = np.stack([t - w for t, w in zip(solution.correction.forward(x, y), (u, v), strict=True)], 1)
    off -= linear @ np.linalg.lstsq(linear, off, rcond=None)[0]
    stated = np.stack(solution.correction.error(x, y), 1)
    return np.sqrt(np.mean(off**2, 0)), np.sqrt(np.mean((off / stated) ** 2, 0))


def whole(lists, reference, fine):
    """Everything, by either method."""
    for method in ("iterative", "joint"):
        start = time.process_time()
        solution = solve_distortion(lists, reference, method=method, shape=(2048, 2048))
        spent = time.process_time() - start
        (x, y), (zx, zy) = judged(solution, fine)
        print(f"{method}: CPU {spent:.1f} s, off by {x:.5f} {y:.5f} px, {zx:.2f} {zy:.2f} stated errors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--stars", type=int, default=26000)
    parser.add_argument("--exposures", type=int, default=18)
    parser.add_argument("--fine", type=float, default=0.0)
    args = parser.parse_args()
    lists, reference = field(np.random.default_rng(1), args.stars)
    lists = lists if args.exposures == len(lists) else lists[:: len(lists) // args.exposures]
    lists = lists[: args.exposures]
    print(f"{len(lists)} exposures, {np.mean([len(t) for t in lists]):.0f} stars each")
    if args.whole:
        fine = structure(args.fine) if args.fine else None
        for t in lists if fine else ():
            dx, dy = at(fine, np.array(t["x"]), np.array(t["y"]))
            t["x"], t["y"] = t["x"] - dx, t["y"] - dy
        return whole(lists, reference, fine)
    pairs = timed("matching", lambda: match_reference(lists, reference))
    first = timed("polynomial", lambda: solve_polynomial(pairs))
    timed("table", lambda: solve_table(pairs, first.correction))
    timed("joint", lambda: solve_joint(pairs, first.correction))


if __name__ == "__main__":
    main()
