"""At how many field positions the stars pay for an ePSF of its own, and what the others borrow."""

import logging

import numpy as np

from jwst_hpastrom.epsf.build.bends import spread, variation_gain
from jwst_hpastrom.epsf.stamps.samples import hat_weights
from jwst_hpastrom.errors import NotEnoughStarsError

__all__ = ["borrow", "field_positions"]

log = logging.getLogger("stpipe.hpastrom.epsf")

RIDGE = 0.02  # weight of a residual of zero, in units of the mean weight at that radius


def field_positions(job, use, run, library, shape, band_limit):
    """Return the library at as many field positions as the stars pay for, at most those it has."""
    gains = {1: 0.0}
    for side in sorted({2, 3, library.x.size}):
        if side <= library.x.size:
            trial = spread(library, side, shape)
            gains[side] = variation_gain(run.halves(job, trial, use), trial, RIDGE, band_limit)
    side = max(gains, key=gains.get)
    found = ", ".join(f"{s} x {s}: {1e6 * g:.3g}" for s, g in gains.items())
    log.info("variance that field positions explain, 1e-6 of the squared peak: %s; taken: %d", found, side)
    return library if side == library.x.size else spread(library, side, shape)


def borrow(data, library, bright, use, min_cell_stars):
    """Replace ePSFs with too few stars by a mean of the others, weighted by 1/distance²."""
    stars = hat_weights((library.x, library.y), bright.at[0][use], bright.at[1][use]).sum(0)
    thin = stars < min_cell_stars
    if thin.all():
        raise NotEnoughStarsError(
            f"at most {stars.max():.1f} stars at a field position", f"{min_cell_stars}", "use a smaller grid"
        )
    x, y = np.tile(library.x, library.y.size), np.repeat(library.y, library.x.size)
    for k in np.flatnonzero(thin):
        w = np.where(thin, 0.0, 1.0 / ((x - x[k]) ** 2 + (y - y[k]) ** 2 + 1.0))
        data[k] = np.tensordot(w / w.sum(), data, 1)
    return data, thin
