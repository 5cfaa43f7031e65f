"""How large a polynomial pattern is of which some terms are seen with noise, and others not at all."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.geometry import robust_sigma

__all__ = ["Profile", "Spread", "expected_variance"]

#: sizes that are tried, master pixels: from far below any star's error to a pattern that no field has
SIZES = np.geomspace(1e-6, 10.0, 141)
#: part of the stars' own errors that a size is as likely below as above, where nothing is known of it: errors
#: of fields without a pattern are then overstated by a tenth, and understated by as much where one that the
#: residuals cannot tell is as large as the stars' errors
USUAL = 0.25
#: numbers below which a size is not told from them: the tail of its distribution falls as size^-n
FEWEST = 4
#: ratio of likelihoods, no pattern over the best one, above which it is not told from noise
NOISE_LIKE = np.exp(-4.0)
#: probability that a size is not larger than what is called its upper limit
UPPER = 0.95
#: degrees of freedom of a size that is documented: its square is expected to be twice the documented one's
BELIEF = 4.0
#: degrees of freedom that stated errors count for beside residuals
STATED = 10.0


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
    def constant(cls, error):
        """The same error everywhere, of both axes or of each; zero or NaN say."""
        return cls(np.zeros(2), np.zeros(1), np.broadcast_to(np.asarray(error, float), (2,))[:, None].copy())

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


@dataclass(frozen=True, eq=False)
class Spread:
    """What is known of the standard deviation of a pattern's coefficients, which all terms have in common.

    Before anything is seen it is as likely below a scale, part of the stars' own errors, as above it
    (half-Cauchy, as Gelman 2006, Bayesian Analysis 1, 515, advises for a few effects): much larger ones show
    themselves.

    Attributes
    ----------
    weight : ndarray
        Probabilities of `SIZES`.

    numbers : int
        Coefficients that were seen.

    noise_like : bool
        No pattern at all is as good an explanation.
    """

    weight: np.ndarray
    numbers: int = 0
    noise_like: bool = True

    @classmethod
    def unknown(cls, scale):
        """Nothing seen yet; as likely below ``scale`` as above it."""
        weight = SIZES / (1 + (SIZES / scale) ** 2)
        return cls(weight / weight.sum())

    @classmethod
    def believed(cls, scale):
        """Nothing seen yet, but documented to be ``scale``, perhaps a few times that (half-t)."""
        weight = SIZES * (1 + (SIZES / scale) ** 2 / BELIEF) ** (-0.5 * (BELIEF + 1))
        return cls(weight / weight.sum())

    def given(self, found, noise):
        """The spread when coefficients (2, k) were found with independent errors of variance (2, k)."""
        variance = SIZES[:, None] ** 2 + np.ravel(noise)
        log = -0.5 * np.sum(np.ravel(found) ** 2 / variance + np.log(variance), axis=1)
        weight = self.weight * np.exp(log - log.max())
        like = bool(np.exp(log[0] - log.max()) > NOISE_LIKE)
        return Spread(weight / weight.sum(), self.numbers + np.size(found), self.noise_like and like)

    @property
    def told(self):
        """Whether enough was seen."""
        return self.numbers >= FEWEST

    @property
    def square(self):
        """Expected square of a coefficient of which nothing is seen."""
        return float(self.weight @ SIZES**2)

    @property
    def margin(self):
        """Upper limit of that square over its expectation, the larger the noisier the numbers are."""
        upper = np.interp(UPPER, np.cumsum(self.weight), SIZES)
        return max(float(upper**2 / self.square), 1.0)

    def variances(self, terms, found, noise):
        """Expected squares, (n, 2), of the sums of terms (n, k) with the true coefficients of both axes."""
        each = (self.products(f, v) for f, v in zip(found, noise, strict=True))
        return np.stack([np.einsum("nj,jk,nk->n", terms, c, terms) for c in each], 1)

    def products(self, found, noise):
        """Expected products (k, k) of the true coefficients of one axis."""
        shrink = SIZES[:, None] ** 2 / (SIZES[:, None] ** 2 + noise)
        mean = shrink * found
        return (self.weight[:, None] * mean).T @ mean + np.diag(self.weight @ (shrink * noise))


def expected_variance(found, noise, own):
    """Expected variance beyond stated errors, which was found with a normal error and is not negative.

    Before, its root is as likely below a part (`USUAL`) of the stars' own errors as above it.

    Parameters
    ----------
    found, noise : float
        The estimate, and its standard error.

    own : float
        The errors of the means that it counts beside.
    """
    size = np.linspace(max(found - 6 * noise, 0.0) ** 0.5, (max(found, 0.0) + 6 * noise) ** 0.5, 400)
    likelihood = np.exp(-0.5 * ((size**2 - found) ** 2 - min(found, 0.0) ** 2) / noise**2)
    weight = likelihood / (1 + (size / (USUAL * own)) ** 2)
    return float(weight @ size**2 / weight.sum())


def shown_terms(terms, data, noise, taken_out=0):
    """Fit terms to data; in combinations of the terms whose errors are independent.

    Parameters
    ----------
    terms : ndarray, shape (n, k)

    data : ndarray, shape (2, n)

    noise : callable
        (2, n) residuals -> variance of one number of data, of either axis.

    taken_out : int
        Numbers that other parameters took out of the data.

    Returns
    -------
    turn : ndarray, shape (k, k)
        Terms @ turn are the combinations.

    found, variance : ndarray, shape (2, k)

    residuals : ndarray, shape (2, n)
    """
    left, size, right = np.linalg.svd(terms, full_matrices=False)
    size = np.maximum(size, 1e-9 * max(size[0], 1e-300))
    found = (left.T @ data.T).T / size
    residuals = data - (left @ (left.T @ data.T)).T
    return right.T, found, noise(residuals, terms.shape[1] + taken_out)[:, None] / size**2, residuals


def chi2(residuals, taken_out):
    """Mean square of residuals with the degrees of freedom that are left, (2,)."""
    return np.sum(residuals**2, axis=1) / max(residuals.shape[1] - taken_out, 1)


def weighted_noise(residuals, taken_out):
    """Variance of residuals in units of their errors: of few, mostly one."""
    dof = max(residuals.shape[1] - taken_out, 0)
    width = np.array([robust_sigma(r) for r in residuals]) ** 2
    return (dof * width + STATED) / (dof + STATED)
