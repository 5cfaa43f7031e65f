"""Stars of exposures and of a reference: which ones, and the pairs that every solution starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.errors import (
    MixedExposuresError,
)
from jwst_hpastrom.instrument import nominal_scale
from jwst_hpastrom.numerics import rows_by_group

__all__ = ["Pairs", "check_one_filter", "full_frame", "select_stars"]

# not the crowded ones: where a neighbor spoils the position, QFIT says so
_BAD = (
    Flag.SATURATED | Flag.NOT_CONVERGED | Flag.FEW_PIXELS | Flag.COSMIC_RAY | Flag.EXTENDED | Flag.NEAR_EDGE
)

#: a faint star's QFIT over that of noise alone up to which it is clean: QFITs of one error scatter by 15 %;
#: and the fewest clean stars that tell what noise makes
OF_NOISE, FEWEST = 1.5, 20


@dataclass
class Pairs(Displayed):
    """Measured positions and their reference stars; all arrays have shape (n,) unless said.

    Attributes
    ----------
    exposure, star : ndarray of int
        Indices of the exposure and of the reference star.
    x, y, x_err, y_err : ndarray
        Raw full-frame positions, 0-based pixels.
    u, v : ndarray
        Reference positions in the exposure's ideal plane at its epoch, arcsec.
    sigma : ndarray, shape (n_stars, 2)
        Standard errors of the reference positions along xi and eta, arcsec (NaN: unknown).
    rotations : ndarray, shape (n_exposures, 2, 2)
        ∂(ideal)/∂(xi, eta).
    sky : ndarray, shape (n_stars, 2)
        Reference stars on a common tangent plane, arcsec East and North.
    planes : list of `~jwst_hpastrom.distortion.model.ideal.IdealPlane`
    metas : list of dict
    held_out : ndarray of bool, shape (n_stars,)
        Reference stars that no fit may use.
    mag : ndarray
    n_found, shift : list
        Per exposure: pairs found, and the pointing offset that was taken out, arcsec.
    motion : float
        Dispersion of what is not known of the stars' proper motions, per axis, arcsec/yr: they are unknowns
        where the exposures are of several epochs; 0: the stars move as the catalog says, or not at all.
    """

    exposure: np.ndarray
    star: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    u: np.ndarray
    v: np.ndarray
    sigma: np.ndarray
    rotations: np.ndarray
    sky: np.ndarray
    planes: list
    metas: list
    held_out: np.ndarray
    mag: np.ndarray
    n_found: list
    shift: list
    motion: float = 0.0

    @property
    def years(self) -> np.ndarray:
        """Times of the exposures from their mean; zeros where one is not known."""
        epochs = [m.get("epoch") for m in self.metas]
        if not epochs or any(t is None for t in epochs):
            return np.zeros(len(self.metas))
        return np.asarray(epochs, float) - np.mean(np.asarray(epochs, float))

    @property
    def fitted(self) -> np.ndarray:
        """Pairs that fits may use."""
        return ~self.held_out[self.star]

    @cached_property
    def by_exposure(self) -> list[np.ndarray]:
        """Indices of the pairs of each exposure."""
        return rows_by_group(self.exposure, len(self.planes))

    @cached_property
    def pixel_scale(self) -> float:
        """Nominal arcsec per pixel of the detector; without a row, as the positions have it."""
        known = nominal_scale(self.metas[0]) if self.metas else None
        ratio = np.hypot(np.std(self.u), np.std(self.v)) / np.hypot(np.std(self.x), np.std(self.y))
        return float(known or ratio)

    def __len__(self):
        return self.x.size


def check_one_filter(star_lists: Sequence[Table]) -> None:
    """Raise `MixedExposuresError` unless all lists are of one instrument, detector and filter.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.distortion import check_one_filter
    >>> check_one_filter([Table(meta={"detector": "NIS", "filter": "F090W"})])
    """
    do = "solve each filter by itself; give the others' star lists to the pixel map"
    MixedExposuresError.unless_same([t.meta for t in star_lists], "instrument", "detector", "filter", do=do)


def select_stars(table: Table, *, qfit_max: float = 0.1, error_max: float = 0.05) -> np.ndarray:
    """Return which stars of a list are well measured: QFIT, flags, position errors.

    A faint star's QFIT may be larger where its noise makes it so: `OF_NOISE` times what the other stars' is
    in terms of their errors.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Star list.

    qfit_max : float
        Largest QFIT (L23: 0.1) of stars whose noise adds less.

    error_max : float
        Largest position error per axis, pixels.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.distortion import select_stars
    >>> table = Table({"x": [10.0, 20.0], "y": [5.0, 6.0], "qfit": [0.02, 0.3], "flags": [0, 0]})
    >>> table["x_err"] = table["y_err"] = 0.01
    >>> select_stars(table)
    array([ True, False])
    """
    good = np.isfinite(table["x"]) & np.isfinite(table["y"])
    if "flags" in table.colnames:
        good &= (np.asarray(table["flags"], int) & int(_BAD)) == 0
    error = np.zeros(good.size)
    for c in ("x_err", "y_err"):
        if c in table.colnames:
            e = np.asarray(table[c], float)
            good &= (e > 0) & (e <= error_max)
            error = np.maximum(error, e)
    if "qfit" in table.colnames:
        qfit = np.asarray(table["qfit"], float)
        good &= qfit < np.maximum(qfit_max, _of_noise(qfit, error, good & (qfit < qfit_max)))
    return good


def _of_noise(qfit, error, clean):
    """Largest QFIT that noise makes of these position errors (n,): clean stars' own, the fainter half's."""
    clean = clean & (error > 0)
    if clean.sum() < FEWEST:
        return np.zeros(qfit.size)
    faint = clean & (error >= np.median(error[clean]))
    return OF_NOISE * np.median(qfit[faint] / error[faint]) * error


def full_frame(table):
    """Positions of a star list on the full frame, 0-based pixels."""
    m = table.meta
    return (
        values(table, "x") + int(m.get("xstart") or 1) - 1,
        values(table, "y") + int(m.get("ystart") or 1) - 1,
    )
