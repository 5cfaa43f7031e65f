"""What held-out stars tell of a correction: neighbors' residuals about their own positions."""

import logging

import numpy as np

from jwst_hpastrom.distortion.pixelmap.random_field import Grid, autocorrelation
from jwst_hpastrom.distortion.solve.star_frame import star_frame

__all__ = ["NeighborResiduals", "fit_structure", "held_out_frame", "with_structure"]

log = logging.getLogger("stpipe.hpastrom.distortion")
#: fewest measurements of held-out stars: their products are then known to a tenth of the residuals' variance
FEWEST = 500
#: reaches that are tried, pixels: from what neighbors a few pixels apart still share to half a table's cell
LENGTHS = np.geomspace(6.0, 32.0, 18)


def held_out_frame(pairs, transforms, r):
    """Stars that no fit has used, but for wrong pairs.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`
    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Ideal plane to corrected pixels.
    r : ndarray, shape (2, n)
        Residuals of all pairs with the correction, pixels.

    Returns
    -------
    `~jwst_hpastrom.distortion.solve.star_frame.StarFrame`
    """
    test = ~pairs.fitted
    frame = star_frame(pairs, transforms, test)
    good = test & (np.max(np.abs(frame.about(r)) * np.sqrt(frame.w), 0) < 5)
    return star_frame(pairs, transforms, good)


class NeighborResiduals:
    """Residuals of stars about their own positions, and what neighboring ones have in common.

    Of stars that no fit has used that is the correction's error, but for what repeats at the dither steps and
    so moves the stars themselves; of those of a solution, what it is off by beyond what its prior expects,
    but for the noise that it follows.

    Parameters
    ----------
    frame : `~jwst_hpastrom.distortion.solve.star_frame.StarFrame`
    """

    def __init__(self, frame):
        self.frame, self.pairs, self.k = frame, frame.pairs, frame.w > 0
        height, width = self.pairs.y.max() + 1.0, self.pairs.x.max() + 1.0
        self.grid = Grid((int(np.ceil(height / 4)) * 4, int(np.ceil(width / 4)) * 4), 4, 1)

    def products(self, r, nearest=6.0, farthest=30.0):
        """Distances (m,), mean products (2, m) of either axis at these, and their weights; pixels.

        None for too few stars.
        """
        if self.k.sum() < FEWEST:
            return None
        r, w, share = self.frame.about(r)[:, self.k], self.frame.w[self.k], self.frame.share[self.k]
        ny, nx = self.grid.size
        i, j = (np.clip((v[self.k] + 0.5) / 4, 0, n - 1).astype(int)
                for v, n in ((self.pairs.x, nx), (self.pairs.y, ny)))  # fmt: skip
        flat = j * nx + i
        weight = np.bincount(flat, w, ny * nx).reshape(ny, nx)
        products, norms = [], []
        for v in r:
            mean = np.bincount(flat, w * v, ny * nx).reshape(ny, nx) / np.maximum(weight, 1e-30)
            distance, product, norm = autocorrelation(mean, weight, self.grid)
            use = (distance >= nearest) & (distance <= farthest)
            products.append(product[use])
            norms.append(norm[use])
        return distance[use], np.array(products) / np.average((1 - share) ** 2, weights=w), np.array(norms)


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
    >>> from jwst_hpastrom.distortion.pixelmap.held_out import fit_structure
    >>> d = np.array([8.0, 12.0, 16.0, 24.0])
    >>> v, length = fit_structure(d, 2.0 * np.exp(-0.5 * (d / 15) ** 2)[None], np.ones((1, 4)))
    >>> v.round(1), round(length)
    (array([2.]), 15)
    """
    variance, cost = _of_lengths(distance, product, weight)
    best = np.argmin(cost.sum(1))
    return variance[best], float(LENGTHS[best])


def _of_lengths(distance, product, weight):
    """Variances (m, n) of Gaussians of each of the reaches, and minus their log likelihoods (m, n)."""
    shape = np.exp(-0.5 * (distance / LENGTHS[:, None]) ** 2)
    variance = np.maximum((shape @ (weight * product).T) / (shape**2 @ weight.T), 0.0)
    left = product - variance[..., None] * shape[:, None]
    return variance, 0.5 * np.sum(weight * left**2, axis=2)


def with_structure(errors, test, left, samples, strength):
    """Add what stars have in common beyond simulated ones to an error model.

    Its size at no distance is an average over the reaches and over there being none, by Akaike's weights: of
    few stars noise alone would find the shortest ones, which it tells least of. What stars some pixels apart
    have in common is less, by half of the errors where structure is as fine as these are far.

    Parameters
    ----------
    errors : `~jwst_hpastrom.distortion.model.error_model.ErrorModel`
    test : `NeighborResiduals`
    left : ndarray, shape (2, n)
        Residuals of all pairs with the correction, pixels.
    samples : sequence of ndarray, shape (2, n)
        The same of simulations.
    strength : ndarray, shape (ny, nx)
        Relative variance over the detector: where it goes.

    Returns
    -------
    `~jwst_hpastrom.distortion.model.error_model.ErrorModel`
    """
    seen = test.products(left)
    if seen is None:
        return errors
    distance, product, weight = seen
    product = product - np.mean([test.products(r)[1] for r in samples], axis=0)
    weight = weight / (1 + 1 / len(samples))
    variance, cost = _of_lengths(distance, product, weight)
    none = 0.5 * np.sum(weight * product**2, axis=1)
    # the one free number, the variance, costs one
    cost = np.concatenate([none[None], cost + 1 + np.log(LENGTHS.size)])
    share = np.exp(cost.min(0) - cost)
    each = share[1:] / share.sum(0) * variance
    structure = each.sum(0)
    length = float(np.average(LENGTHS, weights=each.sum(1) + 1e-30))
    log.info(
        "structure finer than the map: variances %.2e %.2e px² of %.2e, reach %.0f px",
        *structure, errors.variance.mean(), length,
    )  # fmt: skip
    return errors.with_structure(structure, length, strength)
