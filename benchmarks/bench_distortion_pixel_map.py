"""The 2048² pixel map from 10⁶ residuals with two threads, against cKDTree and a sort-based clip in numpy.

    python benchmarks/bench_distortion_pixel_map.py [rows of the detector, 2048]

The peer runs on 1/16 of the rows and is scaled up.
"""

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.distortion import build_pixel_map


def peer(x, y, dx, dy, rows, nx, k=50, sigma=2.5):
    gy, gx = np.mgrid[:rows, :nx]
    tree = cKDTree(np.c_[x, y])
    out = []
    for first in range(0, gx.size, 1 << 17):
        s = slice(first, first + (1 << 17))
        _, near = tree.query(np.c_[gx.ravel()[s], gy.ravel()[s]], k, workers=2)
        for d in (dx, dy):
            v = np.sort(d[near], 1)
            for _ in range(10):
                middle = np.nanmedian(v, 1, keepdims=True)
                spread = 1.4826 * np.nanmedian(np.abs(v - middle), 1, keepdims=True)
                bad = np.abs(v - middle) > sigma * spread
                if not bad.any():
                    break
                v = np.where(bad, np.nan, v)
            out.append(middle[:, 0])
    return out


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    rng = np.random.default_rng(1)
    n = rows * 2048 * 1_000_000 // 2048**2
    x, y = rng.uniform(-0.5, 2047.5, n), rng.uniform(-0.5, rows - 0.5, n)
    dx, dy = rng.normal(0, 0.01, (2, n))
    build_pixel_map(x[:1000] / 64, y[:1000] / 64, dx[:1000], dy[:1000], shape=(32, 32))
    with ThreadPoolExecutor(2) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        build_pixel_map(x, y, dx, dy, shape=(rows, 2048), executor=pool)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    part = max(rows // 16, 16)
    k = y < part + 30
    other, other_cpu = time.perf_counter(), time.process_time()
    peer(x[k], y[k], dx[k], dy[k], part, 2048)
    other = (time.perf_counter() - other) * rows / part
    other_cpu = (time.process_time() - other_cpu) * rows / part
    print(f"{n} residuals, {rows} x 2048 pixels: {wall:.1f} s (CPU {cpu:.1f} s), peak memory {memory:.2f} GB")
    print(f"cKDTree(workers=2) + numpy: {other:.1f} s (CPU {other_cpu:.1f} s)")
    print(f"ratio {other / wall:.1f} (CPU {other_cpu / cpu:.1f})")


if __name__ == "__main__":
    main()
