"""What a build of effective PSFs is asked to do, and in which iteration it does what."""

from dataclasses import replace

from jwst_hpastrom.configuration import Configuration, configuration, parameter
from jwst_hpastrom.epsf.build.diffraction import band_limit
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.instrument import INSTRUMENTS, instrument_of, nominal_scale

__all__ = ["BuildConfig"]

FOLLOWED_FROM = 4  # iterations: a model that is sharp enough to tell its wavefront
UNJUDGED = 20  # iterations, where nothing tells that more of them help
SETTLING = 3  # iterations of the grid before the curvature between its points is judged


@configuration
class BuildConfig(Configuration):
    """All parameters of `~jwst_hpastrom.epsf.build_library`.

    Examples
    --------
    >>> from jwst_hpastrom.epsf.build import BuildConfig
    >>> config = BuildConfig(n_iterations=12, grid=3)
    >>> config.bends_at, config.refresh_at
    (11, [2, 4, 8, 9])
    """

    n_iterations: int = parameter(
        default=40, kind="int",
        text="""Iterations at most; 20 of them with a given library, or where too few stars can be held out to
        tell when a build has settled.""",
    )  # fmt: skip
    grid: int = parameter(
        default=5, kind="int",
        text="Field positions along each axis, corners of the detector included, at most.",
    )  # fmt: skip
    choose_grid: bool = parameter(
        default=True, kind="bool",
        text="""Let the ePSF vary over the positions as a Wiener estimate of polynomials (at 2 or 1 positions
        along each axis where it varies linearly, or not at all), and leave each position free only where the
        stars pay for it: where what two halves of them agree on beyond the polynomials outweighs what they
        disagree on by more than two standard errors (this project's choice).""",
    )  # fmt: skip
    refine: bool = parameter(
        default=True, kind="bool",
        text="""Add field positions halfway between those of the grid, if split-half tests of the stars show
        that the ePSF has curvature between them (this project's choice): 2 * grid - 1 positions along each
        axis, then.""",
    )  # fmt: skip
    n_global: int = parameter(
        default=8, kind="int",
        text="First iterations, with one model for the whole detector (this project's choice).",
    )  # fmt: skip
    n_fitted: int = parameter(
        default=3, kind="int",
        text="""Last iterations, with the fitted positions instead of the averaged ones (this project's
        choice).""",
    )  # fmt: skip
    min_sn: float = parameter(
        default=100.0, kind="float",
        text="Smallest signal-to-noise ratio of a star to build from (this project's choice).",
    )  # fmt: skip
    isolation: float = parameter(
        default=7.0, kind="float",
        text="A star to build from has no neighbor of more than half its flux within this radius, pixels.",
    )  # fmt: skip
    max_stars: int = parameter(
        default=4000, kind="int", text="Stars an exposure to build from, at most; the brightest."
    )
    min_exposures: int = parameter(default=3, kind="int", text="Fewest exposures for an averaged position.")
    min_cell_stars: float = parameter(
        default=5.0, kind="float",
        text="""Field positions with fewer stars (sum of bilinear weights) borrow from the others and are
        flagged.""",
    )  # fmt: skip
    clip: float = parameter(
        default=3.5, kind="float",
        text="Clipping of samples, in units of their scatter at that radius.",
    )  # fmt: skip
    mesh: int = parameter(default=64, kind="int", text="Size of the sky boxes, pixels.")
    oversampling: int = parameter(default=4, kind="int", text="Samples per pixel.")
    band_limit: float | None = parameter(
        default=None, kind="float, optional",
        text="""Highest spatial frequency of the ePSFs, cycles per pixel; if not given that of the exposures'
        filter, where it is known. 0 switches it off. Noise beyond it is taken out of every update (this
        project's choice).""",
    )  # fmt: skip
    brighter_fatter: float | None = parameter(
        default=None, kind="float, optional",
        text="""Shift of the boundary between two pixels, pixels per DN of charge difference (see
        `jwst_hpastrom.epsf.brighter_fatter`); learned from the stars, where they pay for it, if not given. 0
        switches it off.""",
    )  # fmt: skip
    follow_wavefront: bool = parameter(
        default=True, kind="bool",
        text="""Let the ePSF follow the exposures' wavefronts about their mean, where bright stars show a
        drift beyond doubt (this project's choice).""",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_iterations < 2:
            raise ParameterError(f"n_iterations={self.n_iterations}", "at least 2")
        object.__setattr__(self, "n_global", min(self.n_global, self.n_iterations - 1))

    def of_given_library(self) -> "BuildConfig":
        """Return the configuration of a build that learns a given library's difference, at its positions."""
        made = replace(self.without_judge(), grid=1, refine=False, choose_grid=False)
        object.__setattr__(made, "n_global", 0)  # none can ask for it: the library is there at once
        return made

    def without_judge(self) -> "BuildConfig":
        """Return the configuration of a build that no held-out stars end."""
        return replace(self, n_iterations=min(self.n_iterations, UNJUDGED))

    def of_filter(self, made_for: dict) -> "BuildConfig":
        """Return the configuration with the band of a filter that is known, where none is given.

        Examples
        --------
        >>> from jwst_hpastrom.epsf.build import BuildConfig
        >>> made_for = {"instrument": "NIRISS", "detector": "NIS", "filter": "F480M"}
        >>> round(BuildConfig().of_filter(made_for).band_limit, 2)
        0.39
        """
        instrument, scale, band = instrument_of(made_for), nominal_scale(made_for), made_for.get("filter")
        known = INSTRUMENTS[instrument].filters if instrument in INSTRUMENTS else {}
        if self.band_limit is not None or band not in known or not scale:
            return self
        return replace(self, band_limit=band_limit(band, scale, instrument=instrument))

    @property
    def bends_at(self) -> int:
        """Iteration that judges the curvature between field positions; -1 for none."""
        return self.n_global + SETTLING if self.refine and self.grid > 1 else -1

    @property
    def retrieved_at(self) -> set[int]:
        """Iterations that find the optics' wavefront from the library: one model, and the grid."""
        return {min(FOLLOWED_FROM, max(self.n_global - 1, 1)), self.n_global + SETTLING}

    @property
    def optics_at(self) -> tuple[int, int]:
        """Iterations that try a model of the optics: with a few field positions, and with many free ones."""
        return self.n_global + SETTLING, self.n_global + 2 * SETTLING

    @property
    def followed_at(self) -> range:
        """Iterations in which the exposures' wavefronts are measured anew."""
        return range(min(self.retrieved_at), self.n_iterations if self.follow_wavefront else 0)

    @property
    def refresh_at(self) -> list[int]:
        """Iterations in which neighbors and sky are measured again.

        Builds of the default length do it after the trials of optics: neighbors that one of the ePSFs tried
        has just taken away may favor it.
        """
        span = self.n_iterations - self.n_fitted - self.n_global  # with ePSFs at all field positions
        plan = {2, 4, self.n_global + max(span // 4, 1), self.n_global + 3 * span // 4}
        return sorted(p for p in plan if 0 < p < self.n_iterations) or [1]

    @property
    def opening(self) -> dict:
        """Parameters that choose an exposure's bright stars."""
        names = ("min_sn", "isolation", "max_stars", "mesh")
        return {name: getattr(self, name) for name in names}
