"""Motions at a distance."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["KM_S", "to_km_s"]

#: km/s of 1 mas/yr at 1 kpc
KM_S = 4.740470446


def to_km_s(
    motion: ArrayLike, distance_kpc: float, *, motion_error: ArrayLike = 0.0, distance_error: float = 0.0
) -> tuple[ArrayLike, ArrayLike]:
    """Turn proper motions into tangential velocities.

    Parameters
    ----------
    motion, motion_error : float or ndarray
        mas/yr.

    distance_kpc, distance_error : float
        kpc. An error of the distance is common to all stars.

    Returns
    -------
    velocity, error : float or ndarray
        km/s.

    Examples
    --------
    >>> from jwst_hpastrom.kinematics import to_km_s
    >>> velocity, error = to_km_s(0.1, 49.5, motion_error=0.01)
    >>> round(float(velocity), 1), round(float(error), 1)
    (23.5, 2.3)
    """
    motion = np.asarray(motion, float)
    velocity = KM_S * motion * distance_kpc
    error = KM_S * np.hypot(np.asarray(motion_error, float) * distance_kpc, motion * distance_error)
    return (float(velocity), float(error)) if velocity.ndim == 0 and error.ndim == 0 else (velocity, error)
