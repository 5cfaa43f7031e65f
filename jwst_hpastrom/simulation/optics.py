"""Point-spread functions of a segmented telescope: pupil, wavefront, diffraction, pixel response."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.instrument import filter_of
from jwst_hpastrom.simulation._kernels import PSFGrid
from jwst_hpastrom.simulation.camera import DETECTOR, SCALE

__all__ = ["OpticsConfig", "TrueEPSF", "make_epsf", "pupil_segments"]

FLAT_TO_FLAT = 1.32  # of a segment, meters
GAP = 0.007
EXTENT = 6.7  # side of the square that holds the pupil, meters


@dataclass(frozen=True)
class OpticsConfig:
    """Wavefront and pixel response.

    Parameters
    ----------
    segment_nm : float
        Standard deviation of the segments' pistons and tilts (at a segment's edge), nm of wavefront.

    field_nm : float
        Change of the low-order wavefront (defocus, astigmatism, coma, trefoil, spherical) from the center of
        the detector to its edge.

    diffusion_pix : float
        Standard deviation of the charge diffusion.

    ipc : float
        Part of a pixel's signal that appears in each of its four neighbors.

    oversampling, half_width : int
        Samples per pixel and extent in pixels of the effective PSFs.

    n_field : int
        Field positions per axis; between them the PSF is bilinear.

    n_wavelengths : int
        Wavelengths per band.

    n_pupil : int
        Samples across the pupil.
    """

    segment_nm: float = 65.0
    field_nm: float = 15.0
    diffusion_pix: float = 0.23
    ipc: float = 0.006
    oversampling: int = 8
    half_width: int = 20
    n_field: int = 7
    n_wavelengths: int = 5
    n_pupil: int = 128


def _axial(rings):
    """Centers of the hexagonal rings, in units of the segments' pitch."""
    for q in range(-rings, rings + 1):
        for r in range(max(-rings, -q - rings), min(rings, -q + rings) + 1):
            if (q, r) != (0, 0):
                yield 1.5 * q / np.sqrt(3.0), r + 0.5 * q


def pupil_segments(n: int, *, supersample: int = 4) -> tuple[np.ndarray, ...]:
    """Transmission of each of the 18 segments, with the shadow of the struts and the secondary.

    Parameters
    ----------
    n : int
        Samples across `EXTENT`.

    supersample : int
        Sub-samples per sample and axis (gray edges).

    Returns
    -------
    segments : ndarray, shape (18, n, n)
        Transmission, 0 to 1.

    tilts : ndarray, shape (18, 2, n, n)
        Coordinates about each segment's center, in units of half its width.

    x, y : ndarray, shape (n, n)
        Coordinates in units of the pupil's half-extent.
    """
    m = n * supersample
    axis = (np.arange(m) + 0.5) / m * EXTENT - EXTENT / 2
    fine_x, fine_y = np.meshgrid(axis, axis)
    clear = np.hypot(fine_x, fine_y) > 0.38
    # three struts: one up, two down, 30 degrees to either side
    for angle in (90.0, 240.0, 300.0):
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        along, across = fine_x * c + fine_y * s, -fine_x * s + fine_y * c
        clear &= ~((along > 0) & (np.abs(across) < 0.055))
    coarse = axis.reshape(n, supersample).mean(1)
    x, y = np.meshgrid(coarse, coarse)
    segments, tilts = [], []
    pitch = FLAT_TO_FLAT + GAP
    for cx, cy in _axial(2):
        cx, cy = cx * pitch, cy * pitch
        inside = clear.copy()
        for angle in (30.0, 90.0, 150.0):
            c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
            inside &= np.abs((fine_x - cx) * c + (fine_y - cy) * s) < FLAT_TO_FLAT / 2
        segments.append(inside.reshape(n, supersample, n, supersample).mean((1, 3)))
        tilts.append(np.stack([x - cx, y - cy]) / (FLAT_TO_FLAT / 2))
    return np.array(segments), np.array(tilts), x / (EXTENT / 2), y / (EXTENT / 2)


def _low_orders(x, y):
    """Defocus, astigmatisms, comas, trefoils, spherical, each of unit root mean square on the unit disc."""
    r2 = x * x + y * y
    return np.stack(
        [
            np.sqrt(3) * (2 * r2 - 1),
            np.sqrt(6) * (x * x - y * y),
            np.sqrt(6) * 2 * x * y,
            np.sqrt(8) * (3 * r2 - 2) * x,
            np.sqrt(8) * (3 * r2 - 2) * y,
            np.sqrt(8) * (x * x - 3 * y * y) * x,
            np.sqrt(8) * (3 * x * x - y * y) * y,
            np.sqrt(5) * (6 * r2 * r2 - 6 * r2 + 1),
        ]
    )


