"""What motions of many epochs are made with."""

from dataclasses import replace

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion.fast_search import FastSearch
from jwst_hpastrom.motion.gaia_frame.config import GaiaCuts, PlateModel, ReferenceRule
from jwst_hpastrom.motion.star_fits.config import Kinematics

__all__ = ["EpochsConfig", "Linking", "Unknowns"]


@configuration
class Linking(Configuration):
    """How the lists' entries become stars."""

    match: str = parameter(
        default="position", kind='{"position", "name"}',
        text="""How stars are cross-identified: "position"; "name" where equal names in the lists are one
        star.""",
    )  # fmt: skip
    ra_ref: float | None = parameter(
        default=None, kind="float, optional",
        text="""Right ascension of the tangent point, degrees, by default from the lists, else the middle of
        the Gaia stars.""",
    )  # fmt: skip
    dec_ref: float | None = parameter(
        default=None, kind="float, optional",
        text="Declination of the tangent point, degrees, by default as for the right ascension.",
    )  # fmt: skip
    pixel_scale_mas: float | None = parameter(
        default=None, kind="float, optional",
        text="Pixel scale of lists that do not say; without it the scale is searched for.",
    )  # fmt: skip
    max_motion: float = parameter(
        default=15.0, kind="float",
        text="Largest motion relative to the field, mas/yr, in the search for a star in other lists.",
    )  # fmt: skip
    max_mag_difference: float = parameter(
        default=1.0, kind="float",
        text="Largest difference of a star's magnitude from its mean, in the search for it in other lists.",
    )  # fmt: skip
    min_epochs: int = parameter(default=2, kind="int", text="Stars found in fewer epochs are left out.")


@configuration
class Unknowns(Configuration):
    """What a star has beside a motion."""

    group_by: str = parameter(
        default="position_angle", kind="str",
        text="""Metadata whose equal values share an unknown offset: position_angle (angles within 5 degrees
        of one another), any other key, or none.""",
    )  # fmt: skip
    fit_parallax: bool = parameter(default=False, kind="bool", text="Fit a parallax to every star.")


@configuration
class EpochsConfig(Configuration):
    """All parameters of `~jwst_hpastrom.motion.fit_epochs`."""

    kinematics: Kinematics = Kinematics()
    linking: Linking = Linking()
    plates: PlateModel = PlateModel()
    rule: ReferenceRule = ReferenceRule()
    cuts: GaiaCuts = GaiaCuts()
    unknowns: Unknowns = Unknowns()
    fast: FastSearch = FastSearch()

    @property
    def mixed(self) -> bool:
        """Whether the reference stars are a mixture of good and bad ones."""
        return self.rule.reference_rule == "mixture"

    def resolved(self) -> "EpochsConfig":
        """Return it with what the kinematic models' set leaves open decided."""
        errors = self.plates.transformation_errors
        if errors == "model":
            errors = "joint" if self.kinematics.models == "auto" else "bootstrap"
        rule = self.rule.reference_rule
        if rule == "model":
            rule = "mixture" if errors == "joint" else "hard"
        if rule == "mixture" and errors != "joint":
            raise ParameterError(f"reference_rule=mixture with {errors} errors", "joint ones")
        return replace(
            self,
            plates=replace(self.plates, transformation_errors=errors),
            rule=replace(self.rule, reference_rule=rule),
        )
