"""Wiener estimates of ePSFs from dithered stars: about a given library, or over the field about its mean."""

import logging
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.polynomial.legendre import legvander
from scipy.fft import fft, fftfreq, ifft, irfft, next_fast_len, rfft
from scipy.ndimage import gaussian_filter

from jwst_hpastrom.epsf.build.smoothing import TAPER, recenter, smooth_update
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps.samples import RINGS, mean_residuals

__all__ = ["Difference"]

log = logging.getLogger("stpipe.hpastrom.epsf")

RIDGE = 0.02  # weight of a residual of zero, in units of the mean weight at that radius
DEGREE = 8  # of the polynomials over the detector that differences are made of, at most
ZONES = (0, 1, 2, 4, 8)  # pixels: borders of the zones of radius whose power is judged one by one
JUDGED = 5.0  # pixels: beyond, sky and neighbors decide; the last zone's power holds there
JUDGED_AT = (0, 3, 7)  # iterations from the first one with the library on
PADDING = 16  # grid points beyond the border, so that filtering does not wrap around
ACCURACY = 1e-3  # of a solution; the next iteration goes on from it
ITERATIONS = 100  # of conjugate gradients, at most
STARS_A_MODE = 20  # in each exposure: fewer turn noise into variation over the field
SIGMAS = 1.0, 2.0  # of the noise, taken off what halves have in common: of the mean, and of what varies
FLOOR = 1e-4  # of the peak: differences of the far wings
SKY = 0.001  # of the flux in a pixel: noise of bright stars' pixels besides their own light's


