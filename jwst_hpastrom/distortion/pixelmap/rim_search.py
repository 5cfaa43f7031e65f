"""Finding the rims of voids: one after the other, as long as the residuals' evidence is for one more.

The evidence of a rim is the marginal likelihood with its coefficients integrated over their prior, and its
ellipse at the maximum. Circles of some sizes are tried everywhere by convolutions, the best is refined.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.signal import fftconvolve

from jwst_hpastrom.distortion.pixelmap.rims import COEFFICIENT, Rim, profile

__all__ = ["find_rims", "without"]

#: gain in log evidence below which there is no further rim: some hundred thousand places and sizes are tried
#: (12), and six numbers of an ellipse are at their maximum
LEAST_GAIN = 16.0
#: a term of the series needs this gain
TERM_GAIN = 2.0
#: half-axes of the circles that are tried: from what is a few stars wide to a sixth of the detector (L23)
SMALLEST, LARGEST, SIZES = 30.0, 1 / 11.0, 7
#: bins of the convolutions, pixels
BIN = 8
#: prior of an ellipse: deviation of half the difference of the half-axes' logarithms; middle and deviation of
#: the width's logarithm, of the half-axes
OVAL, WIDTH, WIDTH_SPREAD = 0.25, -1.2, 0.5
#: fewest residuals on a rim, most rims, and how many places in a row may fail
FEWEST, MOST, FAILURES = 12, 40, 3
#: first steps of the refinement
STEPS = np.array([8.0, 8.0, 0.15, 0.15, 0.4, 0.2])


class _Search:
    """Residuals, and the rims found so far."""

    def __init__(self, x, y, r, weigh, diagonal, shape, rims):
        self.x, self.y, self.r, self.weigh, self.diagonal, self.shape = x, y, r, weigh, diagonal, shape
        self.rims, self.terms = [], []
        for rim in rims:
            self.add(rim.shape, rim.orders)
        self.solve()

    def add(self, shape, orders, place=None):
        """Take a rim on, or in the place of another."""
        values = profile(shape, self.x, self.y, orders)
        weighed = np.stack([self.weigh(np.stack([v, v])) for v in values.T], -1)
        rim, terms = Rim(np.asarray(shape), tuple(orders), np.zeros((2, values.shape[1]))), (values, weighed)
        if place is None:
            self.rims.append(rim)
            self.terms.append(terms)
        else:
            self.rims[place], self.terms[place] = rim, terms

    def solve(self):
        """Coefficients of all rims together, and the weighed residuals that they leave."""
        self.left = self.weigh(self.r)
        if not self.rims:
            return
        values, weighed = (np.concatenate(v, axis=-1) for v in zip(*self.terms, strict=True))
        bounds = np.cumsum([t.shape[1] for t, _ in self.terms])[:-1]
        found = []
        for axis, target in enumerate(self.left.copy()):
            normal = values.T @ weighed[axis] + np.eye(values.shape[1]) / COEFFICIENT**2
            found.append(np.linalg.solve(normal, values.T @ target))
            self.left[axis] -= weighed[axis] @ found[axis]
        each = np.split(np.array(found), bounds, axis=1)
        self.rims = [Rim(r.shape, r.orders, c) for r, c in zip(self.rims, each, strict=True)]

    def without(self, k):
        """Weighed residuals with rim k left in."""
        return self.left + np.einsum("anm,am->an", self.terms[k][1], self.rims[k].coefficients)

    def gain(self, shape, orders, left):
        """Log evidence of a rim."""
        near = np.flatnonzero(Rim(shape, orders, None).near(self.x, self.y))
        if near.size < FEWEST:
            return -np.inf
        terms = profile(shape, self.x[near], self.y[near], orders)
        if np.sum(np.abs(terms).max(1) > 0.3) < FEWEST:
            return -np.inf
        out = 0.0
        for d, v in zip(self.diagonal, left, strict=True):
            out += _evidence(terms.T @ (d[near, None] * terms), terms.T @ v[near])
        return out

    def refined(self, shape, orders, left, width):
        """The ellipse of the largest evidence near one, its terms, and the gain."""
        biggest = np.log(2 * LARGEST * min(self.shape))

        def cost(p):
            outside = max(p[2] - biggest, np.log(0.6 * SMALLEST) - p[2], 0.0)
            away = (p[3] / OVAL) ** 2 + ((p[5] - width[0]) / width[1]) ** 2 + (outside / 0.1) ** 2
            return 0.5 * away - self.gain(p, orders, left)

        best = None
        for angle in (0.0, np.pi / 2) if abs(shape[3]) < 1e-3 else (shape[4],):
            start = np.where(np.arange(6) == 4, angle, shape)
            simplex = start + np.vstack([np.zeros(6), np.diag(STEPS)])
            found = minimize(
                cost, start, method="Nelder-Mead",
                options={"maxiter": 200, "initial_simplex": simplex, "fatol": 0.05, "xatol": 0.05},
            )  # fmt: skip
            best = found if best is None or found.fun < best.fun else best
        shape, gain = best.x, -best.fun
        for more in (3, 2, 0):
            longer = tuple(sorted({*orders, more}))
            other = gain + self.gain(shape, longer, left) - self.gain(shape, orders, left)
            if other > gain + TERM_GAIN:
                orders, gain = longer, other
        return shape, orders, gain

    def candidates(self, width):
        """Circles of the largest evidence at each place, in order: (gain, shape)."""
        ny, nx = (-(-n // BIN) for n in self.shape)
        bins = (np.clip(((v + 0.5) / BIN).astype(int), 0, n - 1) for v, n in ((self.y, ny), (self.x, nx)))
        flat = np.ravel_multi_index(tuple(bins), (ny, nx))
        images = [np.bincount(flat, v, ny * nx).reshape(ny, nx) for v in (*self.left, *self.diagonal)]
        best, size = np.full((ny, nx), -np.inf), np.zeros((ny, nx))
        for radius in np.geomspace(SMALLEST, max(LARGEST * min(self.shape), 1.5 * SMALLEST), SIZES):
            gain = _gains(images, radius / BIN, np.exp(width))
            size = np.where(gain > best, np.log(radius), size)
            best = np.maximum(gain, best)
        j, i = np.unravel_index(np.argsort(best, axis=None)[::-1], best.shape)
        keep = best[j, i] > 0.3 * LEAST_GAIN
        return [
            (
                best[b, a],
                np.array([BIN * (a + 0.5) - 0.5, BIN * (b + 0.5) - 0.5, size[b, a], 0.0, 0.0, width]),
            )
            for b, a in zip(j[keep], i[keep], strict=True)
        ]

    def width(self):
        """Middle and deviation of the logarithm of the profile's width: of the rims, where there are some."""
        if len(self.rims) < 3:
            return WIDTH, WIDTH_SPREAD
        own = np.array([rim.shape[5] for rim in self.rims])
        return float(np.median(own)), float(np.clip(1.5 * np.median(np.abs(own - np.median(own))), 0.15, 0.5))


