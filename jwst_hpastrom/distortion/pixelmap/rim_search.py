"""Finding the rims of voids: one after the other, as long as the residuals' evidence is for one more.

The evidence of a rim is the marginal likelihood with its coefficients integrated over their prior, and its
ellipse at the maximum. Circles of some sizes are tried everywhere by convolutions, the best is refined.
"""

import logging
from dataclasses import replace

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import uniform_filter

from jwst_hpastrom.distortion.pixelmap._rim_kernels import refine_rim, rim_evidence
from jwst_hpastrom.distortion.pixelmap.rims import COEFFICIENT, Rim, Unseen, profile
from jwst_hpastrom.numerics.threads import at_once

__all__ = ["find_rims", "least_gain", "noisier_rims"]

log = logging.getLogger("stpipe.hpastrom.distortion")

#: a term of the series needs this gain
TERM_GAIN = 2.0
#: half-axes of the circles that are tried: from what is a few stars wide to a sixth of the detector (L23)
SMALLEST, LARGEST, SIZES = 30.0, 1 / 11.0, 7
#: bins of the convolutions, pixels, and steps of the width's logarithm for them
BIN, WIDTH_STEP = 8, 0.25
#: prior of an ellipse: deviation of half the difference of the half-axes' logarithms; middle and deviation of
#: the width's logarithm, of the half-axes
OVAL, WIDTH, WIDTH_SPREAD = 0.25, -1.2, 0.5
#: false rims that a detector may have, and sets of terms of the series that are tried
FALSE, SETS = 1.0, 8
#: fewest residuals on a rim, most rims, and how many places in a row may fail
FEWEST, MOST, FAILURES = 12, 40, 3
#: share of the strongest rim's evidence that its model's error may leave to be found as others: that of an
#: amplitude of two hundredths
MODEL_ERROR = 5e-4
#: first steps of the refinement
STEPS = np.array([8.0, 8.0, 0.15, 0.15, 0.4, 0.2])
#: spread of the costs at which its simplex ends, most steps, and how far around its residuals are
TOLERANCE, TRIALS, AROUND = 0.01, 200, 1.5
#: first steps in those for rims that were found before
NEARER = 0.4
#: log evidence beyond which there is a rim
SURE = 30.0
#: most places that are tried before the circles' evidence is computed anew, and their share of the best's
AT_ONCE, AS_STRONG = 8, 0.5


def least_gain(shape):
    """Gain in log evidence below which there is no further rim: the logarithm of the number of trials.

    Under noise the evidence of any one ellipse is one in the mean, so that it exceeds a number with at most
    the inverse of that as probability. Ellipses are different trials where their profiles are a standard
    deviation apart: middles, sizes, shapes (half-axes and angle), widths, terms of the series.

    Parameters
    ----------
    shape : tuple of int
        Detector (ny, nx).

    Examples
    --------
    >>> round(least_gain((2048, 2048)), 1)
    15.8
    """
    profile = np.exp(WIDTH)
    largest = max(LARGEST * min(shape), 1.5 * SMALLEST)
    middles_and_sizes = np.prod(shape) * (SMALLEST**-2.0 - largest**-2.0) / 2 / profile**3
    shapes, widths = 2 * np.pi * (OVAL / profile) ** 2, np.sqrt(2 * np.pi) * WIDTH_SPREAD * 2
    return float(np.log(middles_and_sizes * shapes * widths * SETS / FALSE))


