"""Reference stars as a mixture of good ones and bad ones, so that bad ones cannot turn the frame."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from jwst_hpastrom.columns import values

__all__ = ["BAD_FACTORS", "FrameMixture", "quality_log_odds", "solve_mixture"]

#: factors on a bad star's stated errors: geometric, from hardly wrong to another star
BAD_FACTORS = (3.0, 9.0, 27.0, 81.0, 243.0)
#: prior counts of good stars, and of bad ones of each factor: most catalog stars are good
GOOD_COUNT, BAD_COUNT = 4.0, 0.5
#: share of the good stars whose quality figures lie anywhere: RUWE; excess noise, which crowding makes alike
ANYWHERE = {"ruwe": 0.01, "astrometric_excess_noise_sig": 0.05}
#: share of the bad stars with figures like the good ones'
UNSEEN = 0.5
#: range of the broad laws of the figures, e-foldings
BROAD = np.log(30.0)
#: directions in which the reference stars tell less than this share of what the field tells are the field's
LEAST_SHARE = 0.01


def quality_log_odds(gaia, *, max_ruwe=1.4, max_excess_noise_sig=2.0):
    """What Gaia's quality figures say of every star: ln(p(figures | bad)/p(figures | good)).

    Parameters
    ----------
    gaia : `~astropy.table.Table`
        ``ruwe``, ``astrometric_excess_noise_sig`` where there.

    max_ruwe, max_excess_noise_sig : float
        Three and two standard deviations of the good stars' figures from 1 and from 0.

    Returns
    -------
    ndarray, shape (n,)
        Zero where nothing is known.

    Notes
    -----
    Good: a half-normal law, with a small share anywhere. Bad: half like the good (a binary of long period has
    a small RUWE), half anywhere, uniformly in the figure's logarithm.
    """
    out = np.zeros(len(gaia))
    scales = {
        "ruwe": (1.0, (max_ruwe - 1.0) / 3.0),
        "astrometric_excess_noise_sig": (0.0, max_excess_noise_sig / 2.0),
    }
    for name, (middle, sigma) in scales.items():
        if name not in gaia.colnames or not (np.isfinite(sigma) and sigma > 0):
            continue
        above = np.maximum(values(gaia, name) - middle, 0.0)
        core = np.sqrt(2 / np.pi) / sigma * np.exp(-0.5 * (above / sigma) ** 2)
        broad = 1 / (BROAD * np.maximum(above, 3 * sigma))
        good = (1 - ANYWHERE[name]) * core + ANYWHERE[name] * broad
        bad = UNSEEN * core + (1 - UNSEEN) * broad
        out += np.nan_to_num(np.log(bad / good))
    return out


@dataclass(frozen=True)
class FrameMixture:
    """Result of `solve_mixture`.

    Attributes
    ----------
    change : ndarray, shape (2, m)
        Posterior mean of the coefficients' changes, per axis.

    covariance : ndarray, shape (2, m, m)
        Their posterior covariance; that the memberships are uncertain is in it.

    states : ndarray, shape (n, 1 + n_factors)
        Probabilities of being good, and bad by each factor.
    """

    change: np.ndarray
    covariance: np.ndarray
    states: np.ndarray

    @property
    def membership(self):
        """Probability of being good, shape (n,)."""
        return self.states[:, 0]


def _reduced(base, right, terms, axis):
    """Directions that the reference stars determine, and the rest; base-orthonormal."""
    scale = 1 / np.sqrt(np.diagonal(base))
    base = base * np.outer(scale, scale)
    h = terms.response[axis] * scale
    s = terms.own[axis] + terms.prior[axis]
    told = np.einsum("nim,nij,njk->mk", h, np.linalg.inv(s), h)
    share, vectors = eigh(told, base)
    vectors = vectors * scale[:, None]
    start = scale * np.linalg.solve(base, scale * right)
    return start, vectors[:, share > LEAST_SHARE], vectors[:, share <= LEAST_SHARE]


def _likelihoods(terms, axis, start, kept, rest, factors):
    """Per star and state: residuals, design, and inverse and determinant of the covariance."""
    h = terms.response[axis] @ kept
    other = terms.response[axis] @ rest
    e = terms.difference[axis] + terms.response[axis] @ start
    own = terms.own[axis] + other @ np.swapaxes(other, 1, 2)
    s = own[:, None] + np.square(factors)[None, :, None, None] * terms.prior[axis][:, None]
    return h, e, np.linalg.inv(s), np.linalg.slogdet(s)[1]


def _squares(d, inverse):
    """Differences (n_chains, n, 2) in units of their errors, squared; (n_chains, n, n_states)."""
    p, q = d[:, :, None, 0], d[:, :, None, 1]
    return inverse[..., 0, 0] * p * p + 2 * inverse[..., 0, 1] * p * q + inverse[..., 1, 1] * q * q


def solve_mixture(base, right, terms, log_odds, *, n_chains=8, n_sweeps=150, n_burn=50, rng=None):
    """Sample the reference stars' memberships together with the frame.

    Parameters
    ----------
    base : ndarray, shape (2, m, m)
        Precision of the coefficients' changes from all but the catalog, positive definite, per axis.

    right : ndarray, shape (2, m)
        Its right-hand side.

    terms : `~jwst_hpastrom.motion.gaia_frame.reference_terms.ReferenceTerms`
        What each reference star adds.

    log_odds : ndarray, shape (n,)
        From `quality_log_odds`.

    n_chains, n_sweeps, n_burn : int
        Chains start with all stars good, and with random ones bad.

    rng : `numpy.random.Generator`, optional
        By default seeded with 1.

    Returns
    -------
    `FrameMixture`

    Notes
    -----
    A good star's difference from the catalog has the covariance of both, a bad star's has the catalog's
    times the square of one of `BAD_FACTORS`, the same for position and motion in both axes; the factors'
    shares are unknown (Dirichlet). Gibbs sampling, alternately of the frame given the memberships (normal),
    and of these given the frame (independent). Only directions that the reference stars determine are
    sampled: a dozen an axis.
    """
    rng = np.random.default_rng(1) if rng is None else rng
    factors = np.array([1.0, *BAD_FACTORS])
    n, n_states = terms.difference.shape[1], factors.size
    reduced = [_reduced(base[a], right[a], terms, a) for a in (0, 1)]
    laws = [_likelihoods(terms, a, *reduced[a], factors) for a in (0, 1)]
    tables = [_normal_terms(h, e, inverse) for h, e, inverse, _ in laws]
    prior = np.r_[GOOD_COUNT, np.full(n_states - 1, BAD_COUNT)]
    state = np.where(rng.uniform(size=(n_chains, n)) < np.linspace(0, 0.6, n_chains)[:, None], 3, 0)
    weights = np.tile(prior / prior.sum(), (n_chains, 1))
    states, total = np.zeros((n, n_states)), 0
    sums = [[np.zeros(h.shape[2]), np.zeros((h.shape[2],) * 2)] for h, *_ in laws]
    odds = log_odds[:, None] * (factors > 1)
    for sweep in range(n_sweeps):
        one = np.zeros((n_chains, n, n_states))
        np.put_along_axis(one, state[:, :, None], 1.0, axis=2)
        flat = one.reshape(n_chains, -1)
        score = np.log(weights)[:, None, :] + odds
        for axis, (h, e, inverse, logdet) in enumerate(laws):
            r = h.shape[2]
            precision = np.eye(r) + (flat @ tables[axis][0]).reshape(n_chains, r, r)
            covariance = np.linalg.inv(precision)
            mean = -(covariance @ (flat @ tables[axis][1])[..., None])[..., 0]
            root = np.linalg.cholesky((covariance + np.swapaxes(covariance, 1, 2)) / 2)
            drawn = mean + (root @ rng.normal(size=(n_chains, r, 1)))[..., 0]
            d = e + (drawn @ h.reshape(-1, r).T).reshape(n_chains, n, 2)
            score = score - 0.5 * (_squares(d, inverse) + logdet)
            if sweep >= n_burn:
                sums[axis][0] += mean.sum(0)
                sums[axis][1] += covariance.sum(0) + mean.T @ mean
        score -= score.max(2, keepdims=True)
        chance = np.exp(score)
        chance /= chance.sum(2, keepdims=True)
        state = np.minimum((np.cumsum(chance, 2) < rng.uniform(size=(n_chains, n, 1))).sum(2), n_states - 1)
        counts = np.stack([(state == k).sum(1) for k in range(n_states)], 1)
        weights = rng.gamma(prior + counts)
        weights /= weights.sum(1, keepdims=True)
        if sweep >= n_burn:
            states += chance.sum(0)
            total += n_chains
    found = [_moments(*axis, first / total, second / total)
             for axis, (first, second) in zip(reduced, sums, strict=True)]  # fmt: skip
    change, covariance = (np.array(part) for part in zip(*found, strict=True))
    return FrameMixture(change, covariance, states / total)


def _normal_terms(h, e, inverse):
    """What each star in each state adds to normal matrix and right-hand side, first axis n n_states."""
    hs = np.einsum("nir,nkij->nkrj", h, inverse)
    n, n_states = inverse.shape[:2]
    normal = np.einsum("nkrj,njs->nkrs", hs, h).reshape(n * n_states, -1)
    return normal, np.einsum("nkrj,nj->nkr", hs, e).reshape(n * n_states, -1)


def _moments(start, kept, rest, mean, square):
    """Mean and covariance of the coefficients, from those of what was sampled (mean, and mean square)."""
    spread = square - np.outer(mean, mean)
    return start + kept @ mean, kept @ spread @ kept.T + rest @ rest.T
