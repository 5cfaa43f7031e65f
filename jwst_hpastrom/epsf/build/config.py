"""What a build of effective PSFs is asked to do, and in which iteration it does what."""

from dataclasses import dataclass, replace

from jwst_hpastrom.errors import ParameterError

__all__ = ["BuildConfig"]

FOLLOWED_FROM = 4  # iterations: a model that is sharp enough to tell its wavefront
SETTLING = 3  # iterations of the grid before the curvature between its points is judged


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """The numbers of a build; `~jwst_hpastrom.epsf.build_library` says what each of them means.

    Examples
    --------
    >>> config = BuildConfig(n_iterations=12, grid=3)
    >>> config.bends_at, config.refresh_at
    (11, [2, 4, 8, 9])
    """

    n_iterations: int = 20
    grid: int = 5
    choose_grid: bool = True
    refine: bool = True
    n_global: int = 8
    n_fitted: int = 3
    min_sn: float = 100.0
    isolation: float = 7.0
    max_stars: int = 4000
    min_exposures: int = 3
    min_cell_stars: float = 5.0
    clip: float = 3.5
    mesh: int = 64
    oversampling: int = 4
    band_limit: float | None = None
    brighter_fatter: float | None = None
    follow_wavefront: bool = True
    made_for: dict | None = None

    def __post_init__(self) -> None:
        if min(self.n_iterations - 1, self.grid, self.oversampling, self.mesh) < 1:
            raise ParameterError(
                f"n_iterations={self.n_iterations}, grid={self.grid}, oversampling={self.oversampling}, "
                f"mesh={self.mesh}",
                "at least 2, 1, 1 and 1",
            )
        object.__setattr__(self, "n_global", min(self.n_global, self.n_iterations - 1))

    def of_given_library(self) -> "BuildConfig":
        """Return the configuration of a build that learns a given library's difference, at its positions."""
        return replace(self, grid=1, refine=False, choose_grid=False, n_global=0)

    @property
    def bends_at(self) -> int:
        """Iteration that judges the curvature between field positions; -1 for none."""
        return self.n_global + SETTLING if self.refine and self.grid > 1 else -1

    @property
    def retrieved_at(self) -> set[int]:
        """Iterations that find the optics' wavefront from the library: one model, and the grid."""
        return {min(FOLLOWED_FROM, max(self.n_global - 1, 1)), self.n_global + SETTLING}

    @property
    def followed_at(self) -> range:
        """Iterations in which the exposures' wavefronts are measured anew."""
        return range(min(self.retrieved_at), self.n_iterations if self.follow_wavefront else 0)

    @property
    def refresh_at(self) -> list[int]:
        """Iterations in which neighbors and sky are measured again."""
        last = self.n_iterations - self.n_fitted
        plan = {2, 4, self.n_global, self.n_global + 1 + (last - self.n_global) // 2, last}
        return sorted(p for p in plan if 0 < p < self.n_iterations) or [1]

    @property
    def opening(self) -> dict:
        """Parameters that choose an exposure's bright stars."""
        names = ("min_sn", "isolation", "max_stars", "mesh")
        return {name: getattr(self, name) for name in names}