class _Search:
    """Residuals, and the rims found so far.

    A star's exposures that are turned against each other mix x and y: the unknowns of both axes are solved
    together, for each rim first those of x, then those of y.
    """

    def __init__(self, x, y, r, weights, shape, rims):
        self.x, self.y, self.weights, self.shape = x, y, weights, shape
        self.trials = least_gain(shape)
        self.diagonal = weights.diagonal
        self.circles = _Circles(x, y, self.diagonal, shape)
        self.target, self.rims, self.terms, self.wide = self.weigh(r), [], [], []
        self.normal, self.right = np.zeros((0, 0)), np.zeros(0)
        for rim in rims:
            self.add(rim.shape, rim.orders)
        self.solve()

    def weigh(self, r):
        """Products of the weights with residuals (2, n)."""
        return (self.weights @ r.ravel()).reshape(r.shape)

    @property
    def unknowns(self):
        """Where each rim's unknowns begin, and where the last one's end."""
        return np.cumsum([0] + [2 * v.shape[1] for _, v in self.terms])

    @property
    def least(self):
        """Gain below which there is no further rim: of noise, or of what the strongest rim leaves."""
        of = zip(self.rims, self.unknowns, self.unknowns[1:], strict=False)
        each = [0.5 * (c := r.coefficients.ravel()) @ self.normal[a:b, a:b] @ c for r, a, b in of]
        return self.trials + MODEL_ERROR * max(each, default=0.0)

    def add(self, shape, orders):
        """Take a rim on."""
        rim = Rim(np.asarray(shape), tuple(orders), None)
        near = np.flatnonzero(rim.near(self.x, self.y))
        values = profile(shape, self.x[near], self.y[near], orders)
        self.rims.append(rim)
        self.terms.append((near, values))

        def of_axis(axis):
            own = np.zeros((2, self.x.size, values.shape[1]))
            own[axis, near] = values
            return self.weights.halves(own.reshape(2 * self.x.size, -1))

        image, wide = map(np.hstack, zip(*at_once(lambda: of_axis(0), lambda: of_axis(1)), strict=True))
        image = image.reshape(2, self.x.size, -1)
        self.wide.append(wide)
        taken = self.weights.taken(wide)
        columns = np.concatenate([
            (v.T @ image[:, k]).reshape(-1, wide.shape[1]) - other.T @ taken
            for (k, v), other in zip(self.terms, self.wide, strict=True)
        ])  # fmt: skip
        old = len(self.right)
        self.normal = np.block([[self.normal, columns[:old]], [columns[:old].T, columns[old:]]])
        self.right = np.append(self.right, (self.target[:, near] @ values).ravel())

    def remove(self, k):
        """Give a rim up."""
        of = np.arange(*self.unknowns[k : k + 2])
        self.normal = np.delete(np.delete(self.normal, of, 0), of, 1)
        self.right = np.delete(self.right, of)
        del self.rims[k], self.terms[k], self.wide[k]

    def solve(self):
        """Find the coefficients of all rims together."""
        found = np.linalg.solve(self.normal + np.eye(len(self.right)) / COEFFICIENT**2, self.right)
        each = np.split(found, self.unknowns[1:-1])
        self.rims = [
            replace(rim, coefficients=c.reshape(2, -1)) for rim, c in zip(self.rims, each, strict=False)
        ]

    def left(self, without=None):
        """Weighed residuals that the rims leave, or those but one."""
        model = np.zeros_like(self.target)
        for k, (near, values) in enumerate(self.terms):
            if k != without:
                model[:, near] += self.rims[k].coefficients @ values.T
        return self.target - self.weigh(model) if model.any() else self.target

    def refined(self, shape, orders, left, width, steps=1.0):
        """The ellipse of the largest evidence near one, its terms, and the gain."""
        # what a simplex is likely to come near to
        reach = AROUND * Rim(shape, orders, None).reach
        near = np.flatnonzero(np.maximum(np.abs(self.x - shape[0]), np.abs(self.y - shape[1])) < reach)
        stars = (self.x[near], self.y[near], left[:, near], self.diagonal[:, near])
        limits = (np.log(0.6 * SMALLEST), np.log(2 * LARGEST * min(self.shape)))
        prior = np.array([OVAL, *width, *limits, COEFFICIENT**2, FEWEST, -self.trials])

        def nearest(angle):
            start = np.where(np.arange(6) == 4, angle, shape)
            return refine_rim(start, steps * STEPS, TOLERANCE, TRIALS, np.array(orders), *stars, prior)

        if abs(shape[3]) < 1e-3:  # a circle, of two directions
            found = at_once(lambda: nearest(0.0), lambda: nearest(np.pi / 2))
            best = min(found, key=lambda v: v[1])
        else:
            best = nearest(shape[4])
        shape, gain = best[0], -best[1]
        before = rim_evidence(shape, np.array(orders), *stars, COEFFICIENT**2)[0]
        for more in (3, 2, 0):
            longer = tuple(sorted({*orders, more}))
            other = rim_evidence(shape, np.array(longer), *stars, COEFFICIENT**2)[0]
            if other > before + TERM_GAIN:
                orders, gain, before = longer, gain + other - before, other
        return shape, orders, gain

    def places(self, left, width, refused):
        """Circles of the largest evidence that do not touch each other, nor have a refused one about them."""
        best, size = self.circles.best(left, width)
        y, x = (BIN * (np.arange(n) + 0.5) - 0.5 for n in best.shape)
        out, free = [], np.ones(best.shape, bool)
        for place in refused:
            free &= np.hypot(x - place[0], y[:, None] - place[1]) >= np.exp(place[2])
        most, least = best.max(), 0.3 * self.least
        while len(out) < AT_ONCE:
            best[~free] = -np.inf
            b, a = np.unravel_index(np.argmax(best), best.shape)
            # beside a strong rim, and along the rows from it, there seem to be others
            if best[b, a] < max(least, AS_STRONG * most):
                break
            out.append(np.array([x[a], y[b], size[b, a], 0.0, 0.0, width]))
            free = np.hypot(x - x[a], y[:, None] - y[b]) >= np.exp(size[b, a]) + np.exp(size)
        return out

    def width(self):
        """Middle and deviation of the logarithm of the profile's width: of the rims, where there are some."""
        if len(self.rims) < 3:
            return WIDTH, WIDTH_SPREAD
        own = np.array([rim.shape[5] for rim in self.rims])
        return float(np.median(own)), float(np.clip(1.5 * np.median(np.abs(own - np.median(own))), 0.15, 0.5))


