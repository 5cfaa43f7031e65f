"""Rules of thumb for planning (H25 eq. 19, 20)."""

from typing import Any

import numpy as np

from jwst_hpastrom.errors import ParameterError

__all__ = ["extended_mass_motion", "motion_error", "transformation_error"]

G = 4.30091e-3  # pc (km/s)² per solar mass
KM_S_PER_MAS_YR_KPC = 4.740470446


def transformation_error(
    sigma_reference: float, n_reference: int, *, n_parameters: int = 6, constant: float = 2.4
) -> float:
    """σ_trans ≈ c σ_ref/√(N_ref − N_par) (H25 eq. 19).

    Parameters
    ----------
    sigma_reference : float
        Mean position error of the reference stars at the epoch, mas.

    n_reference : int

    n_parameters : int
        Per axis: 6 for second-order polynomials.

    constant : float
        Empirical: 2.4 in H25.

    Returns
    -------
    float
        mas.

    Examples
    --------
    >>> from jwst_hpastrom.motion import transformation_error
    >>> round(float(transformation_error(0.3, 42)), 3)
    0.12
    """
    if n_reference <= n_parameters:
        raise ParameterError(f"{n_reference} reference stars", f"more than {n_parameters}")
    return constant * sigma_reference / np.sqrt(n_reference - n_parameters)


def motion_error(sigma: float, epochs: Any) -> float:
    """Error of a straight line's slope: σ/√Σ(t − t̄)².

    Parameters
    ----------
    sigma : float or ndarray
        Position error of an epoch, mas.

    epochs : ndarray
        Julian years.

    Returns
    -------
    float
        mas/yr.

    Examples
    --------
    >>> from jwst_hpastrom.motion import motion_error
    >>> round(float(motion_error(0.5, [2012.0, 2017.0, 2022.0])), 4)
    0.0707
    """
    t = np.asarray(epochs, float)
    w = np.broadcast_to(np.asarray(sigma, float), t.shape) ** -2.0
    mean = np.sum(w * t) / w.sum()
    return float(np.sum(w * (t - mean) ** 2) ** -0.5)


def extended_mass_motion(
    mass: float, radius_pc: float, baseline: float, *, distance_kpc: float = 8.178
) -> float:
    """Frame error below which an extended mass inside an orbit shows: G M Δt/r² (H25 eq. 20).

    Parameters
    ----------
    mass : float
        Solar masses within the orbit's apocenter.

    radius_pc : float
        Apocenter, pc.

    baseline : float
        Years.

    distance_kpc : float

    Returns
    -------
    float
        mas/yr.

    Examples
    --------
    >>> from jwst_hpastrom.motion import extended_mass_motion
    >>> round(float(extended_mass_motion(3e5, 0.04, 10.0)), 4)
    0.2127
    """
    acceleration = G * mass / radius_pc**2  # (km/s)²/pc
    per_year = acceleration * 1.0227121650e-6  # km/s per year
    return float(per_year * baseline / (KM_S_PER_MAS_YR_KPC * distance_kpc))
