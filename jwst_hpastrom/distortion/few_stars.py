"""A given distortion refined by few reference stars: as many terms as they pay for, by held-out stars."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.model.parts import PolynomialCorrection
from jwst_hpastrom.distortion.solve.iterative import (
    exposure_transforms,
    fix_gauge,
    reference_variance,
    residuals,
)
from jwst_hpastrom.distortion.solve.pairs import match_reference
from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry import TangentPlane, fit_linear, polynomial_terms, sky_middle
from jwst_hpastrom.instrument import shape_of
from jwst_hpastrom.numerics import sigma_about_zero

__all__ = ["RefinedDistortion", "refine_distortion", "wcs_distortion"]

log = logging.getLogger("stpipe.hpastrom.distortion")

#: reference stars below which nothing is refined: a similarity takes two
LEAST = 4
#: stars of which each is held out by itself; beyond it they go in ten groups
SINGLY = 60
#: reach of an error of which nothing but its size is known, in detector widths
REACH = 0.15


@dataclass(frozen=True)
class RefinedDistortion:
    """Result of `refine_distortion`.

    Attributes
    ----------
    correction : `DistortionCorrection`

    degree : int
        Of the polynomial that was added: 0 none, 1 the two terms that make four parameters six, 2 three more
        an axis, and so on.

    n_stars : int
        Reference stars in common.

    trials : `~astropy.table.Table`
        degree, n_terms, rms (held-out stars' mean residuals, pixels per axis), expected (by their errors).

    error : float
        What held-out stars show beyond their own errors, pixels per axis: the correction's stated error.

    pairs : `~jwst_hpastrom.distortion.solve.pairs.Pairs`
    """

    correction: DistortionCorrection
    degree: int
    n_stars: int
    trials: Table
    error: float
    pairs: object

    @property
    def terms(self):
        """What was added, in words: "6 + 3 terms"; empty where nothing."""
        if self.degree == 0:
            return ""
        return " + ".join(["6", *(str(d + 1) for d in range(2, self.degree + 1))]) + " terms"


def wcs_distortion(star_lists):
    """The distortion that the exposures' WCS know, as a polynomial.

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
        With ``x y`` and ``ra dec`` through the WCS; one detector.

    Returns
    -------
    `DistortionCorrection`
        Of degree 5 (3 for fewer than 200 stars), without errors: the WCS states none.
    """
    best = max(star_lists, key=len)
    x, y, ra, dec = (values(best, c) for c in ("x", "y", "ra", "dec"))
    ok = np.isfinite(x + y + ra + dec)
    if ok.sum() < 30:
        raise NotEnoughStarsError(f"{ok.sum()} stars with positions on the sky", "30 to sample the WCS")
    x, y = x[ok] + int(best.meta.get("xstart") or 1) - 1, y[ok] + int(best.meta.get("ystart") or 1) - 1
    xi, eta = TangentPlane(*sky_middle(ra[ok], dec[ok])).from_sky(ra[ok], dec[ok])
    u, v = fit_linear(xi, eta, x, y, parameters=4, sigma=None).transform.forward(xi, eta)
    shape = shape_of(best.meta)
    center, half = _frame(shape)
    degree = 5 if ok.sum() >= 200 else 3
    p, q = (x - center[0]) / half, (y - center[1]) / half
    design = np.stack([p**i * q**j for i, j in polynomial_terms(degree)], 1)
    a, b = (np.linalg.lstsq(design, d, rcond=None)[0][1:] for d in (u - x, v - y))
    a, b = fix_gauge(a, b, "center")
    return DistortionCorrection(PolynomialCorrection(degree, a, b, center, half), shape=shape)


def _frame(shape):
    return np.array([shape[1] / 2 - 1.0, shape[0] / 2 - 1.0]), max(shape) / 2.0


def refine_distortion(star_lists, reference, base=None, *, max_degree=5, max_shift=10.0, **kwargs):
    """Add to a distortion what the reference stars can tell of it.

    A polynomial common to the exposures is fitted to what the distortion leaves, beside each exposure's own
    four parameters. Its degree is the one up to which stars that are held out of the fit come out better by
    more than a standard error of the difference.

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
        Of one detector and filter, with ``ra dec`` through the exposures' WCS.

    reference : `~astropy.table.Table`
        Standard catalog.

    base : `DistortionCorrection`, optional
        By default `wcs_distortion`.

    max_degree : int
        Highest degree tried.

    max_shift : float
        Largest pointing error, arcsec.

    **kwargs
        ``qfit_max``, ``error_max``, ``match_radius``, ``motion_error`` of `match_reference`.

    Returns
    -------
    `RefinedDistortion`

    Raises
    ------
    NoOverlapError
        No stars in common.

    Examples
    --------
    ::

        refined = refine_distortion(lists, gaia, read_distortion("other_date_distortion.asdf"))
        print(refined.n_stars, refined.terms, refined.error)
    """
    base = wcs_distortion(star_lists) if base is None else base
    try:
        pairs = match_reference(
            star_lists, reference, max_shift=max_shift, min_stars=LEAST, held_out=0.0, **kwargs
        )
    except (NoOverlapError, NotEnoughStarsError) as err:
        raise NoOverlapError(
            f"{err.found}, for pointing errors up to {max_shift:g} arcsec", err.needed,
            "if the pointing is off by more, give a larger max_shift", err.file,
        ) from None  # fmt: skip
    problem = _Problem(pairs, base)
    scores, rows = [], []
    for degree in range(max_degree + 1):
        if problem.n_stars < problem.least_stars(degree):
            break
        held = problem.held_out(degree)
        scores.append(np.sum(held**2 / problem.variance[:, None], axis=1))
        expected = np.sqrt(np.mean(problem.variance))
        rows.append(
            (degree, problem.n_terms(degree), float(np.sqrt(np.mean(problem.clip(held) ** 2))), expected)
        )
    trials = Table(rows=rows, names=("degree", "n_terms", "rms", "expected"))
    for name in ("rms", "expected"):
        trials[name].unit = "pix"
    degree = _choose(scores)
    error = _excess(problem, degree)
    correction = _with_terms(base, *problem.polynomial(degree)) if degree else base
    return RefinedDistortion(
        _with_error(correction, base, error), degree, problem.n_stars, trials, error, pairs
    )


class _Problem:
    """Residuals of few stars in several exposures as one linear problem."""

    def __init__(self, pairs, base):
        self.pairs, self.base = pairs, base
        transforms = exposure_transforms(pairs, base)
        dx, dy = residuals(pairs, base, transforms)
        self.stars, self.star = np.unique(pairs.star, return_inverse=True)
        self.center, self.half = _frame(base.shape)
        if base.polynomial is not None:
            self.center, self.half = np.asarray(base.polynomial.center, float), base.polynomial.half_width
        self.p, self.q = (pairs.x - self.center[0]) / self.half, (pairs.y - self.center[1]) / self.half
        self.count = np.bincount(self.star)
        measured = 0.5 * (pairs.x_err**2 + pairs.y_err**2)
        own = reference_variance(pairs)
        own = np.where(np.isfinite(own) & (own > 0), own, 1e-6)
        # one star's error in the catalog repeats in all exposures: each gets its share of one weight
        self.sigma2 = own * self.count[self.star] + measured
        self.variance = (
            np.bincount(self.star, own) / self.count + np.bincount(self.star, measured) / self.count**2
        )
        self.data = np.stack([dx, dy])
        self.keep = self._clean()

    @property
    def n_stars(self):
        return self.stars.size

    @staticmethod
    def n_terms(degree):
        return 0 if degree < 1 else 2 + sum(2 * (d + 1) for d in range(2, degree + 1))

    def least_stars(self, degree):
        """Each star gives two numbers; the exposures' offsets, scale and turn take four of them."""
        return max(LEAST, int(np.ceil((4 + self.n_terms(degree)) / 2 * 1.5)))

    def design(self, degree):
        """Rows of x, then of y; columns: exposures' four parameters, then the common terms."""
        e, n, p, q = self.pairs.exposure, len(self.pairs), self.p, self.q
        k = len(self.pairs.planes)
        out = np.zeros((2 * n, 4 * k + self.n_terms(degree)))
        row = np.arange(n)
        out[row, 4 * e], out[n + row, 4 * e + 1] = 1.0, 1.0
        out[row, 4 * e + 2], out[n + row, 4 * e + 2] = p, q
        out[row, 4 * e + 3], out[n + row, 4 * e + 3] = -q, p
        if degree >= 1:
            c = 4 * k
            out[:n, c], out[n:, c], out[:n, c + 1], out[n:, c + 1] = p, -q, q, p
            for m, (i, j) in enumerate(t for t in polynomial_terms(degree, 2)):
                out[:n, c + 2 + 2 * m] = out[n:, c + 3 + 2 * m] = p**i * q**j
        return out

    def solve(self, degree, use):
        """Parameters from the pairs of some stars."""
        both = np.r_[use, use]
        w = np.sqrt(np.r_[1 / self.sigma2, 1 / self.sigma2][both])
        design = self.design(degree)[both] * w[:, None]
        return np.linalg.lstsq(design, self.data.ravel()[both] * w, rcond=None)[0]

    def _clean(self):
        """Stars that are not far off even where the others put them with the fewest terms."""
        use = np.ones(len(self.pairs), bool)
        for _ in range(3):
            rest = self.data.ravel() - self.design(0) @ self.solve(0, use)
            mean = self.star_means(rest)
            off = mean - np.median(mean, axis=0)
            good = np.all(np.abs(off) < 5 * (sigma_about_zero(off, axis=0) + 1e-9), axis=1)
            use = good[self.star]
        return use

    def star_means(self, rest):
        """Mean residuals (n_stars, 2)."""
        return np.stack([np.bincount(self.star, r) / self.count for r in rest.reshape(2, -1)], 1)

    def held_out(self, degree):
        """Mean residuals of each star in fits without it; NaN of outliers."""
        rng = np.random.default_rng(0)
        groups = np.arange(self.n_stars)
        if self.n_stars > SINGLY:
            groups = rng.permutation(self.n_stars) % 10
        design, out = self.design(degree), np.full((self.n_stars, 2), np.nan)
        for g in np.unique(groups):
            without = groups != g
            theta = self.solve(degree, self.keep & without[self.star])
            mean = self.star_means(self.data.ravel() - design @ theta)
            out[~without] = mean[~without]
        kept = np.bincount(self.star, self.keep) > 0
        out[~kept] = np.nan
        return out

    def clip(self, held):
        """Finite ones within five sigma of the rest."""
        good = np.isfinite(held).all(1)
        spread = sigma_about_zero(held[good], axis=0) + 1e-12
        good &= np.all(np.abs(held) < 5 * spread, axis=1)
        return held[good]

    def polynomial(self, degree):
        """Common terms as coefficients of x and y in the order of ``polynomial_terms(degree, 1)``."""
        theta = self.solve(degree, self.keep)[4 * len(self.pairs.planes) :]
        terms = list(polynomial_terms(degree, 1))
        a, b = np.zeros(len(terms)), np.zeros(len(terms))
        first = {t: k for k, t in enumerate(terms)}
        a[first[1, 0]], b[first[0, 1]] = theta[0], -theta[0]
        a[first[0, 1]], b[first[1, 0]] = theta[1], theta[1]
        for m, t in enumerate(polynomial_terms(degree, 2)):
            a[first[t]], b[first[t]] = theta[2 + 2 * m], theta[3 + 2 * m]
        return degree, a, b, self.center, self.half


def _choose(scores):
    """Highest degree that improves on all lower ones by more than a standard error of the difference."""
    chosen = 0
    for degree in range(1, len(scores)):
        gain = scores[chosen] - scores[degree]
        gain = gain[np.isfinite(gain)]
        limit = np.quantile(np.abs(gain), 0.9) if gain.size >= 10 else np.inf
        gain = np.clip(gain, -limit, limit)
        if gain.size > 2 and gain.mean() > gain.std(ddof=1) / np.sqrt(gain.size):
            chosen = degree
    return chosen


def _excess(problem, degree):
    """What held-out stars scatter beyond their own and the measurements' errors, pixels per axis."""
    held = problem.held_out(degree)
    good = np.isfinite(held).all(1)
    clipped = problem.clip(held)
    if len(clipped) < 3:
        return float(np.sqrt(np.mean(problem.variance)))
    return float(np.sqrt(max(np.mean(clipped**2) - np.mean(problem.variance[good]), 0.0)))


def _with_terms(base, degree, a, b, center, half):
    """The correction with a polynomial added."""
    own = base.polynomial
    if own is None:
        return replace(
            base, polynomial=PolynomialCorrection(degree, *fix_gauge(a, b, "center"), center, half)
        )
    high = max(degree, own.degree)
    at = {t: k for k, t in enumerate(polynomial_terms(high, 1))}
    sums = np.zeros((2, len(at)))
    for d, parts in ((degree, (a, b)), (own.degree, (own.a, own.b))):
        rows = [at[t] for t in polynomial_terms(d, 1)]
        for k, part in enumerate(parts):
            sums[k, rows] += part
    return replace(
        base, polynomial=PolynomialCorrection(high, *fix_gauge(*sums, "center"), own.center, own.half_width)
    )


def _with_error(correction, base, error):
    """The correction with the error that the held-out stars show, where it is more than the stated one."""
    shape, stated = correction.shape, base.uncertainty
    step = max(shape) / 64.0
    m = 48
    if stated is not None:
        more = error**2 - float(np.mean(stated.variance))
        return correction if more <= 0 else replace(
            correction, uncertainty=stated.with_structure(more, REACH * max(shape))
        )  # fmt: skip
    dy, dx = np.ogrid[:m, -m : m + 1]
    correlation = np.exp(-0.5 * (dy**2 + dx**2) * (step / (REACH * max(shape))) ** 2)
    variance = np.full((2, 3, 3), max(error, 1e-6) ** 2)
    return replace(correction, uncertainty=ErrorModel(variance, correlation, step, tuple(shape)))
