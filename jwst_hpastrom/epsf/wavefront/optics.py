"""A small model of the telescope's optics: what the wavefront does to an effective PSF.

The effective PSF is the Fourier transform of the pupil's autocorrelation times the transfer functions of the
pixel, of the charge's diffusion and of the pixels' coupling (Goodman, Introduction to Fourier Optics, chapter
6). The pupil is that of JWST: 18 hexagons, the missing one in the middle, three struts.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import factorial
from typing import ClassVar

import numpy as np
from scipy.fft import fft, rfft2

__all__ = ["MODES", "Optics", "zernike"]

FLAT_TO_FLAT, GAP = 1.32, 0.007  # meters: a segment, and the space between two
STRUTS, STRUT_WIDTH = (90.0, 240.0, 300.0), 0.1  # degrees, meters
RADIUS = 3.3  # meters: of the circle that the Zernikes are defined on
SAMPLES, SPACING = 64, 0.106  # of the pupil along an axis, meters: repeats beyond 12 pixels at 0.9 µm
FINER = 5  # subsamples along each axis, for gray borders
SIDE = 128  # of the padded pupil, so that its autocorrelation does not wrap around
FIRST, LAST = 4, 15  # Noll's indices of the Zernikes: defocus to the fourth order
MODES = LAST - FIRST + 1
WAVELENGTHS = 3  # that stand for a band
WIDER = 1.1  # times the band's width: for the derivative
MOST_AT_ONCE = 0.3  # of the logarithms of scale and width: the derivatives hold no farther
DIFFUSION = 0.2  # pixels: standard deviation of the charge's diffusion and of the pointing's jitter
BLUR_ERRORS = 0.1, 0.003  # a priori: of diffusion (pixels) and coupling
COUPLING = 0.005  # of a pixel's signal that each of its four neighbors reads (interpixel capacitance)


def centers_of_segments():
    """Coordinates of the 18 segments' middles, meters."""
    pitch, steps = FLAT_TO_FLAT + GAP, range(-2, 3)
    axial = [(a, b) for a in steps for b in steps if abs(a + b) <= 2 and (a, b) != (0, 0)]
    return [(pitch * np.sqrt(0.75) * a, pitch * (0.5 * a + b)) for a, b in axial]


@cache
def pupil():
    """Transmission of the pupil at its samples, and their coordinates in meters."""
    fine = (np.arange(SAMPLES * FINER) + 0.5 - SAMPLES * FINER / 2) * SPACING / FINER
    x, y = np.meshgrid(fine, fine)
    open_ = np.zeros(x.shape, bool)
    half = FLAT_TO_FLAT / 2
    for right, up in centers_of_segments():
        dx, dy = np.abs(x - right), np.abs(y - up)
        open_ |= (dy <= half) & (0.5 * dy + np.sqrt(0.75) * dx <= half)
    for angle in np.deg2rad(STRUTS):
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        open_ &= ~((along > 0) & (np.abs(across) < STRUT_WIDTH / 2))
    transmission = open_.reshape(SAMPLES, FINER, SAMPLES, FINER).mean((1, 3))
    middle = (np.arange(SAMPLES) + 0.5 - SAMPLES / 2) * SPACING
    return (transmission, *np.meshgrid(middle, middle))


