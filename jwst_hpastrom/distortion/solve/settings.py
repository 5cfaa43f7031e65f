"""What a solution is made with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.instrument import FRAME

__all__ = ["DistortionConfig", "Matching", "Model"]


@configuration
class Matching(Configuration):
    """How star lists and reference become pairs; see `~jwst_hpastrom.distortion.match_reference`."""

    qfit_max: float = parameter(0.1, "float", "Largest QFIT of the stars used.")
    error_max: float = parameter(0.05, "float", "Largest position error of the stars used, pixels.")
    max_shift: float = parameter(10.0, "float", "Largest pointing error, arcsec.")
    match_radius: float = parameter(
        0.1, "float",
        """Radius of the final match, arcsec. Shift, rotation and scale have been taken out by then.""",
    )  # fmt: skip
    min_stars: int = parameter(50, "int", "Fewest stars in common of an exposure and the reference.")
    held_out: float = parameter(
        0.2, "float",
        """Fraction of the reference stars that take no part in any fit, for the held-out residuals by
        stage.""",
    )  # fmt: skip
    motion_error: float = parameter(
        0.3, "float",
        """Error of unknown proper motions, mas/yr, where the catalog has fewer than five known ones.
        Otherwise these give mean and dispersion.""",
    )  # fmt: skip


@configuration
class Model(Configuration):
    """Polynomial and table of a correction; see `~jwst_hpastrom.distortion.solve_distortion`."""

    degree: int = parameter(5, "int", "Degree of the polynomial.")
    gauge: str = parameter(
        "center", '{"center", "bb10"}',
        """Which similarity the polynomial keeps: "center" none at the center, "bb10" none along x.""",
    )  # fmt: skip
    polynomial_cells: int = parameter(
        20, "int", "Cells along each axis in which residuals are averaged for the polynomial."
    )
    table_cells: int = parameter(32, "int", "Cells of the look-up table along each axis, 0 for no table.")
    shape: tuple[int, ...] = parameter(FRAME, "tuple of int", "Detector (ny, nx).")


@configuration
class DistortionConfig(Configuration):
    """All parameters of `~jwst_hpastrom.distortion.solve_distortion`."""

    method: str = parameter(
        "iterative", '{"iterative", "joint", "self"}',
        """"iterative": as published, half step by half step; "joint": all at once, the stars' positions being
        unknowns and the catalog their prior; "self": so, too, but without a catalog.""",
    )  # fmt: skip
    model: Model = Model()
    pixel_map: bool = parameter(True, "bool", "Build the map of the finest structure.")
    n_nearest: int = parameter(50, "int", "Residuals that each pixel of the map is made from (iterative).")
    amplifiers: int = parameter(
        4, "int", "Amplifiers' stripes, which the map does not average across (joint, self)."
    )
    matching: Matching = Matching()
