"""Numba kernels for the error model: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mean_variances(order, start, x, y, weights, errors, correlation, step, out):
    """Variances of each group's weighted mean; the errors' correlation goes with their distance."""
    rows, columns = correlation.shape
    for g in range(start.size - 1):
        for k in range(2):
            total = 0.0
            variance = 0.0
            for a in range(start[g], start[g + 1]):
                i = order[a]
                wi = weights[k, i] * errors[k, i]
                total += weights[k, i]
                variance += wi * wi
                for b in range(start[g], a):
                    j = order[b]
                    dx, dy = (x[i] - x[j]) / step, (y[i] - y[j]) / step
                    if dy < 0:
                        dx, dy = -dx, -dy
                    dx += columns // 2
                    if 0 <= dx < columns - 1 and dy < rows - 1:
                        p, q = int(dx), int(dy)
                        f, h = dx - p, dy - q
                        here = (1 - f) * correlation[q, p] + f * correlation[q, p + 1]
                        above = (1 - f) * correlation[q + 1, p] + f * correlation[q + 1, p + 1]
                        rho = (1 - h) * here + h * above
                        variance += 2.0 * wi * weights[k, j] * errors[k, j] * rho
            # a measured correlation need not be positive definite
            out[k, g] = max(variance, 0.0) / (total * total) if total > 0 else np.nan
