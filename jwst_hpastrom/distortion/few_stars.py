"""A given distortion refined by few reference stars: each term as far as they pay for it."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table
from scipy.special import softmax

from jwst_hpastrom.columns import values
from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.model.parts import PolynomialCorrection
from jwst_hpastrom.distortion.shrunk import averaged, shrunk_fit
from jwst_hpastrom.distortion.solve.iterative import (
    exposure_transforms,
    fix_gauge,
    reference_variance,
    residuals,
)
from jwst_hpastrom.distortion.solve.matching import match_most, used_lists
from jwst_hpastrom.distortion.wrong_references import likely_references
from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry import TangentPlane, fit_linear, polynomial_terms, sky_middle
from jwst_hpastrom.instrument import FALL, WCS_ERROR, shape_of

__all__ = ["RefinedDistortion", "refine_distortion", "wcs_distortion"]

log = logging.getLogger("stpipe.hpastrom.distortion")

#: reference stars below which nothing is refined: a similarity takes two
LEAST = 4
#: times that exposures' own parameters, stars' means and terms, which are not orthogonal, are found in turn
ROUNDS = 3
#: nodes along a side of the detector that the errors are stated on: four for each wave of a fifth degree
NODES = 17
#: probability of a choice of wrong reference stars below which a warning says that nothing tells
UNSURE = 0.4
#: reach of an error of which nothing but its size is known, in detector widths
REACH = 0.15


@dataclass(frozen=True)
class RefinedDistortion:
    """Result of `refine_distortion`.

    Attributes
    ----------
    correction : `DistortionCorrection`
        With terms of all degrees, and their errors.

    degree : int
        The most probable one of the polynomial that was added: 0 none, 1 the two terms that make four
        parameters six, 2 three more an axis, and so on.

    n_stars : int
        Reference stars in common that are more probably good than wrong.

    sure : float
        Probability of the likeliest choice of wrong ones; errors hold what the others say.

    trials : `~astropy.table.Table`
        degree, n_terms, rms (held-out stars' mean residuals, pixels per axis), expected (by their errors),
        probability.

    error : float
        The correction's stated error, RMS over the detector, pixels per axis.

    pairs : `~jwst_hpastrom.distortion.solve.pairs.Pairs`
    """

    correction: DistortionCorrection
    degree: int
    n_stars: int
    sure: float
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

    A polynomial common to the exposures is fitted to what the distortion leaves, beside each exposure's
    own four parameters. Its coefficients fall with the degree as those that a WCS lacks; how large they
    are, and what they do not follow, the stars tell (`~jwst_hpastrom.distortion.shrunk.shrunk_fit`).
    Terms of all degrees are there, as a WCS lacks them all, whatever degree is the most probable one: a
    dozen stars that a low one happens to suit would make errors twice too small. Stars that are not where
    the others put them are left out; where that is not sure, the likely choices are averaged over
    (`~jwst_hpastrom.distortion.wrong_references.likely_references`). The stated errors hold what the
    polynomial does not follow and what the stars leave unknown of it, its linear terms, too: the tie of a
    frame to the same stars does not know better.

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
        ``qfit_max``, ``error_max``, ``match_radius``, ``motion_error`` of
        `~jwst_hpastrom.distortion.match_reference`.

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
        pairs = match_most(
            star_lists, reference, max_shift=max_shift, min_stars=LEAST, held_out=0.0, **kwargs
        )
    except (NoOverlapError, NotEnoughStarsError) as err:
        raise NoOverlapError(
            f"{err.found}, for pointing errors up to {max_shift:g} arcsec", err.needed,
            "if the pointing is off by more, give a larger max_shift", err.file,
        ) from None  # fmt: skip
    problem = _Problem(pairs, base, max_degree, _seen(used_lists(star_lists, pairs)))
    fits = [problem.fit(degree) for degree in range(max_degree + 1)]
    weights = softmax([f.evidence for f in fits])
    coefficients, covariance, structure = problem.over_choices(max_degree)
    expected = float(np.sqrt(np.mean(problem.variance[problem.keep])))
    rms = [float(np.sqrt(np.mean(f.held_out**2))) for f in fits]
    rows = [(d, n_terms(d), rms[d], expected, weights[d]) for d in range(max_degree + 1)]
    trials = Table(rows=rows, names=("degree", "n_terms", "rms", "expected", "probability"))
    for name in ("rms", "expected"):
        trials[name].unit = "pix"
    variance = problem.variances(covariance) + structure
    correction = _with_terms(base, *problem.polynomial(coefficients[4:])) if max_degree else base
    correction = replace(correction, uncertainty=_error_model(variance, base.shape, pairs.metas))
    error = float(np.sqrt(np.mean(variance)))
    n, sure = int(problem.keep.sum()), problem.choices[0].probability
    return RefinedDistortion(correction, int(np.argmax(weights)), n, sure, trials, error, pairs)


def n_terms(degree):
    """Return the terms up to a degree, both axes, beside an exposure's four parameters."""
    return 2 * len(polynomial_terms(degree, 1)) - 2 * (degree > 0)


class _Problem:
    """Mean residuals of few stars over the exposures as a linear problem."""

    def __init__(self, pairs, base, degree, seen):
        transforms = exposure_transforms(pairs, base)
        stars, star = np.unique(pairs.star, return_inverse=True)
        count = np.bincount(star)
        self.center, self.half = _frame(base.shape)
        if base.polynomial is not None:
            self.center, self.half = np.asarray(base.polynomial.center, float), base.polynomial.half_width
        measured = 0.5 * (pairs.x_err**2 + pairs.y_err**2)
        own = reference_variance(pairs)
        own = np.where(np.isfinite(own) & (own > 0), own, 1e-6)
        self.variance = np.bincount(star, own) / count + np.bincount(star, measured) / count**2
        self.degree = degree
        columns = self.columns(pairs.x, pairs.y)
        self.free, self.terms = np.split(_means(columns, star), [4], axis=2)
        x, y = _grid((0, 0), base.shape)
        nodes = self.columns(x, y)
        # the frame's place is that of its tie: errors are those about the mean over what exposures show
        self.nodes = nodes - self.columns(*_grid(*seen)).mean(axis=1, keepdims=True)
        line = np.linalg.qr(np.stack([np.ones(x.size), x, y], 1))[0]
        unit = nodes[:, :, 4:] - line @ (line.T @ nodes[:, :, 4:])
        unit = np.sqrt(0.5 * np.mean(np.sum(unit**2, axis=(0, 2))))
        documented = WCS_ERROR / (1e3 * pairs.pixel_scale)
        self.size, self.least = documented / unit, 1.0
        if base.uncertainty is not None:
            self.least = float(np.sqrt(np.mean(base.uncertainty.variance))) / documented
        self.keep = np.ones(stars.size, bool)
        data, weight = (
            np.stack(residuals(pairs, base, transforms)),
            1 / np.sqrt(measured + np.median(measured)),
        )
        found = np.zeros(n_terms(degree))
        for _ in range(ROUNDS):
            own = _of_exposures(data - columns[:, :, 4:] @ found, columns[:, :, :4], star, pairs, weight)
            self.data = _means(data - own, star)
            found = self.fit(degree).coefficients[4:]
        self.choices = likely_references(
            self.free, self.terms, self.data, self.variance, self.size, self.least
        )
        self.keep = sum(c.probability * c.good for c in self.choices) >= 0.5

    def columns(self, x, y):
        """Columns of an exposure's four parameters, then of the terms, (2, n, 4 + terms)."""
        p, q = (x - self.center[0]) / self.half, (y - self.center[1]) / self.half
        one, none = np.ones(p.size), np.zeros(p.size)
        out = [(one, none), (none, one), (p, q), (-q, p)]
        if self.degree > 0:
            out += [(FALL * p, -FALL * q), (FALL * q, FALL * p)]
        for i, j in polynomial_terms(self.degree, 2):
            term = FALL / (i + j) * p**i * q**j
            out += [(term, none), (none, term)]
        return np.stack([np.stack(c) for c in out], 2)

    def fit(self, degree, keep=None):
        """`Shrunk` with the terms up to a degree, from some stars, by default those that are kept."""
        k = self.keep if keep is None else keep
        return shrunk_fit(
            self.free[:, k], self.terms[:, k, : n_terms(degree)], self.data[:, k], self.variance[k],
            self.size, self.least,
        )  # fmt: skip

    def over_choices(self, degree):
        """Coefficients, covariance and structure over the likely choices; a warning where unsure."""
        sure, n = self.choices[0].probability, int(np.sum(~self.choices[0].good))
        if sure < UNSURE:
            log.warning(
                "distortion: which of %d reference stars are wrong is not sure: the likeliest choice, %d of "
                "them, has a probability of %.0f %%; errors hold that", self.keep.size, n, 100 * sure,
            )  # fmt: skip
        fits = [self.fit(degree, choice.good) for choice in self.choices]
        return averaged(fits, [choice.probability for choice in self.choices])

    def variances(self, covariance):
        """Variances of the parameters' and terms' sum on the nodes, (2, NODES, NODES)."""
        return np.einsum("anj,jk,ank->an", self.nodes, covariance, self.nodes).reshape(2, NODES, NODES)

    def polynomial(self, found):
        """Return the terms as a polynomial: degree, coefficients from the first degree on, frame."""
        terms = list(polynomial_terms(self.degree, 1))
        first = {t: k for k, t in enumerate(terms)}
        a, b = np.zeros(len(terms)), np.zeros(len(terms))
        a[first[1, 0]], b[first[0, 1]] = FALL * found[0], -FALL * found[0]
        a[first[0, 1]], b[first[1, 0]] = FALL * found[1], FALL * found[1]
        for m, (i, j) in enumerate(polynomial_terms(self.degree, 2)):
            a[first[i, j]], b[first[i, j]] = FALL / (i + j) * found[2 + 2 * m : 4 + 2 * m]
        return self.degree, a, b, self.center, self.half


def _grid(first, shape):
    """Places of NODES x NODES nodes over pixels whose first one is at (x, y)."""
    y, x = np.meshgrid(*(np.linspace(0, n - 1, NODES) for n in shape), indexing="ij")
    return x.ravel() + first[0], y.ravel() + first[1]


def _seen(star_lists):
    """First pixel (x, y), and shape of the part of the detector that exposures show, as their stars tell."""
    x, y = (
        np.concatenate([values(t, c) + int(t.meta.get(f"{c}start") or 1) - 1 for t in star_lists])
        for c in "xy"
    )
    return (np.nanmin(x), np.nanmin(y)), (np.nanmax(y) - np.nanmin(y) + 1, np.nanmax(x) - np.nanmin(x) + 1)


def _of_exposures(rest, columns, star, pairs, weight):
    """What each exposure's own four parameters make of its stars against their means over all exposures."""
    out = np.zeros(rest.shape)
    for _ in range(ROUNDS):  # stars' means and exposures, of which each has some of the others, in turn
        left = rest - out
        left -= _means(left, star)[:, star]
        for k in pairs.by_exposure:
            of, w = columns[:, k], weight[k]
            own = np.linalg.lstsq((of * w[:, None]).reshape(-1, 4), (left[:, k] * w).ravel(), rcond=None)[0]
            out[:, k] += of @ own
    return out


def _means(values, star):
    """Means over each star's rows, (2, n_stars, ...)."""
    out = np.zeros((2, star.max() + 1, *values.shape[2:]))
    np.add.at(out, (slice(None), star), values)
    return out / np.bincount(star).reshape(-1, *(1,) * (values.ndim - 2))


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


def _error_model(variance, shape, metas):
    """Errors as the reference stars tell them, of a reach that they do not tell."""
    step, m = max(shape) / 64.0, 48
    dy, dx = np.ogrid[:m, -m : m + 1]
    correlation = np.exp(-0.5 * (dy**2 + dx**2) * (step / (REACH * max(shape))) ** 2)
    names = tuple(str(m.get("filename")) for m in metas)
    return ErrorModel(
        np.maximum(variance, 1e-12), correlation, step, tuple(shape), exposures=names, measured=True
    )
