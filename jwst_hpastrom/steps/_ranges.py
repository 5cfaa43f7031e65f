"""Ranges of the Steps' numeric parameters, checked before any work."""

from numbers import Real

import numpy as np

from jwst_hpastrom.errors import ParameterError

__all__ = ["RANGES", "check_ranges"]

LEAST = 1e-9  # of what must be more than 0
ANY = 1e12  # of what has no natural end

#: smallest and largest value; what is not listed must only be finite
RANGES = {
    # counts
    "workers": (1, 4096), "n_iterations": (1, 10_000), "grid": (1, 1000), "n_global": (1, 10_000),
    "n_fitted": (0, 10_000), "max_stars": (20, ANY), "min_exposures": (1, 1e6), "mesh": (8, 4096),
    "oversampling": (1, 100), "fit_box": (1, 101), "passes": (0, 100), "min_zone_stars": (1, ANY),
    "max_zones": (1, 100), "seed": (0, 2**63), "degree": (1, 15), "polynomial_cells": (1, 2048),
    "table_cells": (1, 2048), "n_nearest": (1, ANY), "amplifiers": (1, 64), "min_stars": (1, ANY),
    "n_artificial": (0, ANY), "tile_size": (32, 65536), "n_local": (1, ANY),
    "zero_point_degree": (0, 10), "min_reference": (1, ANY), "regularised_degree": (1, 15),
    "n_bootstrap": (0, ANY), "min_epochs": (1, 1e6),
    # limits and radii
    "min_sn": (0, ANY), "isolation": (0, 100), "min_cell_stars": (0, ANY), "clip": (LEAST, ANY),
    "band_limit": (0, 1000), "threshold": (LEAST, ANY), "sky_inner": (0, 1000),
    "sky_outer": (LEAST, 1000), "min_separation": (0, 100), "isolation_radius": (0, 1000),
    "perturb_sn": (0, ANY), "qfit_max": (LEAST, ANY), "error_max": (LEAST, ANY),
    "max_shift": (LEAST, 1e4), "match_radius": (LEAST, 1e4), "held_out": (0, 0.9),
    "motion_error": (0, ANY), "sigma": (LEAST, ANY), "max_rotation": (0, 360),
    "scale_mas": (LEAST, 1e6), "model_error": (0, 1), "exposure_sigma": (LEAST, ANY),
    "pixel_scale_mas": (LEAST, 1e6), "ra_ref": (-360, 360), "dec_ref": (-90, 90),
    "reference_sigma": (LEAST, ANY), "max_ruwe": (LEAST, ANY), "reference_radius_mas": (LEAST, ANY),
    "outlier_sigma": (LEAST, ANY), "probability": (0, 1), "group_probability": (0, 1),
    "max_motion": (LEAST, ANY), "fast_motion": (0, ANY), "fast_false_share": (0, 1),
    "max_mag_difference": (LEAST, ANY),
}  # fmt: skip


def check_ranges(step):
    """Raise where a parameter of a Step, or of one of a pipeline's Steps, is out of its range.

    Parameters
    ----------
    step : `stpipe.Step`

    Raises
    ------
    ParameterError
        Names the parameter, its value and its range.
    """
    for name in type(step).load_spec_file():
        values = getattr(step, name, None)
        for value in values if isinstance(values, list | tuple) else (values,):
            if isinstance(value, bool) or not isinstance(value, Real):
                continue
            low, high = RANGES.get(name, (-np.inf, np.inf))
            if not (np.isfinite(float(value)) and low <= value <= high):
                needed = "a finite number" if np.isinf(low) else f"{'more than 0' if low == LEAST else low}"
                needed += "" if high in (ANY, np.inf) else f" to {high}"
                raise ParameterError(f"{name}={value}", needed, f"see strun {step.class_alias} --help")
    for name in getattr(step, "step_defs", {}):
        check_ranges(getattr(step, name))
