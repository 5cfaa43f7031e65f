"""Pixel-phase errors that averages over dithers keep."""

import numpy as np

from jwst_hpastrom.geometry import robust_sigma

__all__ = ["TYPICAL_PHASE_ERROR", "hidden_phase_error"]

TYPICAL_PHASE_ERROR = 0.02  # pixels: of photocenters' first ePSFs; holds down what no dither can tell


def hidden_phase_error(position, offset, weight, star, n_stars, typical=TYPICAL_PHASE_ERROR):
    """Pixel-phase error that a star's measurements have in common, which averages over them keep.

    Offsets from a star's mean hold the difference between the error at their own phase and the mean error at
    all the star's phases; that determines the error as a function of phase, two harmonics of it, unless every
    star is seen at one phase only (this project's choice; it saves the many iterations in which the averages
    follow the errors that they hide).

    Parameters
    ----------
    position, offset, weight : ndarray, shape (n,)
        Raw coordinate along one axis, fitted less mean, pixels; weights of the mean.

    star : ndarray of int, shape (n,)
        Star number; < 0 for none.

    n_stars : int

    typical : float
        Pixel-phase error to be expected, pixels.

    Returns
    -------
    ndarray, shape (n,)
        Error of each measurement's mean, pixels; 0 for those of no star.
    """
    out = np.zeros(position.size)
    k = np.flatnonzero((star >= 0) & np.isfinite(offset + position) & (weight > 0))
    if k.size < 50:
        return out
    t, w, s = 2 * np.pi * position[k], weight[k], star[k]
    sin, cos = np.sin(t), np.cos(t)
    waves = np.stack([sin, cos, 2 * sin * cos, 2 * cos**2 - 1])
    total = np.bincount(s, w, n_stars)[s]
    mean = np.stack([np.bincount(s, w * h, n_stars)[s] / total for h in waves])
    scatter = max(robust_sigma(offset[k]), 1e-6)
    good = np.abs(offset[k]) < 4 * scatter
    design = (waves - mean)[:, good]
    normal = design @ design.T + np.eye(len(waves)) * (scatter / typical) ** 2
    out[k] = np.linalg.solve(normal, design @ offset[k][good]) @ mean
    return out
