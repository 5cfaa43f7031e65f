"""Finding the rims of voids: one after the other, as long as the residuals' evidence is for one more.

The evidence of a rim is the marginal likelihood with its coefficients integrated over their prior, and its
ellipse at the maximum. Circles of some sizes are tried everywhere by convolutions, the best is refined.
"""

from dataclasses import replace

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.optimize import minimize

from jwst_hpastrom.distortion.pixelmap._kernels import rim_evidence
from jwst_hpastrom.distortion.pixelmap.rims import COEFFICIENT, Rim, profile

__all__ = ["find_rims", "without"]

#: gain in log evidence below which there is no further rim: some hundred thousand places and sizes are tried
#: (12), and six numbers of an ellipse are at their maximum
LEAST_GAIN = 16.0
#: a term of the series needs this gain
TERM_GAIN = 2.0
#: half-axes of the circles that are tried: from what is a few stars wide to a sixth of the detector (L23)
SMALLEST, LARGEST, SIZES = 30.0, 1 / 11.0, 7
#: bins of the convolutions, pixels, and steps of the width's logarithm for them
BIN, WIDTH_STEP = 8, 0.25
#: prior of an ellipse: deviation of half the difference of the half-axes' logarithms; middle and deviation of
#: the width's logarithm, of the half-axes
OVAL, WIDTH, WIDTH_SPREAD = 0.25, -1.2, 0.5
#: fewest residuals on a rim, most rims, and how many places in a row may fail
FEWEST, MOST, FAILURES = 12, 40, 3
#: first steps of the refinement
STEPS = np.array([8.0, 8.0, 0.15, 0.15, 0.4, 0.2])


class _Search:
    """Residuals, and the rims found so far.

    A star's exposures that are turned against each other mix x and y: the unknowns of both axes are solved
    together, for each rim first those of x, then those of y.
    """

    def __init__(self, x, y, r, weigh, diagonal, shape, rims):
        self.x, self.y, self.r, self.weigh, self.shape = x, y, r, weigh, shape
        self.order = np.argsort(y, kind="stable")
        self.sorted = [np.ascontiguousarray(v[..., self.order]) for v in (x, y, diagonal)]
        self.circles = _Circles(x, y, diagonal, shape)
        self.target, self.rims, self.terms = weigh(r), [], []
        self.normal, self.right = np.zeros((0, 0)), np.zeros(0)
        for rim in rims:
            self.add(rim.shape, rim.orders)
        self.solve()

    @property
    def unknowns(self):
        """Where each rim's unknowns begin, and where the last one's end."""
        return np.cumsum([0] + [2 * v.shape[1] for _, v in self.terms])

    def on_rims(self, r):
        """Products of the rims' terms with values (2, n)."""
        return np.concatenate([(r[:, near] @ values).ravel() for near, values in self.terms])

    def add(self, shape, orders):
        """Take a rim on."""
        rim = Rim(np.asarray(shape), tuple(orders), None)
        near = np.flatnonzero(rim.near(self.x, self.y))
        values = profile(shape, self.x[near], self.y[near], orders)
        self.rims.append(rim)
        self.terms.append((near, values))
        columns = []
        for axis in (0, 1):
            for term in values.T:
                column = np.zeros_like(self.r)
                column[axis, near] = term
                columns.append(self.on_rims(self.weigh(column)))
        columns, old = np.stack(columns, 1), len(self.right)
        self.normal = np.block([[self.normal, columns[:old]], [columns[:old].T, columns[old:]]])
        self.right = np.append(self.right, (self.target[:, near] @ values).ravel())

    def remove(self, k):
        """Give a rim up."""
        of = np.arange(*self.unknowns[k : k + 2])
        self.normal = np.delete(np.delete(self.normal, of, 0), of, 1)
        self.right = np.delete(self.right, of)
        del self.rims[k], self.terms[k]

    def solve(self):
        """Coefficients of all rims together, and the weighed residuals that they leave."""
        found = np.linalg.solve(self.normal + np.eye(len(self.right)) / COEFFICIENT**2, self.right)
        each, model = np.split(found, self.unknowns[1:-1]), np.zeros_like(self.r)
        for k, (near, values) in enumerate(self.terms):
            coefficients = each[k].reshape(2, -1)
            self.rims[k] = replace(self.rims[k], coefficients=coefficients)
            model[:, near] += coefficients @ values.T
        self.left = self.target - self.weigh(model) if self.rims else self.target

    def without(self, k):
        """Weighed residuals with rim k left in."""
        near, values = self.terms[k]
        model = np.zeros_like(self.r)
        model[:, near] = self.rims[k].coefficients @ values.T
        return self.left + self.weigh(model)

    def gain(self, shape, orders, left):
        """Log evidence of a rim; ``left`` is in the order of y."""
        x, y, diagonal = self.sorted
        reach = Rim(shape, orders, None).reach
        rows = slice(*np.searchsorted(y, [shape[1] - reach, shape[1] + reach]))
        gain, strong = rim_evidence(
            np.asarray(shape, float), np.array(orders), reach, x[rows], y[rows], left[:, rows],
            diagonal[:, rows], COEFFICIENT**2,
        )  # fmt: skip
        return gain if strong >= FEWEST else -LEAST_GAIN

    def refined(self, shape, orders, left, width):
        """The ellipse of the largest evidence near one, its terms, and the gain."""
        left = np.ascontiguousarray(left[:, self.order])
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
        best, size = self.circles.best(self.left, width)
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
            self.known.append((rfft2(c), rfft2(s), sums))

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
        width = WIDTH_STEP * round(width / WIDTH_STEP)
        if width != self.width:
            self._prepare(width)
        spectra = [rfft2(v, self.padded) for v in self._images(left)]
        best, size = np.full(self.size, -np.inf), np.zeros(self.size)
        for radius, (c, s, sums) in zip(self.radii, self.known, strict=True):
            gain = 0.0
            for of, (p, q, r) in zip(spectra, sums, strict=True):
                # signs of both turn together
                a, b = self._back(of * c), self._back(of * s)
                p, r = np.maximum(p, 0) + 1, np.maximum(r, 0) + 1
                det = np.maximum(p * r - q * q, 1.0)
                gain = gain + 0.5 * COEFFICIENT**2 * (r * a * a - 2 * q * a * b + p * b * b) / det
                gain -= 0.5 * np.log(det)
            size = np.where(gain > best, np.log(radius), size)
            best = np.maximum(gain, best)
        return best, size


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
    columns = [np.ascontiguousarray(c, np.float32) for c in columns]
    bounds = np.cumsum([0] + [c.shape[1] for c in columns])

    def sums(r):
        return np.concatenate([v.astype(np.float32) @ c for v, c in zip(r, columns, strict=True)])

    normal = []
    for axis, c in enumerate(columns):
        for column in c.T:
            values = np.zeros((2, len(c)))
            values[axis] = column
            normal.append(sums(weigh(values)))
    inner = np.linalg.inv(np.eye(bounds[-1]) + np.array(normal, float))

    def less(r):
        found = (inner @ sums(weigh(r))).astype(np.float32)
        return weigh(r - [c @ found[a:b] for c, a, b in zip(columns, bounds, bounds[1:], strict=False)])

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
        search.remove(k)
        if gain >= LEAST_GAIN:
            search.add(shape, orders)
        search.solve()
