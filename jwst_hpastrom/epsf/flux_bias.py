"""What a free position adds to a star's flux: fits move to where noise is brightest."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["without_position_gain"]


def without_position_gain(flux: ArrayLike, snr: ArrayLike) -> np.ndarray:
    """Return fluxes of fits with free positions, freed of the gain that the positions bring.

    Least squares choose the place where ψ gathers the most, noise included. To second order (Box 1971,
    Journal of the Royal Statistical Society B 33, 171) either coordinate adds half the flux's variance over
    the flux, whatever the ePSF: 1/(S/N)² of the flux, 10 mmag at 10, 0.1 mmag at 100.

    Parameters
    ----------
    flux : array-like, shape (n,)

    snr : array-like, shape (n,)
        Flux over its standard error by the pixels' noise, of all pixels that the position was fitted to.

    Returns
    -------
    ndarray
        As they are where S/N is not known.

    Examples
    --------
    >>> from jwst_hpastrom.epsf.flux_bias import without_position_gain
    >>> without_position_gain([101.0, 100.0], [10.0, float("nan")]).tolist()
    [100.0, 100.0]
    """
    flux, snr = np.asarray(flux, float), np.asarray(snr, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = 1.0 / snr**2
    return flux / (1 + np.where(np.isfinite(gain), gain, 0.0))
