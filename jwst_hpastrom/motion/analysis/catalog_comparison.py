"""Positions and motions against another list, such as one of masers (H25 §4.2.3)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import row_epochs, values
from jwst_hpastrom.geometry import TangentPlane, match_nearest, sky_middle
from jwst_hpastrom.motion.gaia_frame.frame_quality import FrameBias, common_epoch, frame_bias
from jwst_hpastrom.ranges import in_range

__all__ = ["LinearMotions", "compare_catalogs", "compare_motions_of"]


@dataclass(frozen=True)
class LinearMotions(Displayed):
    """Stars on straight lines, in a plane: East and North of one origin.

    Attributes
    ----------
    position, position_error : ndarray, shape (n, 2)
        mas, at each star's ``epoch``.

    motion, motion_error : ndarray, shape (n, 2)
        mas/yr.

    epoch : ndarray, shape (n,)
        Julian years, where position and motion are uncorrelated.
    """

    position: np.ndarray
    position_error: np.ndarray
    motion: np.ndarray
    motion_error: np.ndarray
    epoch: np.ndarray

    @classmethod
    def on_sky(cls, table: Table, plane: TangentPlane) -> "LinearMotions":
        """From a table with ``ra dec pmra pmdec`` and errors (deg, mas, mas/yr), ``ref_epoch``."""
        xi, eta = plane.from_sky(values(table, "ra"), values(table, "dec"))
        position_error, motion, motion_error = _columns(table, "", "pm", "ra", "dec")
        position = 1e3 * np.stack([xi, eta], -1)
        return cls(position, position_error, motion, motion_error, row_epochs(table))

    @classmethod
    def at_rest(cls, table: Table) -> "LinearMotions":
        """From offsets ``x y`` (arcsec), ``vx vy`` (mas/yr), errors (mas, mas/yr) and ``ref_epoch``."""
        position = 1e3 * np.stack([values(table, "x"), values(table, "y")], -1)
        position_error, motion, motion_error = _columns(table, "", "v", "x", "y")
        return cls(position, position_error, motion, motion_error, row_epochs(table))

    def at(self, epoch: Any) -> np.ndarray:
        """Positions (n, 2) at an epoch or at each star's."""
        return self.position + self.motion * (epoch - self.epoch)[:, None]

    def take(self, rows: Any) -> "LinearMotions":
        """Some of the stars."""
        names = ("position", "position_error", "motion", "motion_error", "epoch")
        return LinearMotions(*(getattr(self, n)[rows] for n in names))

    @property
    def known(self) -> np.ndarray:
        """Stars with all values and positive errors."""
        finite = np.isfinite(np.c_[self.position, self.motion, self.epoch]).all(1)
        with np.errstate(invalid="ignore"):
            return finite & (np.c_[self.position_error, self.motion_error] > 0).all(1)


def _columns(table, position, motion, *axes):
    """Position errors, motions, motion errors, each (n, 2)."""
    names = (
        [f"{position}{a}_error" for a in axes], [f"{motion}{a}" for a in axes],
        [f"{motion}{a}_error" for a in axes],
    )  # fmt: skip
    return tuple(np.stack([values(table, n) for n in pair], -1) for pair in names)


def compare_motions_of(first, second, *, radius_mas=100.0, epoch=2015.5):
    """Match two lists at an epoch and take the weighted mean of their differences (H25 eq. 10-12).

    Parameters
    ----------
    first, second : `LinearMotions`
        In one plane.

    radius_mas : float
        Largest distance at ``epoch``.

    epoch : float
        At which stars are matched; positions are compared at the common epoch of eq. 12.

    Returns
    -------
    i, j : ndarray of int
        Matched rows; of stars without errors none.

    difference, error : ndarray, shape (n, 4)
        First − second: East, North position (mas) at the common epoch; East, North motion (mas/yr).

    bias : `~jwst_hpastrom.motion.gaia_frame.frame_quality.FrameBias`
        None without a match.
    """
    rows = [np.flatnonzero(m.known) for m in (first, second)]
    a, b = first.take(rows[0]), second.take(rows[1])
    i, j, _ = match_nearest(*a.at(epoch).T, *b.at(epoch).T, radius_mas)
    empty = np.empty((0, 4))
    if i.size == 0:
        return i, j, empty, empty, None
    a, b = a.take(i), b.take(j)
    common = common_epoch(a.motion_error, a.epoch, b.motion_error, b.epoch)
    variance = 0.0
    for m in (a, b):
        variance = variance + m.position_error**2 + (m.motion_error * (common - m.epoch)[:, None]) ** 2
    difference = np.c_[a.at(common) - b.at(common), a.motion - b.motion]
    error = np.c_[np.sqrt(variance), np.hypot(a.motion_error, b.motion_error)]
    return rows[0][i], rows[1][j], difference, error, frame_bias(difference, error, common)


@in_range
def compare_catalogs(
    table: Table, other: Any, *, radius_mas: float = 100.0, epoch: float = 2015.5
) -> tuple[np.ndarray, np.ndarray, FrameBias]:
    """Compare motions and positions with another catalog in the same frame.

    Parameters
    ----------
    table, other : `~astropy.table.Table`
        ``ra dec`` (deg), ``ra_error dec_error`` (mas), ``pmra pmdec`` and errors (mas/yr), ``ref_epoch``.

    radius_mas : float
        Largest distance at ``epoch``.

    epoch : float
        At which stars are matched.

    Returns
    -------
    i, j : ndarray of int
        Matched rows.

    bias : `~jwst_hpastrom.motion.gaia_frame.frame_quality.FrameBias`
        table − other, positions at the common epoch (H25 eq. 10-12); None without a match.
    """
    plane = TangentPlane(*sky_middle(table["ra"], table["dec"]))
    lists = (LinearMotions.on_sky(t, plane) for t in (table, other))
    i, j, _, _, bias = compare_motions_of(*lists, radius_mas=radius_mas, epoch=epoch)
    return i, j, bias
