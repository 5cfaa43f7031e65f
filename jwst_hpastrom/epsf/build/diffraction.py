"""What the telescope can pass: the band of spatial frequencies in which an effective PSF lives."""

import numpy as np

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.instrument import filter_of

__all__ = ["band_limit"]

DIAMETER = 6.6  # meters, of the circle around the pupil


def band_limit(band, pixel_arcsec, *, instrument="NIRISS", diameter=DIAMETER, rest=0.01, n_wavelengths=7):
    """Return the spatial frequency above which an ePSF holds next to nothing.

    No wave shorter than λ/D passes a pupil of diameter D, and the pixel's area suppresses those shorter than
    a pixel. Without aberrations the ePSF's Fourier transform is the product of both transfer functions;
    aberrations and diffusion only lower it.

    Parameters
    ----------
    band : str
        A filter of the instrument, see `~jwst_hpastrom.instrument`.

    pixel_arcsec : float
        Side of a pixel, arcsec.

    instrument : str
        INSTRUME of the exposures.

    diameter : float
        Of the pupil, meters.

    rest : float
        Share of the absolute transfer function that may lie above the limit (this project's choice).

    n_wavelengths : int
        Wavelengths that the band is averaged over.

    Returns
    -------
    float
        Cycles per pixel.
    """
    row = filter_of(band, instrument)
    if not pixel_arcsec > 0:
        raise ParameterError(f"band {band!r}, pixels of {pixel_arcsec} arcsec", "a side above 0")
    middle, width = row.wavelength, row.width
    wavelengths = middle + width * ((np.arange(n_wavelengths) + 0.5) / n_wavelengths - 0.5)
    ends = diameter / (wavelengths * 1e-6) * np.deg2rad(pixel_arcsec / 3600)
    f = np.linspace(-ends.max(), ends.max(), 401)
    radius = np.hypot(f, f[:, None])
    share = np.clip(radius[..., None] / ends, 0, 1)
    optics = (2 / np.pi * (np.arccos(share) - share * np.sqrt(1 - share**2))).mean(-1)
    passed = np.abs(optics * np.sinc(f) * np.sinc(f[:, None]))
    order = np.argsort(radius, axis=None)
    below = np.cumsum(passed.ravel()[order])
    return float(radius.ravel()[order][np.searchsorted(below, (1 - rest) * below[-1])])