def _evidence(normal, right):
    """Log evidence of coefficients with the prior, against none."""
    whole = np.eye(len(right)) + COEFFICIENT**2 * normal
    return 0.5 * COEFFICIENT**2 * right @ np.linalg.solve(whole, right) - 0.5 * np.linalg.slogdet(whole)[1]


def _gains(images, radius, width):
    """Log evidence of a circle about each bin: order one, both axes."""
    half = int(np.ceil(radius * (1 + 2.5 * width)))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    terms = profile((0.0, 0.0, np.log(radius), 0.0, 0.0, np.log(width)), x.ravel(), y.ravel(), (1,))
    c, s = terms.T.reshape(2, *x.shape)
    out = 0.0
    for left, weight in zip(images[:2], images[2:], strict=True):
        # signs of both turn together
        a, b = (fftconvolve(left, t, mode="same") for t in (c, s))
        p, q, r = (COEFFICIENT**2 * fftconvolve(weight, t, mode="same") for t in (c * c, c * s, s * s))
        p, r = np.maximum(p, 0) + 1, np.maximum(r, 0) + 1
        det = np.maximum(p * r - q * q, 1.0)
        out = out + 0.5 * COEFFICIENT**2 * (r * a * a - 2 * q * a * b + p * b * b) / det - 0.5 * np.log(det)
    return out


def without(weigh, columns):
    """Weights with some more unknowns eliminated.

    Parameters
    ----------
    weigh : callable
        Residuals (2, n) times their weights.
    columns : sequence of two ndarray, shape (n, m)
        What each axis may have of them, for each the same number or not; their prior is one.

    Returns
    -------
    callable
    """
    most = max(c.shape[1] for c in columns)
    padded = np.stack([np.pad(c, ((0, 0), (0, most - c.shape[1]))) for c in columns])
    weighed = np.stack([weigh(padded[:, :, k]) for k in range(most)], -1)
    inner = [np.linalg.inv(np.eye(most) + c.T @ w) for c, w in zip(padded, weighed, strict=True)]

    def less(r):
        out = weigh(r)
        for v, c, w, i in zip(out, padded, weighed, inner, strict=True):
            v -= w @ (i @ (c.T @ v))
        return out

    return less


def find_rims(x, y, r, weigh, diagonal, shape, known=()):
    """Find the rims that residuals show.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Raw pixels.
    r : ndarray, shape (2, n)
        Residuals, pixels, without what else is known of the detector.
    weigh : callable
        Residuals (2, n) times their weights, the stars eliminated.
    diagonal : ndarray, shape (2, n)
        Weights of single residuals.
    shape : tuple of int
        Detector (ny, nx).
    known : sequence of `~jwst_hpastrom.distortion.pixelmap.rims.Rim`
        Found before: refined, and left out where the evidence is not for them.

    Returns
    -------
    list of `~jwst_hpastrom.distortion.pixelmap.rims.Rim`
    """
    search = _Search(x, y, r, weigh, diagonal, shape, known)
    _refine_all(search)
    refused = []
    while len(search.rims) < MOST and len(refused) < FAILURES:
        width = search.width()
        place = next(
            (s for _, s in search.candidates(width[0])
             if not any(np.hypot(*(s[:2] - o[:2])) < np.exp(o[2]) for o in refused)),
            None,
        )  # fmt: skip
        if place is None:
            break
        found, orders, gain = search.refined(place, (1,), search.left, width)
        if gain < LEAST_GAIN:
            refused.append(place)
            continue
        refused.clear()
        search.add(found, orders)
        search.solve()
    _refine_all(search)
    return search.rims


def _refine_all(search):
    """Each rim anew, the others being what they are; those that are no longer wanted go."""
    for k in range(len(search.rims) - 1, -1, -1):
        rim, left = search.rims[k], search.without(k)
        shape, orders, gain = search.refined(rim.shape, rim.orders, left, search.width())
        if gain < LEAST_GAIN:
            del search.rims[k], search.terms[k]
        else:
            search.add(shape, orders, k)
        search.solve()
