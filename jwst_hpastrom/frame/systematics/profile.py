"""Position errors against the distance from the middle of the field."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Profile"]


@dataclass(frozen=True, eq=False)
class Profile:
    """Position errors against the distance from the middle of the field, master pixels.

    Attributes
    ----------
    center : ndarray, shape (2,)
        Middle of the field.

    radius : ndarray, shape (n,)
        Distances, rising.

    error : ndarray, shape (2, n)
        Standard errors at these distances.
    """

    center: np.ndarray
    radius: np.ndarray
    error: np.ndarray

    @classmethod
    def zero(cls):
        return cls(np.zeros(2), np.zeros(1), np.zeros((2, 1)))

    @classmethod
    def of(cls, x, y, variance):
        """Mean of variances (n, 2) in rings of equal numbers of stars; negative ones count as zero."""
        center = np.array([np.mean(x), np.mean(y)])
        r = np.hypot(x - center[0], y - center[1])
        rings = np.array_split(np.argsort(r), max(1, min(10, r.size // 100)))
        error = np.sqrt(np.maximum([variance[k].mean(axis=0) for k in rings], 0.0)).T
        return cls(center, np.array([np.median(r[k]) for k in rings]), error)

    def at(self, x, y):
        """Errors of stars at (x, y), shape (2, n)."""
        r = np.hypot(x - self.center[0], y - self.center[1])
        return np.stack([np.interp(r, self.radius, e) for e in self.error])
