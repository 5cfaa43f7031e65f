"""Linear model of all residuals as sparse matrices: polynomial, table, similarities, change with time."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from jwst_hpastrom.distortion.model.parts import table_nodes
from jwst_hpastrom.distortion.solve import _kernels
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["Layout", "distortion_rows", "pair_rows", "table_weights"]


@dataclass(frozen=True)
class Layout:
    """Order of the unknowns: polynomial (gauge "center"), table x, table y, exposures, change with time.

    Attributes
    ----------
    degree : int
    n_cells : int
        Table cells along each axis; 0 for none.
    n_exposures : int
    shared_scale : bool
        Whether the exposures have free shifts and rotations only.
    shape : tuple of int
    drift : bool
        Whether scale and skew change with time.
    """

    degree: int
    n_cells: int
    n_exposures: int
    shared_scale: bool
    shape: tuple
    drift: bool = False

    @property
    def terms(self):
        """Exponents beyond the first order."""
        return polynomial_terms(self.degree, 2)

    @property
    def n_polynomial(self):
        """Two first-order terms (a_10 - b_01 and a_01 + b_10), then x and y of each higher one."""
        return 2 + 2 * len(self.terms)

    @property
    def n_distortion(self):
        """Unknowns of polynomial and table."""
        return self.n_polynomial + 2 * self.n_cells**2

    @property
    def per_exposure(self):
        """Unknowns of an exposure."""
        return 3 if self.shared_scale else 4

    @property
    def n(self):
        """All unknowns but the stars'."""
        return self.n_distortion + self.per_exposure * self.n_exposures + self.n_drift

    @property
    def n_drift(self):
        """Unknowns of the change with time: scale, a10 - b01, a01 + b10, pixels at the edge a year."""
        return 3 if self.drift else 0

    @property
    def center(self):
        """Polynomial's center, 0-based pixels."""
        return np.array([self.shape[1] / 2 - 1.0, self.shape[0] / 2 - 1.0])

    @property
    def half_width(self):
        """Polynomial's half-width, pixels."""
        return max(self.shape) / 2.0

    def names(self):
        """Names of the polynomial's unknowns."""
        out = ["a10-b01", "a01+b10"]
        for i, j in self.terms:
            out += [f"a{i}{j}", f"b{i}{j}"]
        return out

    def coefficients(self, theta):
        """Coefficients (a, b) of the increment, in the order of ``polynomial_terms(degree, 1)``."""
        high = theta[2 : self.n_polynomial]
        a = np.r_[theta[0], theta[1], high[0::2]]
        b = np.r_[theta[1], -theta[0], high[1::2]]
        return a, b

    def tables(self, theta):
        """Increments of the table, each of shape (n_cells, n_cells)."""
        n = self.n_cells
        t = theta[self.n_polynomial : self.n_distortion]
        return t[: n * n].reshape(n, n), t[n * n :].reshape(n, n)


def table_weights(x, y, n_cells, shape):
    """Return the four nodes of each position and their bilinear weights, each of shape (n, 4)."""
    index, fraction = [], []
    for v, n in ((x, shape[1]), (y, shape[0])):
        nodes = table_nodes(n_cells, n)
        k = np.clip(np.searchsorted(nodes, v, side="right") - 1, 0, n_cells - 2)
        index.append(k)
        fraction.append(np.clip((v - nodes[k]) / (nodes[k + 1] - nodes[k]), 0, 1))
    (i, j), (f, g) = index, fraction
    node = np.stack(
        [j * n_cells + i, j * n_cells + i + 1, (j + 1) * n_cells + i, (j + 1) * n_cells + i + 1], 1
    )
    return node, np.stack([(1 - g) * (1 - f), (1 - g) * f, g * (1 - f), g * f], 1)


def distortion_rows(layout, x, y):
    """Derivatives of the correction by polynomial and table.

    Returns
    -------
    rows_x, rows_y : `scipy.sparse.csr_array`, shape (n, n_distortion)
    """
    n = x.size
    p, q = (x - layout.center[0]) / layout.half_width, (y - layout.center[1]) / layout.half_width
    high = polynomial_basis(p, q, layout.terms)
    zero = np.zeros_like(high)
    blocks_x = [np.c_[p, q], np.stack([high, zero], 2).reshape(n, -1)]
    blocks_y = [np.c_[-q, p], np.stack([zero, high], 2).reshape(n, -1)]
    out = [sparse.csr_array(np.hstack(b)) for b in (blocks_x, blocks_y)]
    if layout.n_cells:
        node, weight = table_weights(x, y, layout.n_cells, layout.shape)
        rows = np.repeat(np.arange(n), 4)
        size = layout.n_cells**2
        table = sparse.csr_array((weight.ravel(), (rows, node.ravel())), shape=(n, size))
        empty = sparse.csr_array((n, size))
        out = [sparse.hstack([out[0], table, empty], "csr"), sparse.hstack([out[1], empty, table], "csr")]
    for m in out:
        m.eliminate_zeros()
    return out


def pair_rows(layout, x, y, exposure, arm, years):
    """Derivatives of pairs' residuals (correction - transformation) by all unknowns but the stars'.

    All rows have as many values, so that they are written where they belong at once.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Raw positions.
    exposure : ndarray of int, shape (n,)
    arm : ndarray, shape (2, n)
        Positions about the exposure's center over the polynomial's half-width.
    years : ndarray, shape (n,)
        Times of the exposures.

    Returns
    -------
    rows_x, rows_y : `scipy.sparse.csr_array`, shape (n, layout.n)
    """
    n, m, size = x.size, layout.per_exposure, layout.n_cells**2
    p, q = ((v - c) / layout.half_width for v, c in zip((x, y), layout.center, strict=True))
    node, weight = np.zeros((n, 0), int), np.zeros((n, 0))
    if layout.n_cells:
        node, weight = table_weights(x, y, layout.n_cells, layout.shape)
    width = 2 + len(layout.terms) + node.shape[1] + m - 1 + layout.n_drift
    columns, values = np.empty((2, n, width), np.int32), np.empty((2, n, width))
    sizes = np.array([layout.n_polynomial, size, m, layout.n - layout.n_drift, layout.n_drift])
    _kernels.fill_rows(
        np.stack([p, q]), np.array(layout.terms, int).reshape(-1, 2), node, weight, exposure, arm, years,
        sizes, columns, values,
    )  # fmt: skip
    start = np.arange(n + 1, dtype=np.int32) * width
    return [
        sparse.csr_array((v.ravel(), c.ravel(), start), shape=(n, layout.n))
        for v, c in zip(values, columns, strict=True)
    ]
