"""A small model of the telescope's optics: what the wavefront does to an effective PSF.

The effective PSF is the Fourier transform of the pupil's autocorrelation times the transfer functions of the
pixel, of the charge's diffusion and of the pixels' coupling (Goodman, Introduction to Fourier Optics, chapter
6). The pupil is that of JWST: 18 hexagons, the missing one in the middle, three struts.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import factorial

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
DIFFUSION = 0.2  # pixels: standard deviation of the charge's diffusion and of the pointing's jitter
COUPLING = 0.005  # of a pixel's signal that each of its four neighbors reads (interpixel capacitance)


@cache
def _pupil():
    """Transmission of the pupil at its samples, and their coordinates in meters."""
    fine = (np.arange(SAMPLES * FINER) + 0.5 - SAMPLES * FINER / 2) * SPACING / FINER
    x, y = np.meshgrid(fine, fine)
    open_ = np.zeros(x.shape, bool)
    pitch, half = FLAT_TO_FLAT + GAP, FLAT_TO_FLAT / 2
    for a in range(-2, 3):
        for b in range(-2, 3):
            if abs(a + b) <= 2 and (a, b) != (0, 0):
                dx, dy = np.abs(x - pitch * np.sqrt(0.75) * a), np.abs(y - pitch * (0.5 * a + b))
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
    _, x, y = _pupil()
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

    def blurred(self, diffusion, coupling):
        """Return the optics with another diffusion and coupling."""
        new = replace(self, diffusion=float(diffusion), coupling=float(coupling))
        new.__dict__["_bands"] = self._bands
        return new

    def of_band(self, scale=1.0, width=1.0):
        """Return the optics with all wavelengths, and besides the band's width, times these."""
        return replace(self, wavelength=scale * self.wavelength, width=scale * width * self.width)

    @cached_property
    def _bands(self):
        """(wavelength in nm, Fourier matrices of y and x, frequencies, cells), one for each wavelength."""
        n = round(self.half_width * self.oversampling)
        at = np.arange(-n, n + 1) / self.oversampling
        shifts = np.fft.fftfreq(SIDE, 1 / SIDE)
        out = []
        for k in range(WAVELENGTHS):
            wave = self.wavelength + self.width * ((k + 0.5) / WAVELENGTHS - 0.5)
            step = SPACING / (wave * 1e-6) * np.deg2rad(self.pixel / 3600)  # cycles per pixel
            f = shifts * step
            half = np.abs(f[: SIDE // 2 + 1])
            weight = np.where((np.arange(half.size) == 0) | (np.arange(half.size) == SIDE // 2), 1.0, 2.0)
            by_y = np.exp(2j * np.pi * at[:, None] * f)
            by_x = np.exp(2j * np.pi * at[:, None] * half) * weight
            out.append((1e3 * wave, by_y, by_x.T, (f[:, None], half), step**2))
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
        for (_, by_y, by_x, (fy, fx), _), otf in bands:
            if derivatives:
                more = [-2j * np.pi * fx, -2j * np.pi * fy, -4 * np.pi**2 * self.diffusion * (fx**2 + fy**2)]
                more.append(_neighbors((fy, fx)) / (1 + self.coupling * _neighbors((fy, fx))))
                otf = np.concatenate([otf, otf[0] * np.array([m + 0 * otf[0] for m in more])])
            total = total + _image(otf, by_y, by_x, (fy, fx), shift)
        return total if derivatives else total[0]

    def transfer(self, nm, derivatives=False):
        """Transfer functions of a wavefront, one of each band: what all shifts of the star have in common.

        Parameters
        ----------
        nm : ndarray, shape (modes,)

        derivatives : bool
            Those of the derivatives by each coefficient, too.

        Returns
        -------
        list of ndarray, shape (1, ny, nx) or (1 + modes, ny, nx)
        """
        transmission, *_ = _pupil()
        modes, out = _modes(), []
        light = np.square(transmission).sum()
        for wave, _, _, f, cell in self._bands:
            phase = 2 * np.pi / wave
            pupil = transmission * np.exp(1j * phase * np.tensordot(nm, modes, 1))
            wave_field = _padded_fft2(pupil)
            stack = np.empty((1 + derivatives * len(modes), SIDE, SIDE))
            stack[0] = np.square(np.abs(wave_field))
            if derivatives:
                by_mode = _padded_fft2(1j * phase * modes * pupil)
                by_mode *= np.conj(wave_field)
                np.multiply(by_mode.real, 2, out=stack[1:])
            out.append(np.conj(rfft2(stack)) * (self._blur(f) * (cell / light / WAVELENGTHS / SIDE**2)))
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
        return sum(_image(otf[0], y[at], x[:, at], f, shift) for (_, y, x, f, _), otf in bands)


def _padded_fft2(pupils):
    """Transforms of pupils on a field of zeros; rows of nothing but zeros are not transformed."""
    return fft(fft(pupils, SIDE, axis=-2), SIDE, axis=-1, overwrite_x=True)


def _image(otf, by_y, by_x, f, shift):
    """Images of transfer functions of one band, the star shifted."""
    turn_y, turn_x = (np.exp(-2j * np.pi * g * s) for g, s in zip(f, shift[::-1], strict=True))
    return (((by_y * turn_y[:, 0]) @ otf) @ (turn_x[:, None] * by_x)).real