def _pixel_response(freq_x, freq_y, config):
    """Fourier transform of pixel, diffusion and interpixel capacitance; frequencies in cycles per pixel."""
    square = np.sinc(freq_x) * np.sinc(freq_y)
    diffusion = np.exp(-2 * (np.pi * config.diffusion_pix) ** 2 * (freq_x**2 + freq_y**2))
    ipc = 1 - 4 * config.ipc
    ipc = ipc + 2 * config.ipc * (np.cos(2 * np.pi * freq_x) + np.cos(2 * np.pi * freq_y))
    return square * diffusion * ipc


def _recenter(spectrum, freq_x, freq_y, oversampling):
    """Phase ramp for which psi(-1/2, 0) = psi(1/2, 0) and the same in y (Anderson & King 2000)."""
    half = oversampling // 2
    total_x = total_y = 0.0
    for _ in range(8):
        shifted = spectrum * np.exp(-2j * np.pi * (freq_x * total_x + freq_y * total_y))
        image = np.fft.irfft2(shifted, s=(freq_y.shape[0],) * 2)
        step = 1.0 / oversampling
        gx, slope_x = (
            image[0, half] - image[0, -half],
            (image[0, half + 1] - image[0, half - 1] - image[0, -half + 1] + image[0, -half - 1]),
        )
        gy, slope_y = (
            image[half, 0] - image[-half, 0],
            (image[half + 1, 0] - image[half - 1, 0] - image[-half + 1, 0] + image[-half - 1, 0]),
        )
        total_x, total_y = total_x + 2 * step * gx / slope_x, total_y + 2 * step * gy / slope_y
    return spectrum * np.exp(-2j * np.pi * (freq_x * total_x + freq_y * total_y))


