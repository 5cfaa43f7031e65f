"""What each reference star adds to the joint solution: two numbers an axis, position and motion."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

__all__ = ["ReferenceTerms", "reference_table", "weighted_terms"]


@dataclass(frozen=True)
class ReferenceTerms:
    """Differences of stars' own positions and motions from the catalog's, and how the solution changes them.

    Attributes
    ----------
    difference : ndarray, shape (2, n, 2)
        Own − catalog, position (mas, at the catalog's epoch) and motion (mas/yr), per axis.

    response : ndarray, shape (2, n, 2, m)
        Its derivative by the coefficients.

    own, prior : ndarray, shape (2, n, 2, 2)
        Covariance of the star's own position and motion, and of the catalog's.
    """

    difference: np.ndarray
    response: np.ndarray
    own: np.ndarray
    prior: np.ndarray


def weighted_terms(terms, states, factors):
    """Normal equations of the reference stars, given the probabilities of their states.

    Parameters
    ----------
    terms : `ReferenceTerms`

    states : ndarray, shape (n, n_states)

    factors : sequence of float
        On the catalog's errors, one a state.

    Returns
    -------
    normal : ndarray, shape (2, m, m)

    right : ndarray, shape (2, m)

    weight : ndarray, shape (2, n, 2, 2)
        Mean inverse covariance of every star's difference.
    """
    s = terms.own[:, :, None] + np.square(factors)[:, None, None] * terms.prior[:, :, None]
    weight = np.einsum("nk,ankij->anij", states, np.linalg.inv(s))
    hw = np.einsum("anim,anij->anmj", terms.response, weight)
    normal = np.einsum("anmj,anjk->amk", hw, terms.response, optimize=True)
    return normal, -np.einsum("anmj,anj->am", hw, terms.difference), weight


def reference_table(reference, star, terms, change, covariance, states, factors, *, keep_above=0.5):
    """Every reference star's difference from the catalog in a frame without itself, and its membership.

    Parameters
    ----------
    reference : `~jwst_hpastrom.motion.gaia_frame.reference.ReferenceStars`

    star : ndarray of int

    terms : `ReferenceTerms`

    change, covariance : ndarray, shape (2, m), (2, m, m)
        Of the coefficients, from all stars.

    states, factors
        As in `weighted_terms`.

    keep_above : float
        Stars with a larger membership probability are "kept".

    Returns
    -------
    `~astropy.table.Table`
    """
    weight = weighted_terms(terms, states, factors)[2]
    d = terms.difference + np.einsum("anim,am->ani", terms.response, change)
    spread = np.einsum("anim,amk,anjk->anij", terms.response, covariance, terms.response, optimize=True)
    without = np.linalg.inv(np.eye(2) - spread @ weight)
    d = np.einsum("anij,anj->ani", without, d)
    sigma2 = np.diagonal(without @ spread + terms.own + terms.prior, axis1=2, axis2=3)
    with np.errstate(invalid="ignore"):
        z = np.abs(d) / np.sqrt(sigma2)
    return Table(
        {
            "gaia_row": reference.row,
            "star": star,
            "kept": states[:, 0] > keep_above,
            "membership": states[:, 0],
            "significance": np.max(z, axis=(0, 2)),
            "d_xi": d[0, :, 0],
            "d_eta": d[1, :, 0],
            "d_pm_xi": d[0, :, 1],
            "d_pm_eta": d[1, :, 1],
        },
        meta={
            "units": "without the star − Gaia at Gaia's epoch: mas, mas/yr; significance in σ",
            "membership": "probability that Gaia's stated errors hold",
        },
    )
