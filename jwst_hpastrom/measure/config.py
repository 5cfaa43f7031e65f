"""What many exposures are measured with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter

__all__ = ["ManyConfig"]


@configuration
class ManyConfig(Configuration):
    """All parameters of `~jwst_hpastrom.measure.measure_many`."""

    threshold: float = parameter(
        default=5.0, kind="float",
        text="Significance of a star in all exposures together.",
    )  # fmt: skip
    passes: int = parameter(
        default=5, kind="int",
        text="Passes of finding; the threshold falls by a factor of four from each to the next.",
    )  # fmt: skip
    fit_box: int = parameter(default=5, kind="int", text="Side of the fitted box, pixels, odd.")
    min_exposures: int = parameter(
        default=3, kind="int",
        text="Fewest exposures that a star must lie in (fewer if there are not as many).",
    )  # fmt: skip
    min_separation: float = parameter(
        default=0.9, kind="float",
        text="Stars closer than this (pixels) are not told apart.",
    )  # fmt: skip
    model_error: float = parameter(
        default=0.03, kind="float",
        text="""Relative error of the subtracted models: residuals below this share of the light that was
        there are not stars.""",
    )  # fmt: skip
    exposure_sigma: float = parameter(
        default=4.0, kind="float",
        text="Clipping of a star's exposures, in units of their errors.",
    )  # fmt: skip
    tile_size: int = parameter(
        default=512, kind="int",
        text="""Side of the tiles that the field is worked in, pixels; smaller where exposures are more than
        50.""",
    )  # fmt: skip
    pixel_area: bool = parameter(
        default=True, kind="bool",
        text="Correct fluxes for the pixels' area, as `build_master` does.",
    )  # fmt: skip
