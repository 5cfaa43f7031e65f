"""What a frame is tied to the reference catalog with."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter

__all__ = ["GaiaCuts", "PlateModel", "PlateSettings", "ReferenceRule"]


@configuration
class GaiaCuts(Configuration):
    """Which of Gaia's stars have trustworthy astrometry (H25 §3.1).

    The text of H25 lost the operators: = 31, not duplicated, >= -10, <= 2, < 1.4, > 13 are this project's
    reading.
    """

    params_solved: int = parameter(
        default=31, kind="int",
        text="Required ``astrometric_params_solved`` of reference stars (31: five), 0 for any.",
    )  # fmt: skip
    allow_duplicated: bool = parameter(
        default=False, kind="bool",
        text="Take Gaia stars with ``duplicated_source``.",
    )  # fmt: skip
    min_parallax_over_error: float = parameter(
        default=-10.0, kind="float",
        text="Least ``parallax_over_error`` of reference stars.",
    )  # fmt: skip
    max_excess_noise_sig: float = parameter(
        default=2.0, kind="float",
        text="""Largest ``astrometric_excess_noise_sig`` of reference stars. The mixture has no such cut:
        larger values are evidence that a star is bad
        (`~jwst_hpastrom.motion.gaia_frame.reference_mixture.quality_log_odds`).""",
    )  # fmt: skip
    max_ruwe: float = parameter(
        default=1.4, kind="float",
        text="Limit that the ``ruwe`` of reference stars must be below; in the mixture as above.",
    )  # fmt: skip
    min_g_mag: float = parameter(
        default=13.0, kind="float",
        text="Limit that the ``phot_g_mean_mag`` of reference stars must be above.",
    )  # fmt: skip


@configuration
class PlateModel(Configuration):
    """Transformations of the epochs to Gaia's frame."""

    degree: int = parameter(
        default=2, kind="int",
        text="Degree of the polynomials from pixels to Gaia's frame.",
    )  # fmt: skip
    regularised_degree: int = parameter(
        default=3, kind="int",
        text="""With transformation errors "joint": terms above ``degree`` up to this one are fitted with a
        normal prior, as wide as the epochs make likely.""",
    )  # fmt: skip
    n_bootstrap: int = parameter(default=100, kind="int", text="Bootstrap samples of the reference stars.")
    transformation_errors: str = parameter(
        default="model", kind='{"model", "joint", "formal", "bootstrap"}',
        text="""How the transformations and their errors at the stars are found: "model": as the kinematic
        models' set needs it, bootstrap for h25 and linear, joint for auto; "joint": one solution
        for all epochs, in which all stars hold them together, which leaves only a drift of the
        frame; "formal": propagated from the reference stars' and the lists' errors with their
        correlation between epochs, less what is common to all stars; "bootstrap": over the
        reference stars, epochs independent (H25).""",
    )  # fmt: skip


@configuration
class ReferenceRule(Configuration):
    """Which reference stars are believed."""

    reference_rule: str = parameter(
        default="model", kind='{"model", "mixture", "hard"}',
        text=""""mixture": every reference star is good, or bad by an unknown factor, with a probability
        that is found together with the frame; "hard": they are cut and rejected one at a time
        (H25); "model": mixture with transformation errors "joint", else hard.""",
    )  # fmt: skip
    reference_sigma: float = parameter(
        default=5.0, kind="float",
        text="""With the hard rule: reference stars further than this from Gaia in position or motion go,
        worst first.""",
    )  # fmt: skip
    bright_limit: float | None = parameter(
        default=None, kind="float, optional",
        text="Reference stars brighter than this in the lists go (H25: 13, against saturation).",
    )  # fmt: skip
    reference_parallax: bool = parameter(
        default=False, kind="bool",
        text="Move the reference stars along their parallactic ellipses.",
    )  # fmt: skip
    reference_radius_mas: float = parameter(
        default=30.0, kind="float",
        text="Largest distance of a Gaia star from its star in the list.",
    )  # fmt: skip


@configuration
class PlateSettings(Configuration):
    """How the transformations of all epochs are solved for together."""

    regularised_degree: int = parameter(
        default=3, kind="int",
        text="""Terms above the ties' degree, up to this one, are fitted with a normal prior whose width is
        the one that the epochs make most likely: about zero or, if they then need less width, about
        the cubic terms of a quadratic's inverse (a distortion may be quadratic from pixels to the
        sky, or the other way).""",
    )  # fmt: skip
    outlier_sigma: float = parameter(
        default=5.0, kind="float",
        text="As in `~jwst_hpastrom.motion.star_fits.models.fit_motions`.",
    )  # fmt: skip
    n_iterations: int = parameter(
        default=3, kind="int",
        text="Solutions; between them the stars' outlying measurements are found anew.",
    )  # fmt: skip
    max_stars: int = parameter(
        default=5000, kind="int",
        text="Field stars that take part: those of smallest errors.",
    )  # fmt: skip
