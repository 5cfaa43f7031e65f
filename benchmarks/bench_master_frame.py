"""Master frame of 18 exposures with 34,000 stars each.

Claim: at most 20 s. The peer is astropy: the same cross-identification by SkyCoord.match_to_catalog_sky and
the same six-parameter fits by astropy.modeling, for one exposure of one iteration.

    python benchmarks/bench_master_frame.py [--stars 34000] [--exposures 18]
"""

import argparse
import time
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.modeling.fitting import LinearLSQFitter
from astropy.modeling.models import Polynomial2D
from astropy.table import Table

from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane, fit_linear, match_nearest

PLANE = TangentPlane(80.4875, -69.4975)
SCALE = 65.57


def make_lists(n_stars, n_exposures, rng):
    half = 0.5 * 2048 * SCALE / 1e3
    field = half + 30.0
    n = int(n_stars * (field / half) ** 2)
    xi, eta, mag = rng.uniform(-field, field, n), rng.uniform(-field, field, n), rng.uniform(-8, -1.5, n)
    lists = []
    for k in range(n_exposures):
        dx, dy = 27.0 * (k % 3 - 1), 27.0 * ((k // 3) % 3 - 1)
        a = np.deg2rad(35 + rng.normal(0, 0.01))
        p, q = -(xi - dx) * 1e3 / SCALE, (eta - dy) * 1e3 / SCALE
        x, y = np.cos(a) * p + np.sin(a) * q + 1023.5, -np.sin(a) * p + np.cos(a) * q + 1023.5
        s = (x > 0) & (x < 2047) & (y > 0) & (y < 2047)
        error = 0.003 * np.sqrt(1 + 10 ** (0.5 * (mag[s] + 5)))
        noise = rng.normal(0, 1, (2, s.sum())) * error
        ra, dec = PLANE.to_sky(xi[s] + rng.normal(0, 0.3), eta[s] + rng.normal(0, 0.3))
        data = {
            "x": x[s] + noise[0], "y": y[s] + noise[1], "x_err": error, "y_err": error,
            "mag": mag[s] + rng.normal(0, 0.01, s.sum()), "mag_err": np.full(s.sum(), 0.01),
            "ra": ra, "dec": dec,
        }  # fmt: skip
        lists.append(Table(data, meta={"filename": f"exposure {k}", "epoch": 2022.3}))
    return lists


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--stars", type=int, default=34000)
    parser.add_argument("--exposures", type=int, default=18)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    lists = make_lists(args.stars, args.exposures, rng)
    build_master([t[:2000] for t in lists[:3]], correction=IdentityMapping(), plane=PLANE)  # compile
    wall, cpu = time.perf_counter(), time.process_time()
    frame = build_master(lists, correction=IdentityMapping(), plane=PLANE)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n = [len(t) for t in lists]
    print(
        f"{len(n)} exposures of {np.mean(n):.0f} stars -> {len(frame.table)}: {wall:.1f} s, CPU {cpu:.1f} s"
    )

    t = frame.table
    sky = SkyCoord(t["ra"], t["dec"], unit="deg")
    one = lists[0]
    start = time.process_time()
    there = SkyCoord(one["ra"], one["dec"], unit="deg")
    i, sep, _ = there.match_to_catalog_sky(sky)
    near = sep < 2 * u.arcsec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for c in ("x", "y"):
            LinearLSQFitter()(Polynomial2D(1), one["x"][near], one["y"][near], np.asarray(t[c])[i[near]])
    peer = time.process_time() - start
    start = time.process_time()
    x, y = np.asarray(t["x"]), np.asarray(t["y"])
    px, py = frame.transforms[0].forward(np.asarray(one["x"]), np.asarray(one["y"]))
    i, j, _ = match_nearest(px, py, x, y, 0.8)
    fit_linear(np.asarray(one["x"])[i], np.asarray(one["y"])[i], x[j], y[j])
    ours = time.process_time() - start
    print(
        f"one exposure matched and fitted: {ours:.3f} s here, {peer:.3f} s astropy, ratio {peer / ours:.1f}"
    )


if __name__ == "__main__":
    main()
