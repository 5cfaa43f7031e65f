"""What the joint distortion of one NIRCam visit errs by, with and without rims of voids.

    python benchmarks/distortion_rims.py [--seeds 1] [--stars 1500] [--exposures 4]

Star lists of one detector (0.031 arcsec a pixel, dithers of 6 arcsec, measurement errors 0.004 to 0.03
pixel, a catalog of 1.5 mas) with the fine structure of the package's simulation: waves, amplifiers'
stripes, one oval of 520 × 330 pixels and nine smaller ones, whose displacement is not that of the
solution's model. Prints root mean squares of the correction's error (a linear map taken out) in x and y,
what is stated, and CPU seconds: without and with rims, and told the voids (the lists without them),
which is as well as any search could do. With rims it prints the log evidence that each void's true ellipse
is expected to gain from these stars, too: a search that tries hundreds of thousands of ellipses needs 16, and
sees no void below. Last, the log evidence of all rims that were found, and of the true ellipses that gain
more than 16, less 16 each: where the former is the larger one, no search that goes by the stars ends at the
voids themselves.
"""

import argparse
import time
from copy import copy

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.pixelmap import fine_map
from jwst_hpastrom.distortion.pixelmap.rim_search import LEAST_GAIN
from jwst_hpastrom.distortion.pixelmap.rims import COEFFICIENT, profile
from jwst_hpastrom.geometry import TangentPlane, fit_linear
from jwst_hpastrom.simulation.camera import FineStructure

SCALE, PLANE = 0.0311, TangentPlane(80.5, -69.5)
META = {
    "instrument": "NIRISS", "detector": "NIS", "filter": "F200W", "v2_ref": -122.4, "v3_ref": -457.7,
    "v3yangle": 0.34, "vparity": -1, "va_scale": 1.0, "roll_ref": 35.0, "epoch": 2022.0,
}  # fmt: skip


def visit(rng, true, n_stars, n_exposures, catalog_error=1.5):
    """Star lists and catalog."""
    half = 0.5 * 2048 * SCALE * 1.42 + 8.0
    n = int(n_stars * (2 * half) ** 2 / (2048 * SCALE) ** 2)
    xi, eta = rng.uniform(-half, half, (2, n))
    error = np.exp(rng.uniform(np.log(0.004), np.log(0.03), n))
    ra, dec = PLANE.to_sky(xi, eta)
    lists = []
    for k in range(n_exposures):
        ra0, dec0 = PLANE.to_sky(6.0 * (k % 2 - 0.5), 6.0 * (k // 2 - 0.5))
        meta = META | {"ra_ref": float(ra0), "dec_ref": float(dec0), "filename": f"jw{k}_nis_cal.fits"}
        u, v = IdealPlane(meta, (0, 0)).from_sky(ra, dec)
        u, v = u / SCALE + 1023, v / SCALE + 1023
        x, y = u.copy(), v.copy()
        for _ in range(30):
            dx, dy = true.forward(x, y)
            x, y = u - dx, v - dy
        inside = (x > 1) & (x < 2046) & (y > 1) & (y < 2046)
        e, mag = error[inside], -12.0 - 2.5 * np.log10(error[inside])
        x, y = (c[inside] + rng.normal(0, 1, e.size) * e for c in (x, y))
        columns = {"x": x, "y": y, "x_err": e, "y_err": e, "mag": mag, "ra": ra[inside], "dec": dec[inside]}
        lists.append(Table(columns, meta=meta))
    off = rng.normal(0, catalog_error / 1e3, (2, n))
    sky = PLANE.to_sky(xi + off[0], eta + off[1])
    sigma = np.full(n, catalog_error)
    columns = {"ra": sky[0], "dec": sky[1], "ra_error": sigma, "dec_error": sigma}
    reference = Table(
        columns | {"mag": -12.0 - 2.5 * np.log10(error)}, meta={**PLANE.to_meta(), "epoch": 2022.0}
    )
    return lists, reference


def gained(x, y, r, weights, ellipses, size=COEFFICIENT):
    """Log evidence of ellipses with their orders, all coefficients being unknown, against none."""
    if not ellipses:
        return 0.0
    terms = np.hstack([np.kron(np.eye(2), profile(e, x, y, orders)) for e, orders in ellipses])
    right, normal = terms.T @ (weights @ np.ravel(r)), terms.T @ (weights @ terms)
    whole = np.eye(right.size) + size**2 * normal
    return 0.5 * size**2 * right @ np.linalg.solve(whole, right) - 0.5 * np.linalg.slogdet(whole)[1]


def seen(true, found):
    """The search of `build_fine_map`, and before it what each void's true ellipse would gain."""

    def find(x, y, r, weights, shape, known=()):
        voids = []
        for cx, cy, a, b, angle, strength in true.voids if known else ():
            one, whole = copy(true), copy(true)
            one.void_pix, whole.voids = 0.0, [(cx, cy, a, b, angle, strength)]
            moved = np.stack(whole.forward(x, y)) - np.stack(one.forward(x, y))
            ellipse = (cx, cy, 0.5 * np.log(a * b), 0.5 * np.log(a / b), angle, np.log(0.3))
            gain = gained(x, y, moved, weights, [(ellipse, (1,))])
            voids += [(ellipse, (1,))] if gain > LEAST_GAIN else []
            print(f"  void at {cx:5.0f} {cy:5.0f}, {a:4.0f} x {b:4.0f} px: gain {gain:7.1f}")
        rims = found(x, y, r, weights, shape, known)
        for rim in rims if known else ():
            print("  rim  at {:5.0f} {:5.0f}, {:4.0f} px".format(*rim.shape[:2], np.exp(rim.shape[2])))
        if known:
            each = ([(v.shape, v.orders) for v in rims], voids)
            total = [gained(x, y, r, weights, e) - LEAST_GAIN * len(e) for e in each]
            print("  log evidence of the rims found {:.0f}, of these voids {:.0f}".format(*total))
        return rims

    return find


def row(name, true, lists, reference):
    """Solve and print one row."""
    start = time.process_time()
    correction = solve_distortion(lists, reference, method="joint").correction
    spent = time.process_time() - start
    along = np.arange(16.0, 2048.0, 32.0)
    x, y = (v.ravel() for v in np.meshgrid(along, along))
    dx, dy = true.forward(x, y)
    u, v = correction.forward(x, y)
    a, b = fit_linear(u, v, x + dx, y + dy, parameters=6, sigma=None).transform.inverse(x + dx, y + dy)
    stated = [np.sqrt(np.mean(e**2)) for e in correction.error(x, y)]
    print("{:16s} {:8.4f} {:8.4f} {:8.4f} {:8.4f} {:6.0f}".format(
        name, np.std(u - a), np.std(v - b), *stated, spent))  # fmt: skip


def main():
    """Solve each field three times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stars", type=int, default=1500)
    parser.add_argument("--exposures", type=int, default=4)
    a = parser.parse_args()
    turns, search = fine_map.RIM_TURNS, fine_map.find_rims
    print("                        x        y stated x stated y    CPU")
    for seed in range(a.seeds):
        true = FineStructure(np.random.default_rng(seed), np.random.default_rng(seed + 100), filter_pix=0.05)
        for name, void, looked_for in (
            ("without", 0.05, ()),
            ("with rims", 0.05, turns),
            ("voids told", 0.0, ()),
        ):
            true.void_pix, fine_map.RIM_TURNS = void, looked_for
            fine_map.find_rims = seen(true, search)
            row(f"{seed} {name}", true, *visit(np.random.default_rng(seed + 10), true, a.stars, a.exposures))


if __name__ == "__main__":
    main()
