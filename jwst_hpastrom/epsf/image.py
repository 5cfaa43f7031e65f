"""One exposure's pixels, as the ePSF package takes them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.units import Unit

from jwst_hpastrom import plot
from jwst_hpastrom._display import Displayed

__all__ = ["Image", "boxes", "bright_boxes"]


def boxes(x, y, half, shape):
    """Pixels of the box around each position.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions, 0-based pixels; NaN is nowhere.

    half : int
        The boxes have 2 half + 1 pixels a side.

    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    j, i : ndarray of int, shapes (n, 2 half + 1, 1) and (n, 1, 2 half + 1)
        Rows and columns: ``image[j, i]`` are the boxes. Those beyond the border are moved to it.

    inside : ndarray of bool, shape (n,)
        Boxes that are where they were asked for.
    """
    i, j = (np.rint(np.nan_to_num(p, nan=-1e6)).astype(int) for p in (x, y))
    inside = (i >= half) & (j >= half) & (i < shape[1] - half) & (j < shape[0] - half)
    offset = np.arange(-half, half + 1)
    j, i = (
        np.clip(np.clip(c, half, n - 1 - half)[:, None] + offset, 0, n - 1)
        for c, n in zip((j, i), shape, strict=True)
    )
    return j[:, :, None], i[:, None, :], inside


def bright_boxes(weight, x, y, flux, peak, half, least):
    """Pixels of the boxes around bright stars that lack none of them.

    Parameters
    ----------
    weight : ndarray, shape (ny, nx)
        Inverse variances, 0 for pixels that do not count.

    x, y, flux : ndarray, shape (n,)
        Positions, 0-based pixels, and fluxes; NaN is no star.

    peak : float
        Share of a star's light in its central pixel.

    half : int
        As in `boxes`.

    least : float
        Signal-to-noise ratio of the central pixel above which a star is bright.

    Returns
    -------
    rows : ndarray of int, shape (m,)
        The stars, brightest first.

    j, i : ndarray of int, shapes (m, 2 half + 1, 1) and (m, 1, 2 half + 1)
        As of `boxes`.
    """
    j, i, inside = boxes(x, y, half, weight.shape)
    rows = np.flatnonzero(inside & (flux > 0) & np.isfinite(flux))
    rows = rows[flux[rows] * peak * np.sqrt(weight[j[rows, half, 0], i[rows, 0, half]]) > least]
    rows = rows[np.argsort(-flux[rows], kind="stable")]
    rows = rows[(weight[j[rows], i[rows]] > 0).all((1, 2))]
    return rows, j[rows], i[rows]


@dataclass(frozen=True, eq=False)
class Image(Displayed):
    """Pixels of one exposure.

    Parameters
    ----------
    data, err : ndarray, shape (ny, nx)
        Surface brightness and its standard error, in one unit.

    bad : ndarray of bool, shape (ny, nx)
        Pixels without weight, those of saturated cores excepted.

    saturated : ndarray of bool, shape (ny, nx)
        Pixels that saturation left without a value (never used in a fit either). A pixel that saturated in
        late groups only has a slope, and is neither.

    name : str
        Name for messages.

    charge : float or ndarray, shape (ny, nx), optional
        Charge at the end of a ramp, DN per unit of data; where groups were left out (saturation, charge
        migration), at the end of those used. Needed to undo the brighter-fatter effect.

    unit : str
        Of ``data`` and ``err``; star lists state it.

    origin : (int, int), optional
        Pixel of the full detector, x and y, 0-based, that is the first one here; that of an exposure's
        subarray. Not known: the first.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import Image
    >>> none = np.zeros((20, 30), bool)
    >>> Image(np.ones(none.shape), np.ones(none.shape), none, none, "a_cal.fits")
    <Image a_cal.fits: 30 x 20 pixels, 100.0 % with weight>
    """

    data: np.ndarray
    err: np.ndarray
    bad: np.ndarray
    saturated: np.ndarray
    name: str = ""
    charge: float | np.ndarray | None = None
    unit: str = "MJy/sr"
    origin: tuple[int, int] | None = None

    def __repr__(self):
        ny, nx = self.shape
        share = f"{100 * np.mean(self.good):.1f} % with weight"
        return f"<{type(self).__name__} {self.name}: {nx} x {ny} pixels, {share}>"

    def plot(self, stars: Any = None, ax: Any = None) -> Any:
        """Draw the pixels, see `jwst_hpastrom.plot.image`."""
        return plot.image(self, stars, ax)

    @property
    def shape(self) -> tuple[int, ...]:
        """(ny, nx)."""
        return self.data.shape

    @property
    def good(self) -> np.ndarray:
        """Pixels with weight."""
        return ~(self.bad | self.saturated)

    def with_data(self, data: np.ndarray) -> "Image":
        """Return the image with other data, of which the charge is not known."""
        return replace(self, data=data, charge=None)

    def local(self, library: Any) -> Any:
        """Return an ePSF library of the full detector with its field positions in this image's pixels."""
        x0, y0 = self.origin or (0, 0)
        return library.shifted(-x0, -y0)

    def stated(self, table: Table) -> Table:
        """Give a star list's fluxes and skies the image's unit, and return it."""
        for name in ("flux", "flux_err", "sky", "sky_err"):
            table[name].unit = Unit(self.unit, parse_strict="silent")
        return table
