"""What a solution is made with."""

from dataclasses import asdict, dataclass
from typing import Any

from jwst_hpastrom.instrument import FRAME

__all__ = ["Matching", "Model"]


@dataclass(frozen=True)
class Matching:
    """How star lists and reference become pairs; see `~jwst_hpastrom.distortion.match_reference`."""

    qfit_max: float = 0.1
    error_max: float = 0.05
    max_shift: float = 10.0
    match_radius: float = 0.1
    min_stars: int = 50
    held_out: float = 0.2
    motion_error: float = 0.3

    def keywords(self) -> Any:
        """Return them as keyword arguments."""
        return asdict(self)


@dataclass(frozen=True)
class Model:
    """Polynomial and table of a correction; see `~jwst_hpastrom.distortion.solve_distortion`."""

    degree: int = 5
    gauge: str = "center"
    polynomial_cells: int = 20
    table_cells: int = 32
    shape: tuple = FRAME

    def keywords(self) -> Any:
        """Return them as keyword arguments."""
        return asdict(self)
