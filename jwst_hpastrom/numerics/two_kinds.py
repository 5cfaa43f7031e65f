"""Two-dimensional values of two kinds: a mixture of two normal distributions (Hogg, Bovy & Lang 2010)."""

import numpy as np

__all__ = ["density_of", "kinds_apart", "mixture_of_two", "normal_of", "one_kind", "two_means"]

#: how much wider the other kind may be: wider ones are a tail, which clipping is for
WIDEST_KIND = 3.0
#: third and fourth moments of residuals in their standard deviation between which one kind is all there is:
#: of normal ones 0 and 3; with 5 to 25 % of them off by 6 errors the third is above 0.9, from there to a half
#: the fourth below 2.1
SKEW, FLAT = 0.5, 2.2
#: of a mixture's solution
MIXTURE_STEPS = 60


def kinds_apart(parts):
    """Distance of two normal distributions in their standard deviations."""
    (middle, size), (others, width) = parts
    return np.max(np.abs(middle - others) / np.sqrt(0.5 * (size**2 + width**2)))


def one_kind(z, tiny):
    """Whether third and fourth moments of residuals (2, n) are those of one kind."""
    z = z - z.mean(axis=1, keepdims=True)
    square = z * z
    size = np.maximum(np.sqrt(square.mean(axis=1)), max(tiny, 1e-300))
    third, fourth = (np.einsum("ij,ij->i", square, c) / z.shape[1] for c in (z, square))
    return bool(np.all(np.abs(third) <= SKEW * size**3) and np.all(fourth >= FLAT * size**4))


def mixture_of_two(z, good, tiny):
    """Share of the first of two normal distributions, middles and sizes of both, and the log likelihood."""
    p = np.where(good, 0.99, 0.01)
    for _ in range(MIXTURE_STEPS):
        parts = [normal_of(z, w, tiny)[:2] for w in (p, 1 - p)]
        least = np.maximum(parts[0][1], parts[1][1]) / WIDEST_KIND
        parts = [(middle, np.maximum(size, least)) for middle, size in parts]
        share = float(np.clip(p.mean(), 1e-6, 1 - 1e-6))
        one, other = np.log(share) + density_of(z, *parts[0]), np.log(1 - share) + density_of(z, *parts[1])
        either = np.logaddexp(one, other)
        new = np.exp(one - either)
        moved, p = np.abs(new - p).max(), new
        if moved < 1e-3:
            break
    return share, parts, float(either.sum())


def two_means(values):
    """Return which values are above the cut with the most variance between its sides."""
    order = np.sort(values)
    below = np.arange(1, order.size)
    total = np.cumsum(order - order.mean())[:-1]
    cut = int(np.argmax(total**2 / (below * (order.size - below))))
    return values > order[cut]


def normal_of(z, w, tiny):
    """Mean and standard deviation of weighted residuals (2, n), and the logarithms of their densities."""
    total = max(w.sum(), 1.0)
    middle = z @ w / total
    size = np.maximum(np.sqrt((z - middle[:, None]) ** 2 @ w / total), max(tiny, 1e-300))
    return middle, size, density_of(z, middle, size)


def density_of(z, middle, size):
    """Logarithms of the densities of a normal distribution, but for a constant."""
    return -0.5 * np.sum(((z - middle[:, None]) / size[:, None]) ** 2, axis=0) - np.log(size).sum()
