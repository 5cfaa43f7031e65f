"""Numba core of the error model: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mean_variances(order, start, x, y, weights, errors, share, rate, out):
    """Variances of each group's weighted mean; errors d apart correlate by Σ share exp(-rate d²)."""
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
                    d2 = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
                    correlation = 0.0
                    for m in range(share.size):
                        correlation += share[m] * np.exp(-rate[m] * d2)
                    variance += 2.0 * wi * weights[k, j] * errors[k, j] * correlation
            out[k, g] = variance / (total * total) if total > 0 else np.nan
