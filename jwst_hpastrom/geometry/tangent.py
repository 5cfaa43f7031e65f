"""The tangent plane, and linear motion on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.numerics import robust_sigma

__all__ = ["TangentPlane", "fill_motions", "likely_motions", "propagate", "sky_axes", "sky_middle"]

ARCSEC = 180.0 * 3600.0 / np.pi


def sky_middle(ra: np.ndarray, dec: np.ndarray) -> tuple[float, float]:
    """Middle of positions on the sky, whatever their order, also across 0 h and about a pole.

    Parameters
    ----------
    ra, dec : ndarray
        Degrees; those that are not finite are left out.

    Returns
    -------
    ra, dec : float
        Medians, degrees; the direction of the mean vector where right ascensions span more than 12 h.

    Raises
    ------
    NotEnoughStarsError
        No position is finite.

    Examples
    --------
    >>> from jwst_hpastrom.geometry import sky_middle
    >>> ra, dec = sky_middle([359.9, 0.0, 0.1], [1.0, 1.0, 1.0])
    >>> round(ra, 3) % 360, round(dec, 3)
    (0.0, 1.0)
    """
    ra, dec = (np.asarray(c, float).ravel() for c in (ra, dec))
    ok = np.isfinite(ra + dec)
    if not ok.any():
        raise NotEnoughStarsError(
            f"no position on the sky in {ok.size} rows", "right ascension and declination of at least one"
        )
    ra, dec = ra[ok], dec[ok]
    if np.ptp(ra) <= 180:
        return float(np.median(ra)), float(np.median(dec))
    a, d = np.deg2rad(ra), np.deg2rad(dec)
    x, y, z = (np.mean(v) for v in (np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)))
    return float(np.rad2deg(np.arctan2(y, x)) % 360), float(np.rad2deg(np.arctan2(z, np.hypot(x, y))))


@dataclass(frozen=True)
class TangentPlane:
    """A gnomonic projection about one point, with a pixel grid: North up, East left.

    Parameters
    ----------
    ra, dec : float
        Tangent point, degrees.

    scale_mas : float
        Pixel size, mas.

    x0, y0 : float
        Pixel coordinates of the tangent point.

    Examples
    --------
    >>> from jwst_hpastrom.geometry import TangentPlane
    >>> plane = TangentPlane(80.5, -69.5, scale_mas=50.0)
    >>> x, y = plane.to_pixels(*plane.from_sky(80.5, -69.5))
    >>> round(float(x), 6), round(float(y), 6)
    (10000.0, 10000.0)
    >>> xi, eta = plane.from_sky(80.5, -69.499)
    >>> round(float(eta), 4)
    3.6
    """

    ra: float
    dec: float
    scale_mas: float = 50.0
    x0: float = 10000.0
    y0: float = 10000.0

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> "TangentPlane | None":
        """Read the plane that `to_meta` wrote; None where the metadata lack it."""
        try:
            return cls(
                float(meta["ra_tangent"]),
                float(meta["dec_tangent"]),
                float(meta.get("scale_mas", 50.0)),
                float(meta.get("x_tangent", 10000.0)),
                float(meta.get("y_tangent", 10000.0)),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_meta(self) -> dict[str, Any]:
        """Return the plane as table metadata."""
        return {
            "ra_tangent": self.ra,
            "dec_tangent": self.dec,
            "scale_mas": self.scale_mas,
            "x_tangent": self.x0,
            "y_tangent": self.y0,
        }

    def from_sky(self, ra: ArrayLike, dec: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Project sky positions.

        Parameters
        ----------
        ra, dec : float or ndarray
            Degrees.

        Returns
        -------
        xi, eta : ndarray
            Arcseconds to the East and North; NaN on the far hemisphere.
        """
        a, d = np.deg2rad(np.asarray(ra, float) - self.ra), np.deg2rad(dec)
        d0 = np.deg2rad(self.dec)
        cos_c = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a)
        with np.errstate(divide="ignore", invalid="ignore"):
            inv = np.where(cos_c > 0, ARCSEC / cos_c, np.nan)
        xi = np.cos(d) * np.sin(a) * inv
        eta = (np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a)) * inv
        return xi, eta

    def to_sky(self, xi: ArrayLike, eta: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Deproject: the inverse of `from_sky`.

        Returns
        -------
        ra, dec : ndarray
            Degrees, ra in [0, 360).
        """
        x, y = np.asarray(xi, float) / ARCSEC, np.asarray(eta, float) / ARCSEC
        d0 = np.deg2rad(self.dec)
        den = np.cos(d0) - y * np.sin(d0)
        ra = self.ra + np.rad2deg(np.arctan2(x, den))
        dec = np.rad2deg(np.arctan2(np.sin(d0) + y * np.cos(d0), np.hypot(x, den)))
        return ra % 360.0, dec

    def to_pixels(self, xi: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tangent-plane arcseconds to pixels of the grid (x to the West)."""
        f = 1e3 / self.scale_mas
        return self.x0 - np.asarray(xi, float) * f, self.y0 + np.asarray(eta, float) * f

    def from_pixels(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of the grid to tangent-plane arcseconds."""
        f = self.scale_mas / 1e3
        return (self.x0 - np.asarray(x, float)) * f, (np.asarray(y, float) - self.y0) * f


def propagate(
    xi: np.ndarray,
    eta: np.ndarray,
    pmra: np.ndarray,
    pmdec: np.ndarray,
    dt: ArrayLike,
    *,
    errors: tuple[np.ndarray, ...] | None = None,
) -> tuple[np.ndarray, ...]:
    """Move tangent-plane positions along straight lines.

    Parameters
    ----------
    xi, eta : ndarray
        Arcseconds.

    pmra, pmdec : ndarray
        mas/yr; NaN (no known motion) counts as zero.

    dt : float or ndarray
        Years.

    errors : tuple of ndarray, optional
        ``(xi_err, eta_err, pmra_err, pmdec_err)`` in mas and mas/yr.

    Returns
    -------
    xi, eta : ndarray
        Arcseconds; with ``errors``, also their standard errors in mas.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import propagate
    >>> zero, one = np.zeros(1), np.ones(1)
    >>> xi, eta = propagate(zero, zero, 3.6 * one, zero, 10.0)
    >>> xi.round(6)
    array([0.036])
    >>> errors = (3 * one, one, 0.4 * one, zero)
    >>> propagate(zero, zero, one, zero, 10.0, errors=errors)[2].round(6)
    array([5.])
    """
    pmra, pmdec = np.nan_to_num(pmra), np.nan_to_num(pmdec)
    out = (xi + pmra * dt / 1e3, eta + pmdec * dt / 1e3)
    if errors is None:
        return out
    ex, ey, px, py = errors
    return (*out, np.hypot(ex, np.nan_to_num(px) * dt), np.hypot(ey, np.nan_to_num(py) * dt))


def fill_motions(
    pm: tuple[np.ndarray, ...], errors: tuple[np.ndarray, ...], *, fewest: int = 5
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Give stars of unknown motion the mean of the others', with the others' dispersion as error.

    Parameters
    ----------
    pm, errors : tuple of two ndarray
        Motions and standard errors in either axis, mas/yr; NaN where unknown.

    fewest : int
        Known motions that a dispersion needs; with fewer all stay as they are.

    Returns
    -------
    pm, errors : tuple of two ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import fill_motions
    >>> known = np.array([1.0, 1.2, 0.8, 1.1, 0.9, np.nan])
    >>> errors = np.array([0.1, 0.1, 0.1, 0.1, 0.1, np.nan])
    >>> pm, sigma = fill_motions((known, known), (errors, errors))
    >>> pm[0].round(2)
    array([1. , 1.2, 0.8, 1.1, 0.9, 1. ])
    """
    known = np.isfinite(pm[0]) & np.isfinite(pm[1])
    if known.all() or known.sum() < fewest:
        return tuple(pm), tuple(errors)
    out = []
    for v, e in zip(pm, errors, strict=True):
        middle = np.median(v[known])
        # of all but the wildest: few stars' MAD alone is too uncertain
        near = known & (np.abs(v - middle) <= 5 * max(robust_sigma(v[known]), 1e-12))
        spread = np.std(v[near], ddof=1) if near.sum() > 1 else robust_sigma(v[known])
        n = near.sum()
        if n > 3:  # prediction from a sample: Student's distribution
            spread *= np.sqrt((1 + 1 / n) * (n - 1) / (n - 3))
        out.append((np.where(known, v, middle), np.where(known, e, spread)))
    return tuple(v for v, _ in out), tuple(e for _, e in out)


def likely_motions(
    x: np.ndarray,
    y: np.ndarray,
    pm: tuple[np.ndarray, ...],
    errors: tuple[np.ndarray, ...],
    *,
    fewest: int = 50,
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Return motions as likely as errors and all stars' dispersion make them: nearer to where these are.

    The others' mean motion is linear in the place, so that a rotation or an expansion stays; stars that move
    otherwise than the rest (by five dispersions) keep theirs.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Places, in any unit.

    pm, errors : tuple of two ndarray, shape (n,)
        Motions and standard errors in either axis, mas/yr; stars with NaN of either keep both.

    fewest : int
        Stars that a dispersion needs; of fewer all stay as they are.

    Returns
    -------
    pm, errors : tuple of two ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import likely_motions
    >>> rng = np.random.default_rng(1)
    >>> x, y, true = rng.normal(size=(3, 1000))
    >>> measured = true + rng.normal(size=1000)
    >>> pm, sigma = likely_motions(x, y, (measured, measured), (np.ones(1000), np.ones(1000)))
    >>> np.std(pm[0] - true).round(1), sigma[0].mean().round(1)
    (np.float64(0.7), np.float64(0.7))
    """
    out = []
    for v, e in zip(pm, errors, strict=True):
        known = np.isfinite(v) & np.isfinite(e) & np.isfinite(x) & np.isfinite(y)
        new, error = np.array(v, float), np.array(e, float)
        if known.sum() >= fewest:
            k = np.flatnonzero(known)
            mean, variance, like = _moving_alike(x[k], y[k], v[k], e[k])
            k, share = k[like], (variance / (variance + e[k] ** 2))[like]
            new[k] = mean[like] + share * (v[k] - mean[like])
            error[k] *= np.sqrt(share)
        out.append((new, error))
    return tuple(v for v, _ in out), tuple(e for _, e in out)


def _moving_alike(x, y, v, e):
    """Mean motions at places, the variance about them, the errors' taken off, and the stars it is of."""
    at = np.stack([np.ones_like(x), *((c - c.mean()) / max(np.std(c), 1e-30) for c in (x, y))], 1)
    variance, like = robust_sigma(v) ** 2, np.ones(v.size, bool)
    for _ in range(20):
        w = like / np.maximum(variance + e**2, 1e-30)
        normal = at.T @ (w[:, None] * at)
        mean = at @ np.linalg.lstsq(normal, at.T @ (w * v), rcond=None)[0]
        off, w2 = (v - mean) ** 2, w**2
        # its own error at least: a dispersion that is not seen is none that is known to be zero
        variance = max(np.sum(w2 * (off - e**2)) / w2.sum(), np.sqrt(2 / w2.sum()))
        like = off < 25 * (variance + e**2)
    return mean, variance, like


def sky_axes(plane: TangentPlane, xi: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Matrix that turns (µ_α*, µ_δ) at a star into motions on the tangent plane.

    Parameters
    ----------
    plane : `TangentPlane`

    xi, eta : ndarray, shape (n,)
        Arcseconds.

    Returns
    -------
    ndarray, shape (n, 2, 2)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import TangentPlane, sky_axes
    >>> sky_axes(TangentPlane(10.0, 0.0), np.zeros(1), np.zeros(1)).round(6) + 0.0
    array([[[1., 0.],
            [0., 1.]]])
    """
    ra, dec = plane.to_sky(xi, eta)
    h = 0.5 / 3600.0
    east = np.stack(plane.from_sky(ra + h / np.cos(np.deg2rad(dec)), dec), -1)
    west = np.stack(plane.from_sky(ra - h / np.cos(np.deg2rad(dec)), dec), -1)
    north, south = np.stack(plane.from_sky(ra, dec + h), -1), np.stack(plane.from_sky(ra, dec - h), -1)
    return np.stack([east - west, north - south], -1)
