"""Reference stars of which some are wrong: which of them, by the evidence of a shrunk fit to the others."""

import numpy as np
from scipy.special import logsumexp

from jwst_hpastrom.distortion.shrunk import SIZES, STRUCTURES, decomposed, size_prior
from jwst_hpastrom.geometry.wrong_pairs import FEWEST, NEAREST, Choice
from jwst_hpastrom.numerics.choices import FACTORS, LEAST, log_shares, probabilities

__all__ = ["likely_references"]

#: every how manieth of the structures and sizes that a fit averages over is enough to compare choices
COARSE_STRUCTURES, COARSE_SIZES = 3, 8
#: likeliest choices of each number of wrong stars from which those of one more are made: two that are wrong
#: alike hide each other, so that one of them alone need not be likely
KEPT = 12
#: right ones that the share of wrong ones is believed to be known from: of a catalog's stars, which are
#: matched by position and magnitude, one in twenty is wrong. With a fifth a good one of a dozen is left out
#: in one field of eight
RIGHT = 19.0
#: numbers of wrong stars that are tried beyond the last one that was likely
BEYOND = 2


def likely_references(free, terms, data, variance, size, least=1.0):
    """Choices of good reference stars that are likely, the most probable first.

    A star is good, as `~jwst_hpastrom.distortion.shrunk.shrunk_fit` takes it, or off by any size from three
    errors on, and the share of such ones is unknown. Coefficients, their size, structure and share are
    integrated out for each choice; what leaving stars out changes follows from the fit to all of them.
    Most stars are good.

    Parameters
    ----------
    free, terms, data, variance, size, least
        As of `~jwst_hpastrom.distortion.shrunk.shrunk_fit`.

    Returns
    -------
    list of `~jwst_hpastrom.geometry.wrong_pairs.Choice`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion.wrong_references import likely_references
    >>> rng, x = np.random.default_rng(1), np.linspace(-1, 1, 20)
    >>> free, terms = np.ones((2, 20, 1)), np.stack([x, x])[:, :, None]
    >>> data = 3 * terms[:, :, 0] + rng.normal(0, 0.1, (2, 20))
    >>> data[0, 4] += 2.0
    >>> best = likely_references(free, terms, data, np.full(20, 0.01), size=1.0)[0]
    >>> np.flatnonzero(~best.good), bool(best.probability > 0.7)
    (array([4]), True)
    """
    n, spare = variance.size, 2 * variance.size - free.shape[2] - FEWEST
    fits = _Fits(free, terms, data, variance, size, least)
    values = {(): fits.value}
    best, level, since = [()], 0, 0
    while best and level < min(n // 2, spare // 2) and since < BEYOND:
        level += 1
        found = {}
        for wrong in best:
            for i, value in enumerate(fits.with_one_more(wrong)):
                if np.isfinite(value):
                    found[tuple(sorted((*wrong, i)))] = value
        best = sorted(found, key=found.get, reverse=True)[:KEPT]
        likely = best and found[best[0]] > max(values.values()) + np.log(LEAST)
        since = 0 if likely else since + 1
        values |= {wrong: found[wrong] for wrong in best}
    order = sorted(values, key=values.get, reverse=True)[:KEPT]
    probability = probabilities(np.array([values[wrong] for wrong in order]), LEAST)
    out = []
    for wrong, p in zip(order, probability, strict=True):
        if p > 0:
            good = np.ones(n, bool)
            good[list(wrong)] = False
            out.append(Choice(good, float(p)))
    return out


class _Fits:
    """Fits to all stars at each structure and size; from them those to fewer, in units of their errors."""

    def __init__(self, free, terms, data, variance, size, least):
        n, k, m = variance.size, free.shape[2], terms.shape[2]
        columns = np.concatenate([free, terms, data[:, :, None]], axis=2).reshape(2 * n, -1)
        own, sizes = np.sqrt(np.median(variance)), SIZES[::COARSE_SIZES] if m else SIZES[:1]
        structures = STRUCTURES[::COARSE_STRUCTURES]
        prior = size_prior(structures, sizes, least)
        bases, residuals, roots, logs = [], [], [], []
        for j, structure in enumerate(own * structures):
            fit = decomposed(columns, k, np.sqrt(variance + structure**2), (size * sizes) ** 2)
            base, rest, residual = fit.smoothing(columns)
            for shrink, found in zip(fit.shrink, fit.shrink * fit.along, strict=True):
                seen = np.concatenate([base, rest * np.sqrt(shrink)], 1)
                bases.append(seen.reshape(2, n, -1))
                residuals.append((residual - rest @ found).reshape(2, n))
                roots.append(fit.root[:n])
            logs.append(prior[j] + fit.log)
        self.base = np.ascontiguousarray(np.moveaxis(bases, 1, 2))  # (grid, n, 2, k + m)
        self.rest, self.root = np.moveaxis(residuals, 1, 2), np.array(roots)
        self.log, self.n = np.concatenate(logs), n
        self.value = logsumexp(self.log) + self._share(0)

    def _share(self, wrong):
        return log_shares(self.n - wrong, wrong, right=RIGHT)

    def with_one_more(self, wrong):
        """Logarithms of the probability (n,) that these stars and one more are wrong; NaN for themselves."""
        g, n, w = self.log.size, self.n, len(wrong)
        own = np.eye(2) - np.einsum("gnac,gnbc->gnab", self.base, self.base)
        rest, log = self.rest, self.log
        if w:
            inside, flat = list(wrong), self.base.reshape(g, 2 * n, -1)
            of = self.base[:, inside].reshape(g, 2 * w, -1)
            block = np.linalg.inv(np.eye(2 * w) - of @ np.swapaxes(of, 1, 2))
            across = -flat @ np.swapaxes(of, 1, 2)
            back = across @ block
            own = own - np.einsum("gnac,gnbc->gnab", *(c.reshape(g, n, 2, -1) for c in (back, across)))
            e = self.rest[:, inside].reshape(g, 2 * w)
            before = np.einsum("gij,gj->gi", block, e)
            rest = self.rest - np.einsum("gij,gj->gi", back, e).reshape(g, n, 2)
            log = log + 0.5 * np.sum(e * before, axis=1) + 0.5 * np.linalg.slogdet(block)[1]
        determinant = np.maximum(own[..., 0, 0] * own[..., 1, 1] - own[..., 0, 1] ** 2, 1e-300)
        off = np.stack(
            [own[..., 1, 1] * rest[..., 0] - own[..., 0, 1] * rest[..., 1],
             own[..., 0, 0] * rest[..., 1] - own[..., 0, 1] * rest[..., 0]], -1,
        ) / determinant[..., None]  # fmt: skip
        log = log[:, None] + 0.5 * np.sum(rest * off, axis=2) - 0.5 * np.log(determinant)
        log = log + _stray(np.sum(off**2, axis=2))  # errors in the densities of good and wrong ones cancel
        if w:
            other = before[:, None] - np.einsum("gnaw,gna->gnw", back.reshape(g, n, 2, -1), off)
            log = log + _stray(np.sum(other.reshape(g, n, w, 2) ** 2, axis=3)).sum(2)
        out = logsumexp(log, axis=0) + self._share(w + 1)
        out[list(wrong)] = np.nan
        return out


def _stray(square):
    """Logarithm of a wrong star's density over a good one's constant factor, of squares in its errors."""
    return -np.log(FACTORS * np.maximum(square, NEAREST**2))
