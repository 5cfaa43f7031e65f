"""Forward and inverse evaluation of a full correction, positions per second and core; ratio to astropy.

python benchmarks/bench_distortion_evaluation.py
"""

import time

import numpy as np

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
)


def invented(rng):
    y, x = np.mgrid[:2048, :2048]
    fine = 0.03 * np.stack([np.sin(x / 40), np.cos(y / 40)], -1).astype(np.float32)
    return DistortionCorrection(
        PolynomialCorrection(5, *rng.normal(0, 1.5, (2, 20))),
        TableCorrection(*rng.normal(0, 0.02, (2, 32, 32))),
        PixelMapCorrection(fine),
    )


def best(function, repeats=5):
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def main():
    rng = np.random.default_rng(1)
    c = invented(rng)
    model = c.to_astropy()
    n = 1_000_000
    x, y = rng.uniform(0, 2047, (2, n))
    u, v = c.forward(x, y)
    forward, inverse = best(lambda: c.forward(x, y)), best(lambda: c.inverse(u, v))
    few = slice(0, 100_000)
    astropy_forward = best(lambda: model(x[few], y[few]), 3)
    astropy_inverse = best(lambda: model.inverse(u[few], v[few]), 3)
    bx, by = c.inverse(u, v)
    ax, ay = model.inverse(*model(x[few], y[few]))
    worst, astropy_worst = np.hypot(bx - x, by - y).max(), np.hypot(ax - x[few], ay - y[few]).max()
    print(f"forward: {n / forward:.3g} positions/s/core (CPU time), random positions, all three parts")
    print(f"inverse: {n / inverse:.3g} positions/s/core, largest error {worst:.1e} px")
    print(f"astropy, as in gwcs: 1e5 forward {astropy_forward:.3f} s, inverse {astropy_inverse:.3f} s")
    ratios = 10 * astropy_forward / forward, 10 * astropy_inverse / inverse
    print(f"ratio to it: forward {ratios[0]:.0f}, inverse {ratios[1]:.0f}")
    print(f"astropy round trip: {astropy_worst:.1e} px")


if __name__ == "__main__":
    main()
