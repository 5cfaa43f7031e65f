"""What the telescope can pass: the band of spatial frequencies in which an effective PSF lives."""

import numpy as np

from jwst_hpastrom.errors import ParameterError

__all__ = ["BANDS", "band_limit"]

#: filter: (central wavelength, width) in micrometres, of the bands of NIRISS
BANDS = {
    "F090W": (0.901, 0.194),
    "F115W": (1.152, 0.226),
    "F140M": (1.405, 0.142),
    "F150W": (1.498, 0.338),
    "F158M": (1.585, 0.198),
    "F200W": (1.990, 0.464),
    "F277W": (2.770, 0.715),
    "F356W": (3.593, 0.914),
    "F380M": (3.825, 0.206),
    "F430M": (4.280, 0.210),
    "F444W": (4.436, 1.100),
    "F480M": (4.815, 0.298),
}

DIAMETER = 6.6  # metres, of the circle around the pupil


def band_limit(band, pixel_arcsec, *, diameter=DIAMETER, rest=0.01, n_wavelengths=7):
    """Return the spatial frequency above which an ePSF holds next to nothing.

    No wave shorter than λ/D passes a pupil of diameter D, and the pixel's area suppresses those shorter than
    a pixel. Without aberrations the ePSF's Fourier transform is the product of both transfer functions;
    aberrations and diffusion only lower it.

    Parameters
    ----------
    band : str
        A key of `BANDS`.

    pixel_arcsec : float
        Side of a pixel, arcsec.

    diameter : float
        Of the pupil, metres.

    rest : float
        Share of the absolute transfer function that may lie above the limit (this project's choice).

    n_wavelengths : int
        Wavelengths that the band is averaged over.

    Returns
    -------
    float
        Cycles per pixel.
    """
    if band not in BANDS or not pixel_arcsec > 0:
        raise ParameterError(f"band {band!r}, pixels of {pixel_arcsec} arcsec", f"one of {', '.join(BANDS)}")
    middle, width = BANDS[band]
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
