"""Claim: a full frame, pixels to star list in memory, takes <= 1.5 s in isolated and <= 5 s in catalog mode.

A 2048 x 2048 image with the density of the LMC calibration field, >= 100 x photutils end to end (its own
model, DAOStarFinder, LocalBackground and PSFPhotometry; IterativePSFPhotometry with groups against catalog
mode), which is measured on a corner of the same image and compared by stars listed per second. CPU time of
one core.

    python benchmarks/bench_full_frame.py [--stars 41500] [--cutout 256]
"""

import argparse
import time
import warnings

import numpy as np
from bench_fit_core import SKY, make_library, photutils_model
from photutils.background import LocalBackground
from photutils.detection import DAOStarFinder
from photutils.psf import IterativePSFPhotometry, PSFPhotometry, SourceGrouper
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from jwst_hpastrom.epsf import Image, measure_stars
from jwst_hpastrom.epsf.fit import add_models

SIZE = 2048
NOISE = 0.05


def make_frame(library, n, rng):
    """A crowded frame: magnitudes -8 to -1.5, numbers rising as 10**(0.28 mag)."""
    x, y = rng.uniform(-8, SIZE + 7, (2, n))
    slope = 0.28 * np.log(10)
    mag = -8 + np.log1p(rng.uniform(0, 1, n) * np.expm1(slope * 6.5)) / slope
    model = np.full((SIZE, SIZE), SKY)
    add_models(model, library, x, y, 10 ** (-0.4 * mag), 1.0, 12.0)
    err = np.sqrt(NOISE**2 + model / 300)
    bad = rng.uniform(size=model.shape) < 0.003
    data = np.where(bad, 0, model + rng.normal(0, err))
    return Image(data.astype(np.float32), err.astype(np.float32), bad, np.zeros_like(bad)), x, y


def cpu(function):
    """CPU time of a call, and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=41500)
    parser.add_argument("--cutout", type=int, default=256)
    args = parser.parse_args()
    library = make_library()
    image, x, y = make_frame(library, args.stars, np.random.default_rng(3))
    truth = cKDTree(np.c_[x, y])
    corner = (slice(0, args.cutout),) * 2
    small = Image(
        *(np.ascontiguousarray(a[corner]) for a in (image.data, image.err, image.bad, image.saturated))
    )
    data, err = small.data - SKY, np.where(small.bad, np.nan, small.err)
    model = photutils_model(library)
    finder = DAOStarFinder(threshold=5 * NOISE, fwhm=1.9)
    common = {"aperture_radius": 3, "local_bkg_estimator": LocalBackground(8, 12)}
    peers = {
        "isolated": PSFPhotometry(model, 5, finder=finder, **common),
        "catalog": IterativePSFPhotometry(
            model, 5, finder, grouper=SourceGrouper(3), mode="all", maxiters=2, **common
        ),
    }
    for mode, peer in peers.items():
        measure_stars(small, library, mode=mode)  # compile
        seconds, stars = min(
            (cpu(lambda m=mode: measure_stars(image, library, mode=m)) for _ in range(3)), key=lambda r: r[0]
        )
        spurious = np.mean(truth.query(np.c_[stars["x"], stars["y"]])[0] > 1)
        print(f"{mode:9s} {seconds:6.2f} s   {len(stars)} stars listed, {spurious:.2%} of them spurious")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, table = cpu(lambda p=peer: p(data, error=err, mask=small.bad))
        ratio = (len(stars) / seconds) / (len(table) / theirs)
        print(
            f"photutils {theirs:6.2f} s for {len(table)} stars of {args.cutout}² pixels   ratio {ratio:,.0f}"
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
