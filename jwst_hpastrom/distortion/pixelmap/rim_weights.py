"""Weights of residuals among which the stars, and waves and trend, are unknowns that are eliminated.

The stars couple the residuals of their exposures, waves and trend those of the whole detector. Neither matrix
is ever written out: each is a product of sparse ones and a small inverse, and a product with it costs a few
operations a residual.
"""

from functools import partial

import numpy as np
from scipy import sparse

from jwst_hpastrom.numerics.threads import at_once

__all__ = ["EliminatingWeights", "best_told"]

BLOCK = 1 << 15  # unknowns of the stars at a time, whose products with all wide terms are dense
MOST = 60_000  # pairs that rims are looked for in: more cost time; the solution itself has all


def best_told(star, weight):
    """Return which pairs are of the stars that weigh most, `MOST` pairs of them.

    Parameters
    ----------
    star : ndarray of int, shape (n,)
        Of each pair.
    weight : ndarray, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    number, weight = np.bincount(star), np.bincount(star, weight)
    first = np.argsort(-weight, kind="stable")
    taken = np.zeros(number.size, bool)
    taken[first[np.cumsum(number[first]) <= MOST]] = True
    return taken[star]


class EliminatingWeights:
    """Weights of the residuals of x and y, the stars' positions and some more unknowns eliminated.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Of single residuals, either axis.
    gather : sparse matrix, shape (m, 2 n)
        What residuals, of x and then of y, add to the stars' own unknowns.
    spread : sparse matrix, shape (2 n, m)
        What these then take from the residuals.
    wide : sequence of two pairs of (sparse matrix (n, p), ndarray (p, k)), optional
        Of each axis: more unknowns, whose prior is one, as a product.
    """

    def __init__(self, weights, gather, spread, wide=()):
        self.weights = np.tile(np.asarray(weights, float), 2)
        self.gather, self.spread = gather.tocsr(), spread.tocsr()
        self.wide, self.inner = None, None
        if wide:
            at, terms = zip(*wide, strict=True)
            self.wide = sparse.block_diag(at, format="csr", dtype=np.float32)
            self.back = self.wide.T.tocsr()
            self.bounds = np.cumsum([0] + [v.shape[0] for v in terms])
            self.terms = [np.ascontiguousarray(v, np.float32) for v in terms]
            self.inner = self._inner()

    @classmethod
    def of_frame(cls, frame, keep, wide=()):
        """Weights of some of the pairs of a `StarFrame`.

        Parameters
        ----------
        frame : `~jwst_hpastrom.distortion.solve.star_frame.StarFrame`
        keep : ndarray of bool
        wide : sequence
            As of the class, at these pairs.
        """
        pairs, n, k = frame.pairs, int(keep.sum()), frame.basis.shape[1]
        known, star = np.unique(pairs.star[keep], return_inverse=True)
        exposure, basis, w = pairs.exposure[keep], frame.basis[keep], frame.w[keep]
        # (n, unknown, axis on the sky, axis on the detector)
        add = np.einsum("n,np,nac->npac", w, basis, frame.inverses[exposure])
        take = np.einsum("nq,nqp,nca->npac", basis, frame.back[known][star], frame.matrices[exposure])
        unknown = (star[:, None, None] * k + np.arange(k)[:, None]) * 2 + np.arange(2)
        row = np.broadcast_to(unknown[..., None], add.shape).ravel()
        column = np.broadcast_to(np.arange(n)[:, None, None, None] + n * np.arange(2), add.shape).ravel()
        size = (2 * k * known.size, 2 * n)
        gather = sparse.csr_array((add.ravel(), (row, column)), size)
        spread = sparse.csr_array((take.ravel(), (column, row)), size[::-1])
        return cls(w, gather, spread, wide)

    @property
    def diagonal(self):
        """Weights of single residuals, the stars eliminated, shape (2, n)."""
        own = self.spread.multiply(self.gather.T).sum(1)
        return (self.weights * (1.0 - np.asarray(own).ravel())).reshape(2, -1)

    def noise(self, rng):
        """Draw noise of these weights, shape (2, n)."""
        return (rng.standard_normal(self.weights.size) / np.sqrt(self.weights)).reshape(2, -1)

    def _about_stars(self, r):
        """Product with residuals (2 n, ...), the stars alone eliminated."""
        left = r - self.spread @ (self.gather @ r)
        return (left.T * self.weights).T

    def _in_terms(self, r):
        """Products of the wide terms with residuals (2 n, ...)."""
        image = self.back @ r.astype(np.float32)
        parts = zip(self.terms, self.bounds, self.bounds[1:], strict=False)
        return np.concatenate([v.T @ image[a:b] for v, a, b in parts])

    def _of_terms(self, z):
        """The wide terms times their unknowns, (2 n, ...)."""
        split = np.split(z, [self.terms[0].shape[1]])
        return self.wide @ np.concatenate([v @ part for v, part in zip(self.terms, split, strict=True)])

    def _inner(self):
        """Inverse normal matrix of the wide terms."""
        heavy = self.back @ sparse.diags_array(self.weights)
        columns, (product, rows) = at_once(
            lambda: (heavy @ self.spread).tocsc(), lambda: (heavy @ self.wide, self.gather @ self.wide)
        )

        def of_axis(axis):
            own, terms = slice(*self.bounds[axis : axis + 2]), self.terms[axis]
            normal = product[:, own] @ terms
            for a in range(0, rows.shape[0], BLOCK):
                normal -= columns[:, a : a + BLOCK] @ (rows[a : a + BLOCK, own] @ terms)
            parts = zip(self.terms, self.bounds, self.bounds[1:], strict=False)
            return np.concatenate([v.T @ normal[a:b] for v, a, b in parts])

        normal = np.hstack(at_once(partial(of_axis, 0), partial(of_axis, 1)))
        return np.linalg.inv(np.eye(len(normal)) + normal).astype(np.float32)

    def halves(self, r):
        """Product with residuals (2 n, m), the stars alone eliminated; what wide terms see of it, (k, m).

        Of residuals a and b, ``a.T @ (self @ b)`` is ``a.T @ p - q.T @ taken(s)`` with the halves (_, q) of a
        and (p, s) of b: where there are many, half the work.
        """
        out = self._about_stars(r)
        return out, np.zeros((0, r.shape[1])) if self.inner is None else self._in_terms(out)

    def taken(self, seen):
        """What the wide terms take, of what they see of residuals; see `halves`."""
        return seen if self.inner is None else self.inner @ seen

    def __matmul__(self, r):
        """Product with residuals of x and then of y, shape (2 n,) or (2 n, m)."""
        out = self._about_stars(r)
        if self.inner is None:
            return out
        return self._about_stars(r - self._of_terms(self.inner @ self._in_terms(out)))