@dataclass
class Difference:
    """Difference of the exposures' ePSF from a given library.

    The difference is a sum of Legendre polynomials of the field position, each times an image. A priori each
    image is band-limited noise with a standard deviation in proportion to the library's own light around that
    place; by how much is told, degree by degree and zone by zone, by what two halves of the stars have in
    common. So 40 stars leave the given library nearly as it is, and thousands replace it.

    Attributes
    ----------
    start : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        The given library.

    band_limit : float or None
        As in `~jwst_hpastrom.epsf.build.smoothing.smooth_update`.

    power : ndarray, shape (degree + 1, zones)
        Variance of the difference in units of the squared light.

    judged_at : tuple of int
        Iterations in which it is judged anew.

    own : bool
        The library is these stars' own: its mean over the field follows them freely, with each `improve`, and
        only the variation about it is estimated.

    of_optics : bool
        The library is a model of the optics, which has no errors by stars' pixel phases.

    doubt : ndarray, shape (degree + 1, zones)
        What noise may hide of the power: it was taken off.

    phase_errors : tuple of float
        Of optics, standard deviations a priori of errors of x and y that repeat with every pixel, pixels: by
        the power and the doubt, whatever the dithers show. Else infinite: errors of libraries that were built
        are of that kind, and hide.
    """

    start: object
    band_limit: float | None = None
    power: np.ndarray | None = None
    judged_at: tuple = JUDGED_AT
    own: bool = False
    of_optics: bool = False
    doubt: np.ndarray | None = None
    phase_errors: tuple = (np.inf, np.inf)

    def __post_init__(self):
        self.start = _finished(self.start, self.start.data)
        x, y = (_scaled(p) for p in (self.start.x, self.start.y))
        vx, vy = (legvander(p, min(DEGREE, p.size - 1)) for p in (x, y))
        every = np.einsum("ja,ib->abji", vy, vx).reshape(-1, y.size * x.size)
        degree = np.add.outer(np.arange(vy.shape[1]), np.arange(vx.shape[1])).ravel()
        k = np.argsort(degree, kind="stable")
        k = k[degree[k] <= DEGREE]
        self.degree, self.basis = degree[k], every[k].T
        self.basis = self.basis / np.sqrt((self.basis**2).mean(0))
        if self.power is None:
            self.power = np.zeros((self.degree.max() + 1, len(ZONES) - 1))
        if self.doubt is None:
            self.doubt = np.zeros_like(self.power)
        n, step = self.start.data.shape[-1], self.start.oversampling
        offset = (np.arange(n) - n // 2) / step
        self.radius = np.hypot(offset[:, None], offset)
        self.ring = np.minimum(self.radius.astype(int), RINGS - 1)
        mean = np.maximum(self.start.data.mean(0), 0)
        self.light = gaussian_filter(mean, step, mode="nearest") + FLOOR * mean.max()
        self.last = np.zeros((self.degree.size, n, n), np.float32)  # solution, to go on from
        limit = TAPER * self.band_limit / step if self.band_limit else 0.5
        self.side = next_fast_len(n + PADDING, real=True)
        full = np.maximum(1 - np.hypot(fftfreq(self.side), fftfreq(self.side)[:, None]) / limit, 0) ** 2
        passed = full.any(0)[: self.side // 2 + 1].sum()  # no wave is faster along x
        self.spectrum = (full[:, :passed] / full.mean()).astype(np.float32)

    def _smoothed(self, images):
        """Images times the covariance of band-limited noise of unit variance.

        In single precision, which is a thousand times what `ACCURACY` asks for; rows and waves that are zero
        are not transformed.
        """
        n, passed = images.shape[-1], self.spectrum.shape[1]
        waves = fft(rfft(images, self.side)[..., :passed], self.side, axis=-2, overwrite_x=True)
        waves *= self.spectrum
        return irfft(ifft(waves, axis=-2, overwrite_x=True)[:, :n], self.side)[..., :n]

    def judge(self, halves, n_stars):
        """Add to the power what two halves of the stars, ``n_stars`` an exposure, have in common."""
        found = [_Equations(self, s) for s in halves]
        both = _Equations.total(found)
        images = np.zeros((self.degree.size, *self.radius.shape))
        for d in range(int(self.own), self.power.shape[0]):
            mine = self.degree == d
            if d > 0 and n_stars < STARS_A_MODE * (self.degree <= d).sum():
                break
            a, b = (e.images(mine, images) for e in found)
            wa, wb = (e.weight * e.share(mine)[:, self.ring] for e in found)
            weight = np.where((wa > 0) & (wb > 0), wa * wb / np.maximum(wa + wb, 1e-300), 0)
            for z, (inner, outer) in enumerate(pairwise(ZONES)):
                k = (self.radius >= inner) & (self.radius < min(outer, JUDGED))
                scale = (weight * self.light**2)[:, k].sum()
                if scale <= 0:
                    continue
                # bilinear sharing among the grid points correlates neighbors: twice the plain variance
                noise = np.sqrt(2 * (weight / np.maximum(wa + wb, 1e-300))[:, k].sum())
                clear = SIGMAS[d > 0] * noise
                self.power[d, z] += max((weight * a * b)[:, k].sum() - clear, 0.0) / scale
                self.doubt[d, z] = clear / scale
            images[mine] = self._solve(both, images, mine)[mine]
        log.info(
            "difference from the %s ePSF, share of its light within a pixel, by degree over the field: %s",
            "mean" if self.own else "given",
            " ".join(f"{np.sqrt(p):.4f}" for p in self.power[:, 0]),
        )
        if self.of_optics:
            self.phase_errors = self._phase_errors()

    def _phase_errors(self):
        """Return `phase_errors`: the spread a priori of what positions at each pixel phase take up."""
        images = _position_errors(self.start)
        variance = np.zeros(2)
        for d, amplitude in enumerate(self._amplitudes(self.power + self.doubt)):
            parts = (amplitude * images).astype(np.float32)
            common = self._smoothed(parts.reshape(-1, *self.radius.shape)).reshape(parts.shape)
            variance += (self.degree == d).sum() * (parts * common).sum((2, 3)).mean(1)
        return tuple(float(v) for v in np.sqrt(variance))

    @property
    def off(self):
        """Standard deviation of the difference within a pixel, in units of the light."""
        return float(np.sqrt(self.power[0, 0]))

    @property
    def varies(self):
        """Highest degree over the field of what has any power."""
        return int(np.flatnonzero(np.append(True, self.power[1:].any(1)))[-1])

    def improve(self, library, samples, accuracy=ACCURACY):
        """Return the library that the residuals about ``library`` make of the given one."""
        now = library.data - self.start.data
        if self.own:
            mean = samples.sum_wr.sum(0, keepdims=True), samples.sum_w.sum(0, keepdims=True)
            update = mean_residuals(
                replace(samples, sum_wr=mean[0], sum_w=mean[1]), RIDGE, library.oversampling
            )
            update = smooth_update(update, library.oversampling, band_limit=self.band_limit or None)
            self.start = _finished(self.start, self.start.data + update)
        fit = np.linalg.lstsq(self.basis, now.reshape(len(now), -1), rcond=None)[0]
        equations = _Equations(self, samples)
        equations.right += equations.apply(fit.reshape(-1, *self.radius.shape))
        images = self._solve(equations, None, np.ones(self.degree.size, bool), accuracy)
        return _finished(self.start, self.start.data + np.tensordot(self.basis, images, 1))

    def _amplitude(self):
        """Standard deviation of each image a priori, shape (modes, n, n)."""
        return self._amplitudes(self.power)[self.degree]

    def _amplitudes(self, power):
        """Return those of each degree, for a power."""
        middles = [0.5 * (a + min(b, JUDGED)) for a, b in pairwise(ZONES)]
        return np.array([np.interp(self.radius, middles, np.sqrt(p)) for p in power]) * self.light

    def _solve(self, equations, known, mine, accuracy=ACCURACY):
        """Images of least χ² plus prior, those of ``mine`` only; the others are ``known``."""
        amplitude = self._amplitude()
        images = np.zeros(amplitude.shape)
        k = np.flatnonzero(mine & amplitude.any((1, 2)))
        if not k.size:
            return images
        amplitude = amplitude[k].astype(np.float32)
        right = equations.right if known is None else equations.right - equations.apply(known)
        last = self.last.copy()  # copies of this difference have their own

        def covariance(images):
            return amplitude * self._smoothed(amplitude * images)

        right = right[k].astype(np.float32)
        last[k], images[k] = _least(covariance, equations.of(k).apply, right, last[k], accuracy)
        self.last = last
        return images


def _least(covariance, weighted, right, first, accuracy=ACCURACY):
    """Solve (C⁻¹ + W) x = b by conjugate gradients, with products by C and W alone; return C⁻¹x and x.

    C, the covariance, is the preconditioner: C⁻¹ of each direction is known from the residuals.
    """
    inner, x, residual = first, np.zeros_like(right), right.copy()
    if inner.any():
        x = covariance(inner)
        residual -= inner + weighted(x)
    better = covariance(residual)
    left, direction, its_inner = np.vdot(residual, better), better, residual.copy()
    enough = accuracy**2 * np.vdot(right, covariance(right))
    for _ in range(ITERATIONS):
        if left <= enough:
            break
        change = its_inner + weighted(direction)
        step = left / np.vdot(direction, change)
        x += step * direction
        inner += step * its_inner
        residual -= step * change
        better = covariance(residual)
        left, before = np.vdot(residual, better), left
        direction = better + left / before * direction
        its_inner = residual + left / before * its_inner
    return inner, x


class _Equations:
    """Normal equations of the images: weights of the grid points times those of the field positions."""

    def __init__(self, difference, samples):
        basis, ring = difference.basis, difference.ring.ravel()
        self.order = np.argsort(ring, kind="stable")  # the grid points of a ring side by side
        self.back = np.argsort(self.order, kind="stable")
        self.bounds = np.searchsorted(ring[self.order], np.arange(RINGS + 1))
        self.ring = difference.ring
        self.weight = samples.sum_w.sum(0)
        self.right = np.tensordot(basis.T, samples.sum_wr, 1)
        if len(basis) == 1:
            self.matrix = np.ones((RINGS, 1, 1)) * basis[0, 0] ** 2
        else:
            total = np.maximum(samples.overlap.sum((1, 2)), 1e-300)
            self.matrix = basis.T @ samples.overlap @ basis / total[:, None, None]

    @classmethod
    def total(cls, parts):
        both = object.__new__(cls)
        for name in ("ring", "order", "back", "bounds"):
            setattr(both, name, getattr(parts[0], name))
        both.weight = sum(p.weight for p in parts)
        both.right = sum(p.right for p in parts)
        both.matrix = sum(p.matrix for p in parts) / len(parts)
        return both

    def of(self, modes):
        """Return the equations of some of the modes alone, in single precision, without their right side."""
        some = object.__new__(type(self))
        some.order, some.back, some.bounds = self.order, self.back, self.bounds
        some.matrix = self.matrix[:, modes][:, :, modes].astype(np.float32)
        some.weight = self.weight.astype(np.float32)
        return some

    def apply(self, images):
        """Right-hand side that these images would give."""
        flat = images.reshape(len(images), -1).take(self.order, axis=1)
        for matrix, start, end in zip(self.matrix, self.bounds, self.bounds[1:], strict=False):
            flat[:, start:end] = matrix @ flat[:, start:end]
        out = flat.take(self.back, axis=1).reshape(images.shape)
        out *= self.weight
        return out

    def share(self, mine):
        """Diagonal of the field part, shape (modes, rings)."""
        return np.array([np.diag(m)[mine] for m in self.matrix]).T

    def images(self, mine, known):
        """Each image of ``mine`` for itself, noise and all, the others being ``known``."""
        right = (self.right - self.apply(known))[mine]
        weight = self.weight * self.share(mine)[:, self.ring]
        return np.where(weight > 0, right / np.maximum(weight, 1e-300), 0)


def _position_errors(library):
    """Images whose products with a change of the ePSF are the errors of x and y, by pixel phase.

    Shape (2, oversampling, n, n): of fits to 5 by 5 pixels, the mean over the phases along the other axis,
    less that over all phases.
    """
    step, n = library.oversampling, library.data.shape[-1]
    mean = EPSFLibrary(library.data.mean(0)[None], [0.0], [0.0], step)
    images = np.zeros((2, step, n, n))
    dy, dx = (step * c.ravel() for c in np.mgrid[-2:3, -2:3])
    for k in np.ndindex(step, step):
        y, x = dy + k[0] - step // 2, dx + k[1] - step // 2
        value, by_x, by_y = mean.evaluate(x / step, y / step, 0.0, 0.0, gradient=True)
        noise = np.sqrt(np.maximum(value, 0.0) + SKY)
        fit = np.linalg.pinv((np.stack([value, -by_x, -by_y]) / noise).T)[1:] / noise
        images[0, k[1], y + n // 2, x + n // 2] += fit[0] / step
        images[1, k[0], y + n // 2, x + n // 2] += fit[1] / step
    return images - images.mean(1, keepdims=True)


def _scaled(nodes):
    return np.zeros(1) if nodes.size == 1 else 2 * (nodes - nodes[0]) / np.ptp(nodes) - 1


def _finished(library, data):
    data, _ = recenter(data, library.oversampling)
    return replace(library, data=data).normalized()
