"""How often a pattern of the detector that spoils errors can be told from none, at 5 % false alarms.

A field of stars in dithered exposures, without a catalog. A pattern of second to fourth degree, all terms of
one size, is in every exposure. What dithers show of it are its terms of third and fourth degree, less the
stars' means and the exposures' transformations, with the noise of the measurements. The most powerful test of
one size against none is their likelihood ratio (Neyman and Pearson 1933): no flag finds more fields, whatever
it is made of, if it is to spare 95 % of the clean ones. Sizes are those that make the stars' own errors 1.15,
1.3, 1.5 and 2 times too small. Takes seconds::

    python benchmarks/limit_flags.py
"""

import numpy as np

#: regimes: stars in the field of an exposure, dither offsets in a row, dither step in arcsec
REGIMES = ((60, 2, 12.0), (150, 2, 12.0), (60, 3, 12.0), (150, 3, 12.0), (600, 3, 4.0), (600, 3, 12.0))
PIXEL, HALF, ERROR = 65.6, 1024.0, 0.0035
TRIALS, FALSE = 20000, 0.05


def terms_of(x, y, degrees):
    p, q = x / HALF - 1, y / HALF - 1
    return np.stack([p ** (d - j) * q**j for d in degrees for j in range(d + 1)], 1)


def field(rng, n, row, step):
    """Errors of coefficients; a mean's variance for coefficients of variance one, and its own variance."""
    side = HALF + row * step * 1e3 / PIXEL
    sky = rng.uniform(HALF - side, HALF + side, (2, int(n * (side / HALF) ** 2)))
    grid = [(0, 0), (1, 1)] if row == 2 else [(i - 1, j - 1) for i in range(3) for j in range(3)]
    star, exposure, xy = [], [], []
    for k, (i, j) in enumerate(grid):
        at = sky - np.array([[i], [j]]) * step * 1e3 / PIXEL
        s = np.flatnonzero(np.all((at > 0) & (at < 2 * HALF), axis=0))
        star, exposure, xy = [*star, s], [*exposure, np.full(s.size, k)], [*xy, at[:, s]]
    star, exposure, (x, y) = np.concatenate(star), np.concatenate(exposure), np.concatenate(xy, axis=1)
    count = np.bincount(star, minlength=sky.shape[1])
    use = count[star] >= min(3, len(grid))
    _, star = np.unique(star[use], return_inverse=True)
    exposure, x, y = exposure[use], x[use], y[use]
    one = np.eye(star.max() + 1)[star]
    frame = np.concatenate(
        [(exposure == k)[:, None] * terms_of(x, y, (0, 1)) for k in range(len(grid))], axis=1
    )
    every = terms_of(x, y, (2, 3, 4))
    # means and transformations follow what they can; the frame's own six parameters are free
    design = np.hstack([one, frame[:, 3:]])
    followed = np.linalg.lstsq(design, every, rcond=None)[0]
    left = every - design @ followed
    size = np.linalg.svd(left, compute_uv=False)
    shown = ERROR / size[size > 1e-6 * size[0]]
    means = followed[: one.shape[1]]
    place = np.stack([np.bincount(star, c) / np.bincount(star) for c in (x, y)])
    line = terms_of(*place, (0, 1))
    means = means - line @ np.linalg.lstsq(line, means, rcond=None)[0]
    return shown, np.mean(np.sum(means**2, axis=1)), ERROR**2 * np.mean(1 / np.bincount(star))


def power(rng, shown, size):
    """Share of fields with a pattern of this size that the likelihood ratio finds, both axes."""
    noise = np.tile(shown**2, 2)
    weight = size**2 / (noise + size**2) / noise
    z = rng.normal(size=(2, TRIALS, noise.size)) ** 2
    clean, with_it = z[0] * noise @ weight, z[1] * (noise + size**2) @ weight
    return np.mean(with_it > np.quantile(clean, 1 - FALSE))


def main():
    print("stars  exposures  step   found where own errors are 1.15, 1.3, 1.5, 2 times too small (size, px)")
    for n, row, step in REGIMES:
        rng = np.random.default_rng(1)
        shown, per_square, own = field(rng, n, row, step)
        sizes = [np.sqrt(own * (f**2 - 1) / per_square) for f in (1.15, 1.3, 1.5, 2.0)]
        found = [power(rng, shown, s) for s in sizes]
        print(
            f"{n:5d}  {2 if row == 2 else 9:9d}  {step:4.0f}  ",
            "  ".join(f"{100 * p:3.0f} % ({s:.4f})" for p, s in zip(found, sizes, strict=True)),
        )


if __name__ == "__main__":
    main()
