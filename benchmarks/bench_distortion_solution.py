"""Time of the iterative and of the joint solution: 18 exposures × 10⁴ stars of an invented field.

python benchmarks/bench_distortion_solution.py
"""

import time

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion import match_reference
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


def main():
    lists, reference = field(np.random.default_rng(1))
    print(f"{len(lists)} exposures, {np.mean([len(t) for t in lists]):.0f} stars each")
    pairs = timed("matching", lambda: match_reference(lists, reference))
    first = timed("polynomial", lambda: solve_polynomial(pairs))
    timed("table", lambda: solve_table(pairs, first.correction))
    timed("joint", lambda: solve_joint(pairs, first.correction))


if __name__ == "__main__":
    main()
