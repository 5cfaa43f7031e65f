"""At how many field positions the stars pay for an ePSF of its own, and what the others borrow."""

import logging

import numpy as np

from jwst_hpastrom.epsf.build.bends import spread, variation_gain
from jwst_hpastrom.epsf.build.start import JUDGED_AT, RIDGE, Difference
from jwst_hpastrom.epsf.stamps.samples import Samples, hat_weights
from jwst_hpastrom.errors import NotEnoughStarsError

__all__ = ["borrow", "field_positions"]

#: errors by which free field positions must explain more than they cost: positions of stars follow the noise
#: of a free ePSF, so that it costs 2.4 times what halves of the stars show at one set of positions
SURE = 2.0
#: degree over the field of what polynomials follow in later iterations, when they are judged anew: a Wiener
#: estimate begins too small. ePSFs are quadratic in a wavefront that changes linearly
FOLLOWED = 2

log = logging.getLogger("stpipe.hpastrom.epsf")


def field_positions(job, use, run, library, config):
    """Return the library at as many field positions as the stars pay for, and how it varies over them.

    A Wiener estimate of polynomials over the field (`Difference`) costs little where there is little to find.
    Every field position is free to differ from it only where two halves of the stars agree on more than that
    by at least `SURE` standard errors. Without variation, or with a linear one, fewer positions hold it.
    """
    later = tuple(run.it + k for k in JUDGED_AT[1:])  # this iteration's judgment is here
    variation = Difference(library, config.band_limit, judged_at=later, own=True)
    smooth = _varied(job, use, run, library, variation)
    halves, followed = run.halves(job, smooth, use), min(variation.varies, FOLLOWED)
    gain, error = variation_gain(halves, smooth, RIDGE, config.band_limit, followed)
    side = library.x.size if variation.varies > 1 else variation.varies + 1
    taken = "free" if gain > SURE * error else f"polynomials, {side} x {side} positions"
    log.info(
        "variance that free field positions explain beyond polynomials over the field, 1e-6 of "
        "the squared peak: %.3g +- %.2g; taken: %s",
        1e6 * gain, 1e6 * error, taken,
    )  # fmt: skip
    if gain > SURE * error:
        return smooth, None
    if side == library.x.size:
        return smooth, variation
    library = spread(library, side, run.shape)
    if side == 1:
        return library, None
    variation = Difference(library, config.band_limit, judged_at=later, own=True)
    return _varied(job, use, run, library, variation), variation


def _varied(job, use, run, library, variation):
    """Let the stars tell how much a library varies over the field; return it with that variation."""
    halves = run.halves(job, library, use)
    variation.judge(halves, use.sum() / len(run.stars.frames))
    return variation.improve(library, Samples.of_all(halves))


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
