"""The mapping contract: everything that takes positions to positions has this face."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from astropy.modeling.models import Identity
from numpy.typing import ArrayLike

__all__ = ["CompositeMapping", "IdentityMapping", "Mapping"]


class Mapping(ABC):
    """A differentiable, invertible map of the plane.

    Subclasses give `forward` and `to_astropy`, and may replace the general `inverse` (Newton's
    method), `jacobian` (central differences) and `error` (zero) by something better.
    """

    #: step of the numerical Jacobian, in input units
    step = 0.5

    @abstractmethod
    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Map positions.

        Parameters
        ----------
        x, y : float or ndarray
            Input positions, of one shape.

        Returns
        -------
        u, v : ndarray
            Output positions, of the same shape.
        """

    @abstractmethod
    def to_astropy(self) -> None:
        """Return the map as an astropy model of standard parts, with an explicit ``inverse``."""

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Return ∂(u, v)/∂(x, y).

        Parameters
        ----------
        x, y : float or ndarray
            Input positions.

        Returns
        -------
        ndarray, shape (..., 2, 2)
            ``[..., i, j]`` is the derivative of output i by input j.
        """
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        h = self.step
        right, left = self.forward(x + h, y), self.forward(x - h, y)
        up, down = self.forward(x, y + h), self.forward(x, y - h)
        columns = [
            np.stack([(a - b) / (2 * h) for a, b in zip(right, left, strict=True)], -1),
            np.stack([(a - b) / (2 * h) for a, b in zip(up, down, strict=True)], -1),
        ]
        return np.stack(columns, -1)

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard errors of the outputs due to the map itself.

        Parameters
        ----------
        x, y : float or ndarray
            Input positions.

        Returns
        -------
        u_err, v_err : ndarray
        """
        zero = np.zeros(np.broadcast(x, y).shape)
        return zero, zero.copy()

    def mean_error(
        self,
        x: np.ndarray,
        y: np.ndarray,
        group: np.ndarray,
        n_groups: int,
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard errors, due to the map itself, of means of outputs over groups of inputs.

        Parameters
        ----------
        x, y : ndarray, shape (n,)
            Input positions.

        group : ndarray of int, shape (n,)
            Group (star) of each position, 0 <= group < n_groups; negative ones are left out.

        n_groups : int

        weights : ndarray, shape (n,) or (2, n), optional
            Weights in the mean, of the two outputs; 1 by default.

        Returns
        -------
        u_err, v_err : ndarray, shape (n_groups,)
            NaN for groups without weight. Where nothing is known of the errors' correlation, those of a
            group are taken as one and the same.
        """
        group = np.asarray(group, np.int64)
        weights = np.broadcast_to(1.0 if weights is None else np.asarray(weights, float), (2, group.size))
        keep = group >= 0
        out = []
        for e, w in zip(self.error(x, y), weights, strict=True):
            total = np.bincount(group[keep], w[keep], n_groups)
            with np.errstate(divide="ignore", invalid="ignore"):
                out.append(np.bincount(group[keep], (w * e)[keep], n_groups) / total)
        return out[0], out[1]

    def inverse(
        self, u: ArrayLike, v: ArrayLike, *, tolerance: float = 1e-7, max_iterations: int = 50
    ) -> tuple[np.ndarray, np.ndarray]:
        """Map outputs back to inputs by Newton's method.

        Parameters
        ----------
        u, v : float or ndarray
            Output positions.

        tolerance : float
            Largest residual, in output units.

        max_iterations : int
            Bound on the number of iterations; positions that have not converged by then are NaN.

        Returns
        -------
        x, y : ndarray
        """
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        x, y = self.starting_point(u, v)
        x, y = np.array(x, float), np.array(y, float)
        jac = np.linalg.inv(self.jacobian(x, y))
        for _ in range(max_iterations):
            a, b = self.forward(x, y)
            a, b = u - a, v - b
            bad = ~(np.hypot(a, b) <= tolerance)
            if not bad.any():
                break
            x = x + jac[..., 0, 0] * a + jac[..., 0, 1] * b
            y = y + jac[..., 1, 0] * a + jac[..., 1, 1] * b
        a, b = self.forward(x, y)
        lost = ~(np.hypot(u - a, v - b) <= max(10 * tolerance, 1e-5))
        return np.where(lost, np.nan, x), np.where(lost, np.nan, y)

    def starting_point(self, u: ArrayLike, v: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """First guess of `inverse`; the outputs themselves where the map is nearly the identity."""
        return u, v  # type: ignore[return-value]

    def __or__(self, other):
        """Apply ``self`` first, then ``other``."""
        return CompositeMapping((self, other))


class IdentityMapping(Mapping):
    """The map that changes nothing.

    Examples
    --------
    >>> from jwst_hpastrom.geometry import IdentityMapping
    >>> IdentityMapping().forward(3.0, 4.0)
    (array(3.), array(4.))
    """

    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        return np.array(x, float), np.array(y, float)

    def inverse(self, u: ArrayLike, v: ArrayLike, **_: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.array(u, float), np.array(v, float)

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        return np.broadcast_to(np.eye(2), (*np.broadcast(x, y).shape, 2, 2)).copy()

    def to_astropy(self) -> Any:
        return Identity(2)

    def __eq__(self, other):
        return isinstance(other, IdentityMapping)

    __hash__ = None  # type: ignore[assignment]


class CompositeMapping(Mapping):
    """Several maps, one after the other.

    Parameters
    ----------
    parts : sequence of `Mapping`
        Applied in order.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import CompositeMapping, LinearTransform
    >>> twice, moved = LinearTransform(matrix=2 * np.eye(2)), LinearTransform(offset=np.array([1.0, 0.0]))
    >>> [float(v) for v in CompositeMapping([twice, moved]).forward(3.0, 4.0)]
    [7.0, 8.0]
    """

    def __init__(self, parts):
        flat = []
        for part in parts:
            flat.extend(part.parts if isinstance(part, CompositeMapping) else [part])
        self.parts = tuple(flat)

    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        for part in self.parts:
            x, y = part.forward(x, y)
        return x, y  # type: ignore[return-value]

    def inverse(self, u: ArrayLike, v: ArrayLike, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        for part in reversed(self.parts):
            u, v = part.inverse(u, v, **kwargs)
        return u, v  # type: ignore[return-value]

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        total: Any = None
        for part in self.parts:
            jac = part.jacobian(x, y)
            total = jac if total is None else jac @ total
            x, y = part.forward(x, y)
        return total

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        var: Any = None
        for part in self.parts:
            own = np.stack([e**2 for e in part.error(x, y)], -1)
            if var is not None:
                own = own + np.einsum("...ij,...j->...i", part.jacobian(x, y) ** 2, var)
            var = own
            x, y = part.forward(x, y)
        return np.sqrt(var[..., 0]), np.sqrt(var[..., 1])

    def to_astropy(self) -> Any:
        models = [part.to_astropy() for part in self.parts]
        model, inverse = models[0], models[-1].inverse
        for m in models[1:]:
            model = model | m
        for m in reversed(models[:-1]):
            inverse = inverse | m.inverse
        model.inverse = inverse
        return model

    def __eq__(self, other):
        return isinstance(other, CompositeMapping) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]
