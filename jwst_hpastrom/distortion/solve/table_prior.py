"""What is known of the look-up table beforehand: it is as small as its part that no polynomial follows."""

import numpy as np

from jwst_hpastrom.distortion.model.parts import table_nodes
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["TablePrior"]

#: relative size below which a polynomial at the nodes is a sum of others: a table of few cells
SAME = 1e-9


class TablePrior:
    """Normal prior of a table's nodes: all of one deviation, that of what no polynomial follows.

    A table of few cells follows a polynomial well. Structure finer than its cells looks like the kinks of
    such a table, and would drive polynomial and table apart by pixels, were that part of the table to say how
    wide the prior is: in corners, where few stars hold their sum, and in the field that takes the table's
    place, they would not meet again.

    Parameters
    ----------
    layout : `~jwst_hpastrom.distortion.solve.design.Layout`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion.solve.design import Layout
    >>> from jwst_hpastrom.distortion.solve.table_prior import TablePrior
    >>> layout = Layout(1, 4, 1, False, (256, 256))
    >>> prior = TablePrior(layout)
    >>> prior.followed.shape, prior.free
    ((16, 3), 13)
    """

    def __init__(self, layout):
        self.layout, self.free, n = layout, 0, layout.n_cells
        self.followed = np.zeros((n * n, 0))
        if n:
            nodes = np.meshgrid(table_nodes(n, layout.shape[1]), table_nodes(n, layout.shape[0]))
            p, q = ((v.ravel() - c) / layout.half_width for v, c in zip(nodes, layout.center, strict=True))
            u, size, _ = np.linalg.svd(
                polynomial_basis(p, q, polynomial_terms(layout.degree)), full_matrices=False
            )
            self.followed = u[:, size > SAME * size[0]]
            self.free = n * n - self.followed.shape[1]

    @property
    def _tables(self):
        """The unknowns of the tables of x and y."""
        first, n = self.layout.n_polynomial, self.layout.n_cells**2
        return slice(first, first + n), slice(first + n, first + 2 * n)

    def add_to(self, matrix, sigma):
        """Add the inverse covariance to a normal matrix of all unknowns, in place.

        Parameters
        ----------
        matrix : ndarray, shape (layout.n, layout.n)
        sigma : float
            Deviation of a node, pixels.
        """
        for k in self._tables:
            matrix[range(k.start, k.stop), range(k.start, k.stop)] += sigma**-2.0

    def improved(self, theta, covariance, sigma):
        """Deviation of a node that a solution tells; the one before where the table has none of its own.

        Parameters
        ----------
        theta : ndarray
        covariance : ndarray, shape (layout.n_distortion, layout.n_distortion)
        sigma : float
            Before.
        """
        if not self.free:
            return sigma
        total, followed = 0.0, self.followed
        for k in self._tables:
            own = covariance[k, k]
            total += np.sum(theta[k] ** 2) - np.sum((followed.T @ theta[k]) ** 2)
            total += np.trace(own) - np.sum(followed * (own @ followed))
        return float(np.sqrt(total / (2 * self.free)))