def zernike(noll, x, y):
    """Zernike polynomial of Noll's index, of RMS 1 over the unit circle (Noll 1976).

    Parameters
    ----------
    noll : int
        1 or more; 4 is defocus.

    x, y : ndarray
        Coordinates in units of the circle's radius.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf.wavefront.optics import zernike
    >>> zernike(4, np.array([0.0, 1.0]), np.zeros(2)).round(3).tolist()
    [-1.732, 1.732]
    """
    n, first = 0, 1
    while first + n < noll:
        first += n + 1
        n += 1
    k = noll - first
    m = 2 * ((k + 1) // 2) if n % 2 == 0 else 2 * (k // 2) + 1
    rho, theta = np.hypot(x, y), np.arctan2(y, x)
    radial = sum(
        (-1) ** s * factorial(n - s)
        / (factorial(s) * factorial((n + m) // 2 - s) * factorial((n - m) // 2 - s)) * rho ** (n - 2 * s)
        for s in range((n - m) // 2 + 1)
    )  # fmt: skip
    if m == 0:
        return np.sqrt(n + 1) * radial
    return np.sqrt(2 * (n + 1)) * radial * (np.cos(m * theta) if noll % 2 == 0 else np.sin(m * theta))


@cache
def _modes():
    """Zernikes at the pupil's samples, shape (modes, samples, samples)."""
    _, x, y = pupil()
    return np.array([zernike(j, x / RADIUS, y / RADIUS) for j in range(FIRST, LAST + 1)])


def _neighbors(f):
    """Transfer function of a pixel's four neighbors less four times its own."""
    fy, fx = f
    return 2 * (np.cos(2 * np.pi * fx) + np.cos(2 * np.pi * fy)) - 4


@dataclass(frozen=True)
class Optics:
    """Effective PSFs of one filter and pixel, on a grid around the star.

    Parameters
    ----------
    wavelength, width : float
        Middle and full width of the band, µm.

    pixel : float
        Side of a pixel, arcsec.

    half_width : float
        Pixels from the star to the border of the grid.

    oversampling : int
        Samples per pixel.

    diffusion : float
        Standard deviation of what blurs the image besides the pixel, pixels.

    coupling : float
        Share of a pixel's signal that each of its four neighbors reads.
    """

    wavelength: float
    width: float
    pixel: float
    half_width: float
    oversampling: int = 4
    diffusion: float = DIFFUSION
    coupling: float = COUPLING

    #: a priori errors of the logarithms of the band's scale (stars' colors, filters' edges) and width
    LIGHT_ERRORS: ClassVar[tuple] = 0.02, 0.3

    @property
    def light(self):
        """What is to be said of light that an ePSF has told."""
        return ""

    @property
    def errors(self):
        """What diffusion, coupling, and the light are known to a priori."""
        return np.array([*BLUR_ERRORS, *self.LIGHT_ERRORS])

    @property
    def field_errors(self):
        """The same of all that is alike in all of the field."""
        return self.errors

    @property
    def told_errors(self):
        """The same of what an ePSF tells besides, where its wavefront is found: of a filter nothing."""
        return np.zeros(0)

    def blurred(self, diffusion, coupling):
        """Return the optics with another diffusion and coupling."""
        new = replace(self, diffusion=float(diffusion), coupling=float(coupling))
        new.__dict__["_bands"] = self._bands
        return new

    def of_band(self, scale=1.0, width=1.0):
        """Return the optics with all wavelengths, and besides the band's width, times these."""
        return replace(self, wavelength=scale * self.wavelength, width=scale * width * self.width)

    def of_light(self, changes):
        """Return the optics with the logarithms of scale and width changed."""
        return self.of_band(*np.exp(np.clip(changes, -MOST_AT_ONCE, MOST_AT_ONCE)))

    def by_segments(self, nm, shift=(0.0, 0.0)):
        """Derivatives of an image by what more of the wavefront is told, but does not drift: nothing."""
        return []

    def by_light(self, image, nm, shift=(0.0, 0.0)):
        """Derivatives of an image of these optics by what `of_light` changes."""
        narrow, wide = (optics.image(nm, shift) for optics in self._beside)
        return [_stretched(image), (wide - narrow) / (2 * np.log(WIDER))]

    @property  # not cached: it would go along to workers
    def _beside(self):
        return [self.of_band(width=w) for w in (1 / WIDER, WIDER)]

    def _waves(self):
        """Wavelengths that stand for the band, µm, and by what the light in each is divided."""
        steps = (np.arange(WAVELENGTHS) + 0.5) / WAVELENGTHS - 0.5
        return [(self.wavelength + self.width * step, WAVELENGTHS) for step in steps]

    @cached_property
    def _bands(self):
        """(nm, Fourier matrices of y and x, frequencies, cells, divisors), one for each wavelength."""
        n = round(self.half_width * self.oversampling)
        at = np.arange(-n, n + 1) / self.oversampling
        shifts = np.fft.fftfreq(SIDE, 1 / SIDE)
        out = []
        for wave, part in self._waves():
            step = SPACING / (wave * 1e-6) * np.deg2rad(self.pixel / 3600)  # cycles per pixel
            f = shifts * step
            half = np.abs(f[: SIDE // 2 + 1])
            weight = np.where((np.arange(half.size) == 0) | (np.arange(half.size) == SIDE // 2), 1.0, 2.0)
            by_y = np.exp(2j * np.pi * at[:, None] * f)
            by_x = np.exp(2j * np.pi * at[:, None] * half) * weight
            out.append((1e3 * wave, by_y, by_x.T, (f[:, None], half), step**2, part))
        return out

    def _blur(self, f):
        fy, fx = f
        pixel = np.sinc(fx) * np.sinc(fy) * np.exp(-2 * (np.pi * self.diffusion) ** 2 * (fx**2 + fy**2))
        return pixel * (1 + self.coupling * _neighbors(f))

    def image(self, nm, shift=(0.0, 0.0), derivatives=False):
        """Effective PSF of a wavefront, of sum 1 over all pixels.

        Parameters
        ----------
        nm : ndarray, shape (modes,)
            Wavefront: coefficients of the Zernikes 4 to 15, nm RMS.

        shift : (float, float)
            Of the star, pixels (x, y).

        derivatives : bool
            Return those by each coefficient (1/nm), by the shift in x and y (1/pixel), by the diffusion
            (1/pixel) and by the coupling, too.

        Returns
        -------
        ndarray, shape (n, n) or (1 + modes + 4, n, n)
        """
        total = 0.0
        bands = zip(self._bands, self.transfer(nm, derivatives), strict=True)
        for (_, by_y, by_x, (fy, fx), *_), otf in bands:
            if derivatives:
                more = [-2j * np.pi * fx, -2j * np.pi * fy, -4 * np.pi**2 * self.diffusion * (fx**2 + fy**2)]
                more.append(_neighbors((fy, fx)) / (1 + self.coupling * _neighbors((fy, fx))))
                otf = np.concatenate([otf, otf[0] * np.array([m + 0 * otf[0] for m in more])])
            total = total + image_of(otf, by_y, by_x, (fy, fx), shift)
        return total if derivatives else total[0]

    def _path(self, nm):
        """Wavefront at the pupil's samples, nm."""
        return np.tensordot(nm, _modes(), 1)

    def transfer(self, nm, derivatives=False, modes=None):
        """Transfer functions of a wavefront, one of each band: what all shifts of the star have in common.

        Parameters
        ----------
        nm : ndarray, shape (modes,)

        derivatives : bool
            Those of the derivatives by each coefficient, too.

        modes : ndarray, shape (modes, samples, samples), optional
            Other changes of the wavefront than the Zernikes for the derivatives.

        Returns
        -------
        list of ndarray, shape (1, ny, nx) or (1 + modes, ny, nx)
        """
        transmission, *_ = pupil()
        path, out = self._path(nm), []
        modes = _modes() if modes is None else modes
        light = np.square(transmission).sum()
        for wave, _, _, f, cell, part in self._bands:
            phase = 2 * np.pi / wave
            there = transmission * np.exp(1j * phase * path)
            wave_field = _padded_fft2(there)
            stack = np.empty((1 + derivatives * len(modes), SIDE, SIDE))
            stack[0] = np.square(np.abs(wave_field))
            if derivatives:
                by_mode = _padded_fft2(1j * phase * modes * there)
                by_mode *= np.conj(wave_field)
                np.multiply(by_mode.real, 2, out=stack[1:])
            out.append(np.conj(rfft2(stack)) * (self._blur(f) * (cell / light / part / SIDE**2)))
        return out

    def part(self, transfer, shift, at):
        """Effective PSF of `transfer` in some rows and columns of the grid.

        Parameters
        ----------
        transfer : list of ndarray

        shift : (float, float)
            Of the star, pixels (x, y).

        at : slice or ndarray of int
            Rows, and columns.

        Returns
        -------
        ndarray, shape (n, n)
        """
        bands = zip(self._bands, transfer, strict=True)
        return sum(image_of(otf[0], y[at], x[:, at], f, shift) for (_, y, x, f, *_), otf in bands)


def _stretched(image):
    """Derivative of an image by the logarithm of its scale, but for its brightness."""
    offset = np.arange(len(image)) - len(image) // 2
    by_y, by_x = np.gradient(image)
    return -(offset * by_x + offset[:, None] * by_y)


def _padded_fft2(pupils):
    """Transforms of pupils on a field of zeros; rows of nothing but zeros are not transformed."""
    return fft(fft(pupils, SIDE, axis=-2), SIDE, axis=-1, overwrite_x=True)


def image_of(otf, by_y, by_x, f, shift):
    """Images of transfer functions of one band, the star shifted."""
    turn_y, turn_x = (np.exp(-2j * np.pi * g * s) for g, s in zip(f, shift[::-1], strict=True))
    return (((by_y * turn_y[:, 0]) @ otf) @ (turn_x[:, None] * by_x)).real
