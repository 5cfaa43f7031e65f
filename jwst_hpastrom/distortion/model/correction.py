"""The distortion correction: polynomial, look-up table and pixel map of the raw position, added."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jwst_hpastrom import plot
from jwst_hpastrom._display import Displayed
from jwst_hpastrom.distortion.model._kernels import Correction
from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.model.parts import (
    NO_PIXELS,
    NO_POLYNOMIAL,
    NO_TABLE,
    Part,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
)
from jwst_hpastrom.distortion.model.standard_models import standard_model
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import Mapping
from jwst_hpastrom.instrument import FRAME

__all__ = ["DistortionCorrection", "pixel_area_magnitude"]


@dataclass(frozen=True, eq=False)
class DistortionCorrection(Displayed, Part):
    """raw + δ_polynomial(raw) + δ_table(raw) + δ_pixels(raw) (Methods §2).

    Outside the detector the polynomial goes on, table and pixel map keep the values of their edges.

    Parameters
    ----------
    polynomial : `PolynomialCorrection`, optional
    table : `TableCorrection`, optional
    pixel_map : `PixelMapCorrection`, optional
    uncertainty : `ErrorModel`, optional
        Standard errors of the sum and their reach over the detector.
    shape : tuple of int
        Detector (ny, nx).

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
    >>> correction = DistortionCorrection(PolynomialCorrection(1, np.array([0.5, 0.0]), np.array([0.0, 0.5])))
    >>> correction
    <DistortionCorrection of 2048 x 2048 pixels: degree 1, polynomial>
    >>> [float(v) for v in correction.forward(2047.0, 1023.0)]
    [2047.5, 1023.0]
    """

    polynomial: PolynomialCorrection | None = None
    table: TableCorrection | None = None
    pixel_map: PixelMapCorrection | None = None
    uncertainty: ErrorModel | None = None
    shape: tuple = FRAME

    def __repr__(self):
        found = [n for n in ("polynomial", "table", "pixel_map") if getattr(self, n) is not None]
        parts = f"degree {self.polynomial.degree}, " if self.polynomial is not None else ""
        return (
            f"<{type(self).__name__} of {self.shape[1]} x {self.shape[0]} pixels: {parts}"
            f"{' + '.join(found) or 'nothing'}{', with errors' if self.uncertainty is not None else ''}>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the correction, see `jwst_hpastrom.plot.distortion_arrows`."""
        return plot.distortion_arrows(self, ax)

    def __post_init__(self):
        for part in (self.table, self.pixel_map):
            shape = None if part is None else part.shape if part is self.table else np.shape(part.data)[:2]
            if shape is not None and tuple(shape) != tuple(self.shape):
                raise ParameterError(f"a part for a detector of {shape} pixels", f"{self.shape}")
        object.__setattr__(self, "_kept", None)

    def __getstate__(self):
        return {**self.__dict__, "_kept": None}

    def _bundle(self):
        if self._kept is None:
            parts = (self.polynomial, NO_POLYNOMIAL), (self.table, NO_TABLE), (self.pixel_map, NO_PIXELS)
            bundles = (none if part is None else part._own_bundle() for part, none in parts)
            object.__setattr__(self, "_kept", Correction(*bundles))
        return self._kept

    @property
    def parts(self) -> list[PolynomialCorrection | TableCorrection | PixelMapCorrection]:
        """The parts that are there."""
        return [p for p in (self.polynomial, self.table, self.pixel_map) if p is not None]

    def without_errors(self) -> "DistortionCorrection":
        """Return the same without its errors: a third of the bytes, for who needs the positions only."""
        bare = self.pixel_map and PixelMapCorrection(self.pixel_map.data)
        return replace(self, pixel_map=bare, uncertainty=None)

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Return ∂corrected/∂raw: analytic for the polynomial, the mean over the pixel for the tables."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        fine = DistortionCorrection(table=self.table, pixel_map=self.pixel_map, shape=self.shape)
        if self.polynomial is None:
            return Mapping.jacobian(fine, x, y)
        out = self.polynomial.jacobian(x, y)
        if len(self.parts) > 1:
            out = out + Mapping.jacobian(fine, x, y) - np.eye(2)
        return out

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard errors of the corrected position, a six-parameter transformation being free.

        Without an error model: where there is a pixel map, it has measured what the other parts left over,
        so its error is that of the sum; otherwise the parts' errors add in quadrature.
        """
        if self.uncertainty is not None:
            return self.uncertainty.error(x, y)
        parts = [self.pixel_map] if self.pixel_map is not None else self.parts
        ex, ey = np.zeros(np.broadcast(x, y).shape), np.zeros(np.broadcast(x, y).shape)
        for part in parts:
            a, b = part.error(x, y)
            ex, ey = ex + a**2, ey + b**2
        return np.sqrt(ex), np.sqrt(ey)

    def mean_error(
        self,
        x: np.ndarray,
        y: np.ndarray,
        group: np.ndarray,
        n_groups: int,
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard errors of the correction's means over groups of raw positions.

        See `~jwst_hpastrom.geometry.Mapping.mean_error`; with an error model the errors of a group's
        positions correlate by their distance, without one they are one and the same.
        """
        if self.uncertainty is not None:
            return self.uncertainty.mean_error(x, y, group, n_groups, weights)
        return super().mean_error(x, y, group, n_groups, weights)

    def to_astropy(self) -> Any:
        """Return raw -> corrected as standard models; its inverse makes two passes over the same tables."""
        return standard_model(self.polynomial, self.table, self.pixel_map)

    def __eq__(self, other):
        return (
            isinstance(other, DistortionCorrection)
            and self.uncertainty == other.uncertainty
            and tuple(self.shape) == tuple(other.shape)
            and self.polynomial == other.polynomial
            and self.table == other.table
            and self.pixel_map == other.pixel_map
        )

    __hash__ = None  # type: ignore[assignment]


def pixel_area_magnitude(
    correction: Mapping, x: ArrayLike, y: ArrayLike, *, center: tuple[float, ...] | None = None
) -> np.ndarray:
    """Magnitude to add to one measured on surface brightness: ``-2.5 log10(|J| / |J_center|)``.

    Parameters
    ----------
    correction : `~jwst_hpastrom.geometry.Mapping`
        Raw to corrected.

    x, y : float or ndarray
        Raw positions.

    center : tuple of float, optional
        Position of zero correction; by default the polynomial's center, (1023, 1023).

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import pixel_area_magnitude
    >>> from jwst_hpastrom.geometry import IdentityMapping
    >>> pixel_area_magnitude(IdentityMapping(), np.array([10.0]), np.array([20.0])).round(6) + 0.0
    array([0.])
    """
    if center is None:
        polynomial = getattr(correction, "polynomial", None)
        center = (1023.0, 1023.0) if polynomial is None else tuple(polynomial.center)
    # at the center the smooth part counts: the reference must not carry one pixel's noise
    smooth = correction
    if isinstance(correction, DistortionCorrection) and correction.polynomial is not None:
        smooth = correction.polynomial
    at_center = abs(np.linalg.det(smooth.jacobian(*center)))
    return -2.5 * np.log10(np.abs(np.linalg.det(correction.jacobian(x, y))) / at_center)
