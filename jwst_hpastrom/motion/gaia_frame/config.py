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
        31, "int", "Required ``astrometric_params_solved`` of reference stars (31: five), 0 for any."
    )
    allow_duplicated: bool = parameter(False, "bool", "Take Gaia stars with ``duplicated_source``.")
    min_parallax_over_error: float = parameter(
        -10.0, "float", "Least ``parallax_over_error`` of reference stars."
    )
    max_excess_noise_sig: float = parameter(
        2.0, "float",
        """Largest ``astrometric_excess_noise_sig`` of reference stars. The mixture has no such cut: larger
        values are evidence that a star is bad
        (`~jwst_hpastrom.motion.gaia_frame.reference_mixture.quality_log_odds`).""",
    )  # fmt: skip
    max_ruwe: float = parameter(
        1.4, "float", "Limit that the ``ruwe`` of reference stars must be below; in the mixture as above."
    )
    min_g_mag: float = parameter(
        13.0, "float", "Limit that the ``phot_g_mean_mag`` of reference stars must be above."
    )


@configuration
class PlateModel(Configuration):
    """Transformations of the epochs to Gaia's frame."""

    degree: int = parameter(2, "int", "Degree of the polynomials from pixels to Gaia's frame.")
    regularised_degree: int = parameter(
        3, "int",
        """With transformation errors "joint": terms above ``degree`` up to this one are fitted with a normal
        prior, as wide as the epochs make likely.""",
    )  # fmt: skip
    n_bootstrap: int = parameter(100, "int", "Bootstrap samples of the reference stars.")
    transformation_errors: str = parameter(
        "model", '{"model", "joint", "formal", "bootstrap"}',
        """How the transformations and their errors at the stars are found: "model": as the kinematic models'
        set needs it, bootstrap for h25 and linear, joint for auto; "joint": one solution for all epochs, in
        which all stars hold them together, which leaves only a drift of the frame; "formal": propagated from
        the reference stars' and the lists' errors with their correlation between epochs, less what is common
        to all stars; "bootstrap": over the reference stars, epochs independent (H25).""",
    )  # fmt: skip


@configuration
class ReferenceRule(Configuration):
    """Which reference stars are believed."""

    reference_rule: str = parameter(
        "model", '{"model", "mixture", "hard"}',
        """"mixture": every reference star is good, or bad by an unknown factor, with a probability that is
        found together with the frame; "hard": they are cut and rejected one at a time (H25); "model": mixture
        with transformation errors "joint", else hard.""",
    )  # fmt: skip
    reference_sigma: float = parameter(
        5.0, "float",
        """With the hard rule: reference stars further than this from Gaia in position or motion go, worst
        first.""",
    )  # fmt: skip
    bright_limit: float | None = parameter(
        None, "float, optional",
        "Reference stars brighter than this in the lists go (H25: 13, against saturation).",
    )  # fmt: skip
    reference_parallax: bool = parameter(
        False, "bool", "Move the reference stars along their parallactic ellipses."
    )
    reference_radius_mas: float = parameter(
        30.0, "float", "Largest distance of a Gaia star from its star in the list."
    )


@configuration
class PlateSettings(Configuration):
    """How the transformations of all epochs are solved for together."""

    regularised_degree: int = parameter(
        3, "int",
        """Terms above the ties' degree, up to this one, are fitted with a normal prior whose width is the one
        that the epochs make most likely: about zero or, if they then need less width, about the cubic terms
        of a quadratic's inverse (a distortion may be quadratic from pixels to the sky, or the other way).""",
    )  # fmt: skip
    outlier_sigma: float = parameter(
        5.0, "float", "As in `~jwst_hpastrom.motion.star_fits.models.fit_motions`."
    )
    n_iterations: int = parameter(
        3, "int", "Solutions; between them the stars' outlying measurements are found anew."
    )
    max_stars: int = parameter(5000, "int", "Field stars that take part: those of smallest errors.")
