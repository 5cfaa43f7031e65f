"""What a solution is made with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.instrument import FRAME

__all__ = ["DistortionConfig", "Model", "PairMatching"]


@configuration
class PairMatching(Configuration):
    """How star lists and reference become pairs; see `~jwst_hpastrom.distortion.match_reference`."""

    qfit_max: float = parameter(
        default=0.1, kind="float",
        text="Largest QFIT of the stars used, but for faint ones where noise alone makes it larger.",
    )  # fmt: skip
    error_max: float = parameter(
        default=0.05, kind="float",
        text="Largest position error of the stars used, pixels.",
    )  # fmt: skip
    max_shift: float = parameter(default=10.0, kind="float", text="Largest pointing error, arcsec.")
    match_radius: float = parameter(
        default=0.1, kind="float",
        text="Radius of the final match, arcsec. Shift, rotation and scale have been taken out by then.",
    )  # fmt: skip
    min_stars: int = parameter(
        default=50, kind="int",
        text="Fewest stars in common of an exposure and the reference.",
    )  # fmt: skip
    held_out: float = parameter(
        default=0.1, kind="float",
        text="""Fraction of the reference stars that take no part in any fit, for the held-out residuals by
        stage.""",
    )  # fmt: skip
    motion_error: float = parameter(
        default=0.3, kind="float",
        text="""Error of unknown proper motions, mas/yr, where the catalog has fewer than five known ones.
        Otherwise these give mean and dispersion.""",
    )  # fmt: skip


@configuration
class Model(Configuration):
    """Polynomial and table of a correction; see `~jwst_hpastrom.distortion.solve_distortion`."""

    degree: int = parameter(default=5, kind="int", text="Degree of the polynomial.")
    gauge: str = parameter(
        default="center", kind='{"center", "bb10"}',
        text='Which similarity the polynomial keeps: "center" none at the center, "bb10" none along x.',
    )  # fmt: skip
    polynomial_cells: int = parameter(
        default=20, kind="int",
        text="Cells along each axis in which residuals are averaged for the polynomial.",
    )  # fmt: skip
    table_cells: int = parameter(
        default=32, kind="int",
        text="Cells of the look-up table along each axis, 0 for no table.",
    )  # fmt: skip
    shape: tuple[int, ...] = parameter(default=FRAME, kind="tuple of int", text="Detector (ny, nx).")


@configuration
class DistortionConfig(Configuration):
    """All parameters of `~jwst_hpastrom.distortion.solve_distortion`."""

    method: str = parameter(
        default="joint", kind='{"iterative", "joint", "self"}',
        text=""""iterative": as published, half step by half step; "joint": all at once, the stars'
        positions being unknowns and the catalog their prior; "self": so, too, but without a
        catalog.""",
    )  # fmt: skip
    model: Model = Model()
    pixel_map: bool = parameter(default=True, kind="bool", text="Build the map of the finest structure.")
    n_nearest: int = parameter(
        default=50, kind="int",
        text="Residuals that each pixel of the map is made from (iterative).",
    )  # fmt: skip
    amplifiers: int = parameter(
        default=4, kind="int",
        text="Amplifiers' stripes, which the map does not average across (joint, self).",
    )  # fmt: skip
    matching: PairMatching = PairMatching()
