"""What the stars of an exposure are found and fitted with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter

__all__ = ["StarFitConfig"]


@configuration
class StarFitConfig(Configuration):
    """All parameters of `~jwst_hpastrom.epsf.measure_stars`."""

    mode: str = parameter(
        default="isolated", kind='{"isolated", "catalog"}',
        text="""Fit every star by itself on the image as it is, or with all others subtracted. In ``catalog``
        mode the fits are repeated until the models agree with each other, and stars that appear in the
        residuals are added.""",
    )  # fmt: skip
    threshold: float = parameter(
        default=5.0, kind="float",
        text="Significance that a detection needs: its flux over the flux's standard error.",
    )  # fmt: skip
    fit_box: int = parameter(default=5, kind="int", text="Side of the fitted box, pixels, odd.")
    sky: str = parameter(
        default="annulus", kind='{"annulus", "fit"}',
        text="Clipped mean of an annulus with all stars subtracted, or a parameter of the fit.",
    )  # fmt: skip
    sky_inner: float = parameter(default=8.0, kind="float", text="Radii of the annulus, pixels.")
    sky_outer: float = parameter(default=12.0, kind="float", text="Radii of the annulus, pixels.")
    passes: int = parameter(
        default=2, kind="int", text="Searches for more stars in the residuals, in ``catalog`` mode."
    )
    min_separation: float = parameter(
        default=1.0, kind="float",
        text="""Least distance of two stars in pixels: where a fit brings them closer the fainter one is
        dropped.""",
    )  # fmt: skip
    isolation_radius: float = parameter(
        default=7.0, kind="float",
        text="""Radius in pixels within which a star of a tenth of the light or more gives the flag
        CROWDED.""",
    )  # fmt: skip
    drop_cosmic_rays: bool = parameter(
        default=True, kind="bool",
        text="""Leave out detections that are far too sharp for a star and too faint to be of use; those kept
        have the flag COSMIC_RAY.""",
    )  # fmt: skip
    follow_wavefront: bool = parameter(
        default=True, kind="bool",
        text="""Let the library follow the exposure's wavefront, where bright stars show beyond doubt how far
        it is off; the drift is then in the table's metadata, ``wavefront_nm`` (nm RMS, Zernikes 4 to 15).""",
    )  # fmt: skip
