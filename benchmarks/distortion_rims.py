"""What the joint distortion of one NIRCam visit errs by, with and without rims of voids.

    python benchmarks/distortion_rims.py [--seeds 0 …] [--stars 1500] [--exposures 4] [--rows WITHOUT …]

Star lists of one detector (0.031 arcsec a pixel, dithers of 6 arcsec, measurement errors 0.004 to 0.03
pixel, a catalog of 1.5 mas) with the fine structure of the package's simulation: waves, amplifiers'
stripes, one oval of 520 × 330 pixels and nine smaller ones, whose displacement is not that of the
solution's model. Prints root mean squares of the correction's error (a linear map taken out) in x and y,
what is stated, and CPU seconds: without and with rims, and told the voids (the lists without them),
which is as well as any search could do; and how many rims are found where there are no voids. With rims it
prints the same on the rims of voids that were found, of those that were not, elsewhere, and where the stated
errors are largest; and
the log evidence that each void's true ellipse is expected to gain from these stars: a search needs
`least_gain`, and sees no void below. Last, the log evidence of all rims that were found, and of the true
ellipses that gain more than that, less it each: where the former is the larger one, no search that goes by
the stars ends at the voids themselves.
"""

import argparse
import time
from copy import copy

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.pixelmap import fine_map
from jwst_hpastrom.distortion.pixelmap.rim_search import least_gain
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


def seen(true, search, found):
    """The search of `build_fine_map`, and before it what each void's true ellipse would gain."""

    def find(x, y, r, weights, shape, known=()):
        voids, least = [], least_gain(shape)
        for cx, cy, a, b, angle, strength in true.voids if known else ():
            one, whole = copy(true), copy(true)
            one.void_pix, whole.voids = 0.0, [(cx, cy, a, b, angle, strength)]
            moved = np.stack(whole.forward(x, y)) - np.stack(one.forward(x, y))
            ellipse = (cx, cy, 0.5 * np.log(a * b), 0.5 * np.log(a / b), angle, np.log(0.3))
            gain = gained(x, y, moved, weights, [(ellipse, (1,))])
            voids += [(ellipse, (1,))] if gain > least else []
            print(f"  void at {cx:5.0f} {cy:5.0f}, {a:4.0f} x {b:4.0f} px: gain {gain:7.1f}")
        rims, unseen = search(x, y, r, weights, shape, known)
        found[:] = rims
        for rim in rims if known else ():
            print("  rim  at {:5.0f} {:5.0f}, {:4.0f} px".format(*rim.shape[:2], np.exp(rim.shape[2])))
        if known:
            each = ([(v.shape, v.orders) for v in rims], voids)
            total = [gained(x, y, r, weights, e) - least * len(e) for e in each]
            print("  log evidence of the rims found {:.0f}, of these voids {:.0f}".format(*total))
        return rims, unseen

    return find


def zones(true, rims, x, y):
    """Name and places of voids' rims that were found, of those that were not, and of the rest."""
    near = np.zeros((2, x.size), bool)
    for cx, cy, a, b, angle, _ in true.voids if true.void_pix else ():
        (u, v), (c, s) = (x - cx, y - cy), (np.cos(angle), np.sin(angle))
        r = np.hypot((u * c + v * s) / a, (v * c - u * s) / b)
        known = any(np.hypot(rim.shape[0] - cx, rim.shape[1] - cy) < 0.5 * min(a, b) for rim in rims)
        near[0 if known else 1] |= (r > 0.5) & (r < 1.25)
    near[1] &= ~near[0]
    return zip(("rims found", "not found", "elsewhere"), (*near, ~near.any(0)), strict=True)


def row(name, true, lists, reference, rims=()):
    """Solve and print one row, and one of each zone where there were rims to be found."""
    start = time.process_time()
    correction = solve_distortion(lists, reference, method="joint").correction
    spent = time.process_time() - start
    along = np.arange(16.0, 2048.0, 32.0)
    x, y = (v.ravel() for v in np.meshgrid(along, along))
    dx, dy = true.forward(x, y)
    u, v = correction.forward(x, y)
    a, b = fit_linear(u, v, x + dx, y + dy, parameters=6, sigma=None).transform.inverse(x + dx, y + dy)
    off, stated = np.stack([u - a, v - b]), np.stack(correction.error(x, y))
    parts = [(f"{name}, {len(rims)} rims", np.isfinite(x)), *(zones(true, rims, x, y) if len(rims) else ())]
    size = np.hypot(*stated)
    parts += [("largest stated 5 %", size > np.quantile(size, 0.95))]
    for part, k in parts:
        rms = np.sqrt(np.mean(np.concatenate([off, stated])[:, k] ** 2, axis=1))
        print("{:24s} {:5.3f} {:8.4f} {:8.4f} {:8.4f} {:8.4f} {:6.0f}".format(part, k.mean(), *rms, spent))


def main():
    """Solve each field four times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--stars", type=int, default=1500)
    parser.add_argument("--exposures", type=int, default=4)
    cases = {"without": (0.05, False), "with": (0.05, True), "told": (0.0, False), "none": (0.0, True)}
    parser.add_argument("--rows", nargs="+", choices=list(cases), default=list(cases))
    a = parser.parse_args()
    turns, search = fine_map.RIM_TURNS, fine_map.find_rims
    print("                         area        x        y stated x stated y    CPU")
    for seed in a.seeds:
        true = FineStructure(np.random.default_rng(seed), np.random.default_rng(seed + 100), filter_pix=0.05)
        for name in a.rows:
            true.void_pix, looked_for = cases[name]
            fine_map.RIM_TURNS, found = turns if looked_for else (), []
            fine_map.find_rims = seen(true, search, found)
            lists, reference = visit(np.random.default_rng(seed + 10), true, a.stars, a.exposures)
            row(f"{seed} {name}", true, lists, reference, found)


if __name__ == "__main__":
    main()
