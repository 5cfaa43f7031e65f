"""Extended sources: clumps of "stars" that are one galaxy."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

__all__ = ["clumps", "misfit"]

EXTENDED = 0.3  # misfit of what a star's image does not describe
UNLIKE = 0.6  # misfit of what does not look like a star at all
LINK = 4.0  # pixels between members of a clump
SIGMA = 5.0  # significance of residuals above the noise


def misfit(qfit, chi2, n_pixels):
    """Return QFIT without the noise's part; 0 where residuals are not significantly above the noise.

    Parameters
    ----------
    qfit, chi2 : ndarray
        Sum of the residuals' sizes over the flux; χ² per degree of freedom.

    n_pixels : ndarray
        Pixels in ``chi2``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        clear = (chi2 - 1.0) * np.sqrt(0.5 * n_pixels) > SIGMA
        return np.where(clear, qfit * np.sqrt(np.maximum(1.0 - 1.0 / chi2, 0.0)), 0.0)


def clumps(x, y, flux, misfits, unsure):
    """Find the sources that together are an extended one.

    Neighbors that do not look like stars at all belong together. So do fainter sources among them that are
    extended or that show no star clearly. Stars in front of a galaxy keep most of their light in their own
    image and stay stars.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pixels.

    flux : ndarray, shape (n,)

    misfits : ndarray, shape (n,)
        From `misfit`.

    unsure : ndarray of bool, shape (n,)
        Sources whose residuals are as bright as themselves, by the noise or not.

    Returns
    -------
    ndarray of int, shape (n,)
        Row of the brightest source of the clump that a source belongs to; its own where it is in none.
    """
    head = np.arange(x.size)
    core = np.flatnonzero(misfits > UNLIKE)
    if core.size == 0:
        return head
    tree = cKDTree(np.c_[x[core], y[core]])
    i, j = tree.query_pairs(LINK, output_type="ndarray").reshape(-1, 2).T
    graph = coo_array((np.ones(i.size), (i, j)), shape=(core.size, core.size))
    _, label = connected_components(graph, directed=False)
    order = np.lexsort((-flux[core], label))
    first = np.r_[True, np.diff(label[order]) > 0]
    head[core] = core[order[first]][label]
    rest = np.setdiff1d(np.flatnonzero(unsure | (misfits > EXTENDED)), core)
    distance, near = tree.query(np.c_[x[rest], y[rest]])
    near = head[core[near]]
    inner = (misfits[rest] > EXTENDED) & (distance < 0.5 * LINK) & (flux[rest] < flux[near])
    ok = inner | (distance < LINK) & (flux[rest] < 0.3 * flux[near])
    head[rest[ok]] = near[ok]
    return head