class _Circles:
    """Log evidence of circles about each bin, by convolutions; what residuals do not change is kept.

    Parameters
    ----------
    x, y, diagonal, shape
        See `find_rims`.
    """

    def __init__(self, x, y, diagonal, shape):
        self.size = tuple(-(-n // BIN) for n in shape)
        at = (
            np.clip(((v + 0.5) / BIN).astype(int), 0, n - 1) for v, n in zip((y, x), self.size, strict=True)
        )
        self.flat = np.ravel_multi_index(tuple(at), self.size)
        self.radii = np.geomspace(SMALLEST, max(LARGEST * min(shape), 1.5 * SMALLEST), SIZES)
        self.weights, self.width, self.known = self._images(diagonal), None, []

    def _images(self, values):
        count = int(np.prod(self.size))
        return [np.bincount(self.flat, v, count).reshape(self.size).astype(np.float32) for v in values]

    def _prepare(self, width):
        """Spectra of the circles' two terms, and what the weights make of them."""
        self.width, half = width, int(np.ceil(self.radii[-1] / BIN * (1 + 2.5 * np.exp(width))))
        self.padded = tuple(next_fast_len(n + half, real=True) for n in self.size)
        y, x = np.meshgrid(*(BIN * n * np.fft.fftfreq(n) for n in self.padded), indexing="ij")
        spectra = [rfft2(v, self.padded) for v in self.weights]
        self.known = []
        for radius in self.radii:
            shape = (0.0, 0.0, np.log(radius), 0.0, 0.0, width)
            c, s = profile(shape, x.ravel(), y.ravel(), (1,)).T.reshape(2, *x.shape).astype(np.float32)
            products = [rfft2(v) for v in (c * c, c * s, s * s)]
            sums = [[COEFFICIENT**2 * self._back(w * v) for v in products] for w in spectra]
            self.known.append((rfft2(c), rfft2(s), products, sums))

    def _back(self, spectrum):
        return irfft2(spectrum, self.padded)[: self.size[0], : self.size[1]]

    def best(self, left, width):
        """Largest evidence over the sizes at each bin, and the logarithm of that size, (ny, nx) each.

        Parameters
        ----------
        left : ndarray, shape (2, n)
            Weighed residuals.
        width : float
            Logarithm of the profile's, taken to the next of some.
        """
        best, size = np.full(self.size, -np.inf), np.zeros(self.size)
        for radius, (gain, _) in zip(self.radii, self._fits(left, width), strict=True):
            size = np.where(gain > best, np.log(radius), size)
            best = np.maximum(gain, best)
        return best, size

    def _fits(self, left, width):
        """Of each size the log evidence, and of either axis the two coefficients and their normal matrix."""
        width = WIDTH_STEP * round(width / WIDTH_STEP)
        if width != self.width:
            self._prepare(width)
        spectra = [rfft2(v, self.padded) for v in self._images(left)]
        for c, s, _, sums in self.known:
            gain, axes = 0.0, []
            for of, (p, q, r) in zip(spectra, sums, strict=True):
                # signs of both turn together
                a, b = self._back(of * c), self._back(of * s)
                p, r = np.maximum(p, 0) + 1, np.maximum(r, 0) + 1
                det = np.maximum(p * r - q * q, 1.0)
                u, v = (COEFFICIENT**2 * w / det for w in (r * a - q * b, p * b - q * a))
                gain = gain + 0.5 * (a * u + b * v) - 0.5 * np.log(det)
                axes.append((u, v, p, q, r, det))
            yield gain, axes

    def unseen(self, left, width, found, explained):
        """Mean squares of what circles add that are there or not, by their odds, (2, ny, nx).

        At one place there is one at most. Before the residuals are asked there are taken to be one more than
        were ``found``, anywhere and of any size. Evidence up to ``explained`` is what rims that were found
        leave, which the field's scales follow: the search asks for as much more.
        """
        fits, rate = list(self._fits(left, width)), (found + 1) / (SIZES * np.prod(self.size))
        odds = [rate * np.exp(np.minimum(gain - explained, SURE)) for gain, _ in fits]
        total, out, number = sum(odds), np.zeros((2, *self.size)), 0.0
        for radius, own, (_, axes), (*_, products, _) in zip(self.radii, odds, fits, self.known, strict=True):
            near = 2 * int(radius / BIN) + 1
            share = own / (1.0 + near**2 * uniform_filter(total, near, mode="constant"))
            number += share.sum()
            for k, (u, v, p, q, r, det) in enumerate(axes):
                covariance = (COEFFICIENT**2 * w / det for w in (r, -q, p))
                squares = zip((u * u, u * v, v * v), covariance, (1.0, 2.0, 1.0), products, strict=True)
                image = sum(f * rfft2(share * (m + c), self.padded) * p for m, c, f, p in squares)
                out[k] += np.maximum(self._back(image), 0.0)
        log.info("rims of voids: %d, and some %.1f that noise hides", found, number)
        return out


def find_rims(x, y, r, weights, shape, known=()):
    """Find the rims that residuals show.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Raw pixels.
    r : ndarray, shape (2, n)
        Residuals, pixels, without what else is known of the detector.
    weights : `~jwst_hpastrom.distortion.pixelmap.rim_weights.EliminatingWeights`
    shape : tuple of int
        Detector (ny, nx).
    known : sequence of `~jwst_hpastrom.distortion.pixelmap.rims.Rim`
        Found before: refined, and left out where the evidence is not for them.

    Returns
    -------
    rims : list of `~jwst_hpastrom.distortion.pixelmap.rims.Rim`
    unseen : `Unseen`
    """
    search = _searched(x, y, r, weights, shape, known)
    if len(search.rims) >= MOST:
        log.info("no more than %d rims of voids are looked for", MOST)
    explained = search.least - search.trials
    unseen = search.circles.unseen(search.left(), search.width()[0], len(search.rims), explained)
    return search.rims, Unseen(unseen, BIN)


def noisier_rims(x, y, r, weights, shape, *, rng, number):
    """Find rims again and again in residuals with as much noise once more.

    What they differ by is what noise does to them; little that is half of it, and with twice as much they are
    of noise.

    Parameters
    ----------
    x, y, r, weights, shape
        See `find_rims`.
    rng : `numpy.random.Generator`
    number : int
        Of searches.

    Returns
    -------
    list of list of `~jwst_hpastrom.distortion.pixelmap.rims.Rim`
    """
    return [_searched(x, y, r + weights.noise(rng), weights, shape).rims for _ in range(number)]


def _searched(x, y, r, weights, shape, known=()):
    """The search, at its end."""
    search = _Search(x, y, r, weights, shape, known)
    _refine_all(search)
    refused, kept = [], len(search.rims)
    while len(search.rims) < MOST and len(refused) < FAILURES:
        before, width, left = len(search.rims), search.width(), search.left()
        places = search.places(left, width[0], refused)
        if not places:
            break
        for place in places[: MOST - before]:
            found, orders, gain = search.refined(place, (1,), left, width)
            if gain >= search.least:
                search.add(found, orders)
                search.solve()
                left = search.left()
            else:
                refused.append(place)
            if len(refused) == FAILURES:
                break
        if len(search.rims) > before:
            refused.clear()
    if len(search.rims) > kept:
        _refine_all(search)
    return search


def _refine_all(search):
    """Each rim anew, the others being what they are; those that are no longer wanted go."""
    for k in range(len(search.rims) - 1, -1, -1):
        rim, left = search.rims[k], search.left(without=k)
        shape, orders, gain = search.refined(rim.shape, rim.orders, left, search.width(), steps=NEARER)
        search.remove(k)
        if gain >= search.least:
            search.add(shape, orders)
        search.solve()
