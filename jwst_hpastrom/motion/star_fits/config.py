"""What stars' fits are made with."""

from collections.abc import Sequence

import numpy as np

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.motion.kinematic_models import MODEL_SETS

__all__ = ["Context", "FitMotionsConfig", "Kinematics", "ModelSearch"]


@configuration
class Kinematics(Configuration):
    """Kinematic models of the stars, and the choice among them."""

    models: str | Sequence[str] = parameter(
        default="auto", kind='{"auto", "h25", "linear"} or sequence of str',
        text="""Kinematic models that compete for each star: "linear" the straight line alone; "h25" those
        of the paper; "auto" these and an offset that a group of epochs shares.""",
    )  # fmt: skip
    acceleration: bool = parameter(
        default=False, kind="bool",
        text="Fit a second-order polynomial to every star.",
    )  # fmt: skip
    outlier_sigma: float = parameter(
        default=5.0, kind="float",
        text="""Measurements further than this many errors from their leave-one-out prediction go, in either
        axis, worst first, 0 for none.""",
    )  # fmt: skip

    @property
    def grouped(self) -> bool:
        """Whether groups of epochs may have offsets."""
        names = MODEL_SETS.get(self.models, self.models) if isinstance(self.models, str) else self.models
        return "group" in names

    probability: float = parameter(
        default=0.997, kind="float",
        text="A model replaces the straight line if its ELPD is higher by ln(p/(1 − p)).",
    )  # fmt: skip
    group_probability: float = parameter(
        default=0.5, kind="float",
        text="""The group offset replaces the straight line if its ELPD is higher by ln(p/(1 − p)) of this
        p. It is a systematic that is known to exist: 0.5 takes whichever predicts better.""",
    )  # fmt: skip


@configuration
class ModelSearch(Configuration):
    """How the models' parameters are searched for."""

    outlier_model: str | None = parameter(
        default=None, kind='{"poly", "group"}, optional',
        text="""Model of the test for outliers; by default "group" where it is among the models, else "poly"
        as in H25.""",
    )  # fmt: skip
    min_epochs_models: int = parameter(
        default=5, kind="int",
        text="With fewer epochs: weighted straight line, no rejection, no choice.",
    )  # fmt: skip
    n_starts: int = parameter(
        default=2, kind="int",
        text="Climbs per model, from the best points of a coarse grid.",
    )  # fmt: skip
    chunk: int = parameter(default=500, kind="int", text="Stars per chunk.")


@configuration
class Context(Configuration):
    """What is known of the measurements beside positions, errors and times."""

    group: np.ndarray | None = parameter(
        default=None, kind="ndarray of int, shape (n_epochs,), optional",
        text="""Epochs that share an unknown offset (position angle, visit, instrument), for the model
        "group".""",
    )  # fmt: skip
    extra_covariance: np.ndarray | None = parameter(
        default=None, kind="ndarray, shape (n_stars, 2, n_epochs, n_epochs), optional",
        text="Added to diag(err²): what the transformations' errors have in common between epochs.",
    )  # fmt: skip
    factors: np.ndarray | None = parameter(
        default=None, kind="ndarray, shape (2, n_epochs), optional",
        text="Parallax factors; where given, a parallax is fitted, one for both axes.",
    )  # fmt: skip
    use: np.ndarray | None = parameter(
        default=None, kind="ndarray of bool, shape (n_stars, n_epochs), optional",
        text="Measurements that may be used.",
    )  # fmt: skip
    brightness: np.ndarray | None = parameter(
        default=None, kind="ndarray, shape (n_stars,), optional",
        text='Magnitudes: with "auto", stars of similar ones share the prior of their systematics.',
    )  # fmt: skip


@configuration
class FitMotionsConfig(Configuration):
    """All parameters of `~jwst_hpastrom.motion.fit_motions`."""

    kinematics: Kinematics = Kinematics()
    search: ModelSearch = ModelSearch()
    context: Context = Context()
