"""What a master frame is made with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.geometry import TangentPlane

__all__ = ["FrameConfig"]


@configuration
class FrameConfig(Configuration):
    """All parameters of `~jwst_hpastrom.frame.build_master`."""

    min_exposures: int = parameter(
        3, "int",
        """Fewest exposures in which a star must be found (fewer only if there are not as many exposures).""",
    )  # fmt: skip
    n_iterations: int = parameter(3, "int", "Iterations of transforming and averaging.")
    parameters: int = parameter(
        6, "{4, 6}",
        """Parameters of the exposures' transformations: 4 (shift, rotation, scale) or 6 (general linear).""",
    )  # fmt: skip
    match_radius: float = parameter(40.0, "float", "Cross-identification radius, mas.")
    sigma: float = parameter(
        3.0, "float", "Clipping of a star's measurements about their median, in either axis."
    )
    qfit_max: float = parameter(0.1, "float", "Worst QFIT of a detection that may define a transformation.")
    pixel_area: bool = parameter(
        True, "bool",
        "Correct magnitudes for the pixels' area where a correction is given (Methods §2.7).",
    )  # fmt: skip
    max_shift: float = parameter(5.0, "float", "Largest pointing error of an exposure's WCS, arcsec.")
    max_rotation: float = parameter(1.0, "float", "Largest rotation error of an exposure's WCS, degrees.")
    scale_mas: float = parameter(
        50.0, "float", "Master pixel where neither ``plane`` nor ``reference`` gives one, mas."
    )
    together: bool = parameter(
        False, "bool",
        """Solve for all exposures' transformations at once, as is always done for several detectors: for
        mosaics with little overlap.""",
    )  # fmt: skip

    def limits(self, plane: TangentPlane) -> dict[str, float]:
        """Return the largest errors of the WCS, in the plane's pixels and degrees."""
        pixels = 1e3 / plane.scale_mas  # an arcsec
        return {"max_shift": self.max_shift * pixels, "max_rotation": self.max_rotation}
