"""What a master frame is made with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.geometry import TangentPlane

__all__ = ["FrameConfig"]


@configuration
class FrameConfig(Configuration):
    """All parameters of `~jwst_hpastrom.frame.build_master`."""

    min_exposures: int = parameter(
        default=3, kind="int",
        text="""Fewest exposures in which a star must be found (fewer only if there are not as many
        exposures).""",
    )  # fmt: skip
    n_iterations: int = parameter(default=3, kind="int", text="Iterations of transforming and averaging.")
    parameters: int = parameter(
        default=6, kind="{4, 6}",
        text="""Parameters of the exposures' transformations: 4 (shift, rotation, scale) or 6 (general
        linear).""",
    )  # fmt: skip
    match_radius: float = parameter(default=40.0, kind="float", text="Cross-identification radius, mas.")
    sigma: float = parameter(
        default=3.0, kind="float",
        text="Clipping of a star's measurements about their median, in either axis.",
    )  # fmt: skip
    qfit_max: float = parameter(
        default=0.1, kind="float",
        text="Worst QFIT of a detection that may define a transformation.",
    )  # fmt: skip
    pixel_area: bool = parameter(
        default=True, kind="bool",
        text="Correct magnitudes for the pixels' area where a correction is given (Methods §2.7).",
    )  # fmt: skip
    max_shift: float = parameter(
        default=5.0, kind="float",
        text="Largest pointing error of an exposure's WCS, arcsec.",
    )  # fmt: skip
    max_rotation: float = parameter(
        default=1.0, kind="float",
        text="Largest rotation error of an exposure's WCS, degrees.",
    )  # fmt: skip
    pointing_error: float = parameter(
        default=70.0, kind="float",
        text="""Error of the exposures' common pointing, mas an axis, that frames without a catalog state.
        JDox (JWST Pointing Accuracy) had 0.10 arcsec, radial, for all instruments; a later analysis has 26 to
        37 mas, radial, for NIRCam and NIRISS, about 20 an axis.""",
    )  # fmt: skip
    scale_mas: float = parameter(
        default=50.0, kind="float",
        text="Master pixel where neither ``plane`` nor ``reference`` gives one, mas.",
    )  # fmt: skip
    together: bool = parameter(
        default=False, kind="bool",
        text="""Solve for all exposures' transformations at once, as is always done for several detectors:
        for mosaics with little overlap.""",
    )  # fmt: skip

    def limits(self, plane: TangentPlane) -> dict[str, float]:
        """Return the largest errors of the WCS, in the plane's pixels and degrees."""
        pixels = 1e3 / plane.scale_mas  # an arcsec
        return {"max_shift": self.max_shift * pixels, "max_rotation": self.max_rotation}
