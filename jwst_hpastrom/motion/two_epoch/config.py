"""What motions of two epochs are made with."""

from collections.abc import Sequence

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.motion.fast_search import FastSearch

__all__ = ["Matching", "ReferenceCuts", "Transformation", "TwoEpochConfig"]


@configuration
class Transformation(Configuration):
    """From the master frame to the first epoch's."""

    transformation: str = parameter(
        default="global", kind="{'global', 'local'}",
        text="""'global' is one for the field; 'local' removes in addition, star by star, what the nearest
        reference stars have in common after it, the star itself left out, and its uncertainty goes
        into the error.""",
    )  # fmt: skip
    parameters: int = parameter(
        default=6, kind="{4, 6}",
        text="Parameters of the global transformation: 4 (shift, rotation, scale) or 6 (general linear).",
    )  # fmt: skip
    n_local: int = parameter(
        default=50, kind="int",
        text="Reference stars of a local transformation; 50 is this package's choice.",
    )  # fmt: skip
    sigma: float = parameter(
        default=3.0, kind="float",
        text="Clipping of reference stars and of the zero point.",
    )  # fmt: skip


@configuration
class ReferenceCuts(Configuration):
    """Which stars define the transformation."""

    mag_min: float | None = parameter(
        default=None, kind="float, optional",
        text="Bright limit of the reference stars, instrumental magnitude of the master frame.",
    )  # fmt: skip
    mag_max: float | None = parameter(
        default=None, kind="float, optional",
        text="Faint limit of the reference stars, instrumental magnitude of the master frame.",
    )  # fmt: skip
    color_min: float | None = parameter(
        default=None, kind="float, optional",
        text="""Blue limit of the reference stars, column ``color`` of the master frame, else of the first
        epoch.""",
    )  # fmt: skip
    color_max: float | None = parameter(
        default=None, kind="float, optional",
        text="""Red limit of the reference stars, column ``color`` of the master frame, else of the first
        epoch.""",
    )  # fmt: skip
    polygon: str | Sequence[tuple[float, float]] | None = parameter(
        default=None, kind="str, optional",
        text="""Reference stars lie in this polygon of the color-magnitude diagram: corners ``color:mag``,
        separated by blanks.""",
    )  # fmt: skip
    qfit_max: float = parameter(default=0.1, kind="float", text="Worst mean QFIT of a reference star.")
    min_reference: int = parameter(default=6, kind="int", text="Fewest reference stars.")


@configuration
class Matching(Configuration):
    """How the two epochs' stars become pairs."""

    match_radius: float = parameter(
        default=100.0, kind="float",
        text="""Largest displacement between the epochs, mas, beyond the reference stars' (and the star's
        own known motion).""",
    )  # fmt: skip
    max_shift: float = parameter(
        default=5.0, kind="float",
        text="Largest offset between the two frames, arcsec.",
    )  # fmt: skip
    max_rotation: float = parameter(
        default=1.0, kind="float",
        text="Largest rotation between the two frames, degrees.",
    )  # fmt: skip


@configuration
class TwoEpochConfig(Configuration):
    """All parameters of `~jwst_hpastrom.motion.two_epoch_motions`."""

    transformation: Transformation = Transformation()
    cuts: ReferenceCuts = ReferenceCuts()
    matching: Matching = Matching()
    fast: FastSearch = FastSearch()
    zero_point_degree: int = parameter(
        default=0, kind="int",
        text="""With 1 or more the zero point varies over the field as a polynomial of this degree, fitted
        to all stars with absolute motions: it takes out what is left of the distortions, and puts
        the catalog's own systematic errors in their place.""",
    )  # fmt: skip
    errors: str = parameter(
        default="combined", kind="{'combined', 'empirical', 'formal', 'l23'}",
        text="""Errors of the master positions: 'empirical' from the exposures' scatter, 'formal' from the
        fits, 'combined' from both, 'l23' the empirical ones without the transformation's error, as
        L23 has it.""",
    )  # fmt: skip
