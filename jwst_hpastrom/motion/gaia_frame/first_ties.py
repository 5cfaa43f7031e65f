"""First transformations of all epochs, from the registration of the lists with one another."""

import numpy as np

from jwst_hpastrom.motion.gaia_frame.frame_tie import EpochTie

__all__ = ["first_ties"]


def first_ties(links, mappings, to_plane, *, degree):
    """Polynomials from every list's pixels to the tangent plane, in a frame that moves with the field.

    Parameters
    ----------
    links : `~jwst_hpastrom.motion.many_epoch.linking.LinkedStars`

    mappings : list of `~jwst_hpastrom.geometry.Mapping`
        Pixels to the common frame, from `~jwst_hpastrom.motion.many_epoch.registration.register_lists`.

    to_plane : `~jwst_hpastrom.geometry.Mapping`
        Common frame to the tangent plane, mas.

    degree : int

    Returns
    -------
    list of `~jwst_hpastrom.motion.gaia_frame.frame_tie.EpochTie`
        Without reference stars: they need none in any epoch, and no bad one turns them.
    """
    ties = []
    for k, mapping in enumerate(mappings):
        ok = np.isfinite(links.x[:, k] + links.y[:, k])
        x, y = links.x[ok, k], links.y[ok, k]
        low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
        tie = EpochTie(degree, (low + high) / 2, max(float((high - low).max()) / 2, 1e-30))
        target = np.stack(to_plane.forward(*mapping.forward(x, y)))
        coefficients = np.linalg.lstsq(tie.design(x, y), target.T, rcond=None)[0].T
        ties.append(EpochTie(degree, tie.center, tie.half_width, coefficients))
    return ties
