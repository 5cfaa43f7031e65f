"""What a star that a correction was made from shares in its exposures: more than any other star there.

A bright star's measurements are so good that the correction brings them together; what its catalog position
or its other exposures are off by is then in all of them, and no scatter tells.
"""

from dataclasses import replace

import numpy as np

from jwst_hpastrom.numerics.groups import without_linear

__all__ = ["with_own_stars"]

#: stars in a class of measurement errors, and the most classes
IN_CLASS, CLASSES = 150, 8


def with_own_stars(errors, pairs, samples, keep):
    """Add to an error model what the stars of the solution have in common in their exposures.

    Parameters
    ----------
    errors : `~jwst_hpastrom.distortion.model.error_model.ErrorModel`
    pairs : `~jwst_hpastrom.distortion.Pairs`
    samples : sequence of ndarray, shape (2, 2, n)
        Simulated errors of the corrected positions of all pairs, and of these the measurements'.
    keep : ndarray of bool
        Pairs that the solution was made from.

    Returns
    -------
    `~jwst_hpastrom.distortion.model.error_model.ErrorModel`
        With `own_error` and `own_share`: the mean product of the errors of two of a star's exposures over the
        correction's variance at these places; without them where stars or dithers are too few.
    """
    k = np.flatnonzero(keep)
    star, n_stars = pairs.star[k], pairs.held_out.size
    n = np.bincount(star, minlength=n_stars)
    measured = np.bincount(star, 0.5 * (pairs.x_err[k] ** 2 + pairs.y_err[k] ** 2), n_stars) / np.maximum(
        n, 1
    )
    some = np.flatnonzero(n >= 2)
    if some.size < IN_CLASS:
        return errors
    product = np.zeros((2, n_stars))
    for sample in samples:
        error, noise = sample[..., k]
        without_linear(error, pairs.exposure[k], pairs.x[k], pairs.y[k])
        # the noise's own products, which are nothing in the mean, would only be noise
        for e, sign in ((error, 1), (noise, -1)):
            for axis in (0, 1):
                total, square = (np.bincount(star, v, n_stars) for v in (e[axis], e[axis] ** 2))
                product[axis] += sign * (total**2 - square) / np.maximum(n * (n - 1), 1) / len(samples)
    variance = np.stack([np.bincount(star, e**2, n_stars) for e in errors.error(pairs.x[k], pairs.y[k])])
    variance /= np.maximum(n, 1)
    order = some[np.argsort(measured[some], kind="stable")]
    parts = np.array_split(order, max(1, min(CLASSES, order.size // IN_CLASS)))
    share = [np.clip(product[:, p].mean(1) / np.maximum(variance[:, p].mean(1), 1e-30), 0, 1) for p in parts]
    return replace(
        errors,
        own_error=np.sqrt([np.median(measured[p]) for p in parts]),
        own_share=np.array(share).T,
        exposures=tuple(str(m.get("filename")) for m in pairs.metas),
    )
