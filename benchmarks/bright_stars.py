"""What bright stars' positions err by beyond their stated errors: by place on the detector, and in the pixel.

    python benchmarks/bright_stars.py OUT TRUTH [--detector D]

OUT has star lists (``*_stars.ecsv``), TRUTH a table of the true raw positions for each, ``*_truth.fits``
or ``.ecsv`` of the same root name, with columns x, y, mag. By magnitude, the scatter in units of the
stated errors is printed: of all isolated stars; without a cubic of the place on the detector (what a
distortion takes up: where an ePSF has its middle is a convention); without two harmonics of the place in
the pixel; without both.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.io import read_star_list

EDGES = np.arange(-10.0, -3.0)
APART = 6.0  # pixels to the next star


def matched(lists, truths):
    """Columns mag, x, y (true), dx, dy, x_err, y_err of the isolated stars of all lists."""
    parts = []
    for stars, truth in zip(lists, truths, strict=True):
        x, y = (np.asarray(truth[c], float) for c in "xy")
        tree = cKDTree(np.c_[x, y])
        distance, i = tree.query(np.c_[stars["x"], stars["y"]])
        alone = tree.query(np.c_[x, y], k=2)[0][:, 1] > APART
        near = np.abs(np.asarray(stars["mag"]) - np.asarray(truth["mag"])[i]) < 0.3
        k = np.flatnonzero((distance < 0.3) & near & alone[i])
        d = np.stack([stars["x"][k] - x[i[k]], stars["y"][k] - y[i[k]]])
        d -= np.median(d[:, np.asarray(stars["mag"])[k] < -4], axis=1)[:, None]
        parts.append(np.stack([stars["mag"][k], x[i[k]], y[i[k]], *d, stars["x_err"][k], stars["y_err"][k]]))
    return np.concatenate(parts, axis=1)


def _harmonics(p):
    return np.stack([f(2 * np.pi * n * p) for n in (1, 2) for f in (np.sin, np.cos)], 1)


def scatters(x, y, pull):
    """Robust scatter of pulls: as they are, and without place, phase, both."""
    u, v = x / x.max() * 2 - 1, y / y.max() * 2 - 1
    place = np.stack([u**i * v**j for i in range(4) for j in range(4 - i)], 1)
    a, b = _harmonics(x), _harmonics(y)
    phase = np.hstack([np.ones((x.size, 1)), a, b, (a[:, :, None] * b[:, None]).reshape(x.size, -1)])
    good = np.abs(pull) < 5 * robust_sigma(pull)
    out = [robust_sigma(pull)]
    for design in (place, phase, np.hstack([phase, place[:, 1:]])):
        fit = np.linalg.lstsq(design[good], pull[good], rcond=None)[0]
        free = max(good.sum() - design.shape[1], 1)
        out.append(robust_sigma((pull - design @ fit)[good]) * np.sqrt(good.sum() / free))
    return out


def main():
    """Read lists and truth, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--detector", default="")
    a = parser.parse_args()
    paths = [p for p in sorted(a.folder.glob("*_stars.ecsv")) if a.detector in p.name]
    truths = [next(a.truth.glob(p.name.replace("_stars.ecsv", "_truth.*"))) for p in paths]
    mag, x, y, dx, dy, ex, ey = matched([read_star_list(p) for p in paths], [Table.read(p) for p in truths])
    print("   mag         n  axis  error    all  -place  -phase  neither")
    for low, high in pairwise(EDGES):
        k = (mag > low) & (mag <= high)
        if k.sum() < 100:
            continue
        for axis, d, e in (("x", dx, ex), ("y", dy, ey)):
            row = scatters(x[k], y[k], d[k] / e[k])
            print(f"{low:5.0f} {high:3.0f} {k.sum():6d}     {axis} {np.median(e[k]):.4f}", end=" ")
            print("{:6.2f} {:7.2f} {:7.2f} {:8.2f}".format(*row))


if __name__ == "__main__":
    main()
