"""Size and reach of a structure from the products of neighbors' residuals."""

import numpy as np

__all__ = ["fit_structure"]

#: reaches that are tried, pixels: from what neighbors a few pixels apart still share to half a table's cell
LENGTHS = np.geomspace(6.0, 32.0, 18)


def fit_structure(distance, product, weight):
    """Variances at no distance, and the reach, of Gaussians through mean products at some distances.

    Neighbors closer than a few pixels are too few to tell the variance itself.

    Parameters
    ----------
    distance : ndarray, shape (m,)
        Pixels.

    product, weight : ndarray, shape (n, m)
        Mean products of residuals that distance apart, of n quantities (the axes), and their weights.

    Returns
    -------
    variance : ndarray, shape (n,)
        Not negative.

    length : float
        Standard deviation of the Gaussian, the same for all, pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion.pixelmap.structure import fit_structure
    >>> d = np.array([8.0, 12.0, 16.0, 24.0])
    >>> v, length = fit_structure(d, 2.0 * np.exp(-0.5 * (d / 15) ** 2)[None], np.ones((1, 4)))
    >>> v.round(1), round(length)
    (array([2.]), 15)
    """
    best = np.inf, np.zeros(len(product)), LENGTHS[0]
    for length in LENGTHS:
        shape = np.exp(-0.5 * (distance / length) ** 2)
        variance = np.sum(weight * shape * product, axis=1) / np.sum(weight * shape**2, axis=1)
        variance = np.maximum(variance, 0.0)
        cost = np.sum(weight * (product - variance[:, None] * shape) ** 2)
        if cost < best[0]:
            best = cost, variance, length
    return best[1], float(best[2])