def _effective_psf(pupil, wavefront, band, config):
    """Effective PSF at one field position on a square grid of ``2 half_width oversampling + 1`` samples."""
    margin = 4
    n = 2 * (config.half_width + margin) * config.oversampling
    position = (np.arange(n) - n // 2) / config.oversampling * np.deg2rad(SCALE / 3600.0)
    pupil_axis = (np.arange(config.n_pupil) + 0.5) / config.n_pupil * EXTENT - EXTENT / 2
    center, width = band
    k = config.n_wavelengths
    optical = 0.0
    for wavelength in 1e-6 * (center + width * ((np.arange(k) + 0.5) / k - 0.5)):
        # a matrix Fourier transform: any sampling of the image plane, exactly
        kernel = np.exp(-2j * np.pi / wavelength * np.outer(position, pupil_axis))
        field = kernel @ (pupil * np.exp(2j * np.pi / wavelength * 1e-9 * wavefront)) @ kernel.T
        image = field.real**2 + field.imag**2
        optical = optical + image / image.sum()
    freq_y = np.fft.fftfreq(n, 1.0 / config.oversampling)[:, None]
    freq_x = np.fft.rfftfreq(n, 1.0 / config.oversampling)[None, :]
    spectrum = np.fft.rfft2(np.fft.ifftshift(optical)) * _pixel_response(freq_x, freq_y, config)
    spectrum = _recenter(spectrum, freq_x, np.broadcast_to(freq_y, (n, 1)), config.oversampling)
    epsf = np.fft.fftshift(np.fft.irfft2(spectrum, s=(n, n)))
    edge = config.half_width * config.oversampling
    c = n // 2
    epsf = epsf[c - edge : c + edge + 1, c - edge : c + edge + 1]
    axis = np.arange(-edge, edge + 1) / config.oversampling
    inner = np.hypot(axis[:, None], axis[None, :]) <= 5.0
    return epsf / epsf[inner].sum() * config.oversampling**2


@dataclass(frozen=True, eq=False)
class TrueEPSF(Displayed):
    """The truth: effective PSFs on a fine grid, bilinear between field positions.

    Attributes
    ----------
    coefficients : ndarray, shape (n_field**2, n, n)
        Cubic B-spline coefficients, index ``iy * n_field + ix``.

    x, y : ndarray, shape (n_field,)
        Field positions, 0-based pixels of the full detector.

    oversampling : int
    """

    coefficients: np.ndarray
    x: np.ndarray
    y: np.ndarray
    oversampling: int

    @property
    def grid(self) -> PSFGrid:
        """Coefficients and field positions as the kernels want them."""
        return PSFGrid(self.coefficients, self.x, self.y, self.oversampling)

    @property
    def half_width(self) -> float:
        """Extent in pixels."""
        return (self.coefficients.shape[1] - 1) // 2 // self.oversampling

    def local(self, x: Any, y: Any) -> np.ndarray:
        """Spline coefficients at one detector position."""
        n = self.x.size
        ix = int(np.clip(np.searchsorted(self.x, x) - 1, 0, n - 2))
        iy = int(np.clip(np.searchsorted(self.y, y) - 1, 0, n - 2))
        a = np.clip((x - self.x[ix]) / (self.x[ix + 1] - self.x[ix]), 0, 1)
        b = np.clip((y - self.y[iy]) / (self.y[iy + 1] - self.y[iy]), 0, 1)
        k = iy * n + ix
        low = (1 - a) * self.coefficients[k] + a * self.coefficients[k + 1]
        high = (1 - a) * self.coefficients[k + n] + a * self.coefficients[k + n + 1]
        return (1 - b) * low + b * high

    def evaluate(self, dx, dy, x, y):
        """Fraction of a star's light in pixels at offsets from it.

        Parameters
        ----------
        dx, dy : ndarray
            Pixel minus star, pixels.

        x, y : float
            The star's position on the full detector, 0-based.

        Returns
        -------
        ndarray
            Of the shape of ``dx``; sums to 1 over the pixels within 5 pixels (on average over the phase).
        """
        local = self.local(x, y)
        c = local.shape[0] // 2
        dx, dy = np.broadcast_arrays(np.asarray(dx, float), np.asarray(dy, float))
        at = c + self.oversampling * np.stack([dy.ravel(), dx.ravel()])
        values = map_coordinates(local, at, order=3, prefilter=False, mode="mirror")
        return values.reshape(dx.shape)

    def sampled(
        self, grid: int = 5, *, size: int = DETECTOR, oversampling: int = 4, n: int = 101
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The truth in the layout of an ePSF library.

        Parameters
        ----------
        grid : int
            Field positions per axis, corners included.

        size : int
            Side of the detector.

        oversampling, n : int
            Samples per pixel, and samples per axis.

        Returns
        -------
        data : ndarray, shape (grid**2, n, n)

        x, y : ndarray, shape (grid,)
        """
        axis = (np.arange(n) - n // 2) / oversampling
        dx, dy = np.meshgrid(axis, axis)
        at = np.linspace(0, size - 1, grid)
        inner = np.hypot(dx, dy) <= 5.0
        data = []
        for fy in at:
            for fx in at:
                epsf = self.evaluate(dx, dy, fx, fy)
                data.append(epsf / epsf[inner].sum() * oversampling**2)
        return np.array(data), at, at.copy()


def make_epsf(
    band: str,
    rng: np.random.Generator,
    config: OpticsConfig | None = None,
    *,
    size: int = DETECTOR,
    defocus_nm: float = 0.0,
) -> TrueEPSF:
    """Compute the effective PSFs of one filter over the detector.

    Each is the squared modulus of the matrix Fourier transform of an 18-segment pupil, averaged over the
    band, times (in Fourier space, so without sampling error) the pixel's square, charge diffusion and
    interpixel capacitance. The center is Anderson & King's (2000): equal values half a pixel to either side.

    Parameters
    ----------
    band : str
        A filter of NIRISS.

    rng : `~numpy.random.Generator`
        Draws the wavefront.

    config : `OpticsConfig`, optional

    size : int
        Side of the full detector, pixels.

    defocus_nm : float
        Added defocus, nm root mean square.

    Returns
    -------
    `TrueEPSF`

    Raises
    ------
    ParameterError
        Unknown filter.
    """
    row = filter_of(band)
    config = config or OpticsConfig()
    segments, tilts, x, y = pupil_segments(config.n_pupil)
    pupil = segments.sum(0)
    low = _low_orders(x, y)
    static = np.zeros_like(pupil)
    for segment, (across, up) in zip(segments, tilts, strict=True):
        piston, tip, tilt = config.segment_nm * rng.normal(0, 1, 3)
        static += segment * (piston + 0.5 * tip * across + 0.5 * tilt * up)
    constant = rng.normal(0, 12.0, 8)
    linear = rng.normal(0, config.field_nm, (2, 8)) / np.sqrt(2)
    quadratic = rng.normal(0, config.field_nm, 8) / 4
    constant[0] += defocus_nm
    at = np.linspace(0, size - 1, config.n_field)
    tables = []
    for v in np.linspace(-1, 1, config.n_field):
        for u in np.linspace(-1, 1, config.n_field):
            modes = constant + linear[0] * u + linear[1] * v + quadratic * (u * u + v * v - 0.5)
            wavefront = static + np.tensordot(modes, low, 1)
            epsf = _effective_psf(pupil, wavefront, row[-2:], config)
            tables.append(spline_filter(epsf, order=3, mode="mirror"))
    return TrueEPSF(np.array(tables), at, at.copy(), config.oversampling)
