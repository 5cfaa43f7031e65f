"""Star lists with an invented distortion: known truth for every test of this folder."""

import numpy as np
import pytest
from astropy.table import Table

SHAPE = (512, 512)
SCALE = 65.6
POINTING = {"v2_ref": -290.0, "v3_ref": -698.0, "v3yangle": 0.56, "vparity": -1}


def true_delta(x, y):
    """Polynomial up to degree 3, a wave and a bump: pixels to be added to raw positions."""
    p, q = (x - 255) / 256, (y - 255) / 256
    dx = 1.5 * p * q - 0.8 * q**2 + 0.5 * p**3 + 0.4 * q + 0.02 * np.sin(2 * np.pi * x / 150)
    dy = -1.1 * p**2 + 0.7 * p * q + 0.4 * q**3 + 0.4 * p + 0.02 * np.sin(2 * np.pi * y / 150 + 1)
    bump = 0.05 * np.exp(-0.5 * ((x - 300) ** 2 + (y - 200) ** 2) / 30**2)
    return dx + bump, dy - bump


def raw_from_corrected(u, v):
    x, y = u.copy(), v.copy()
    for _ in range(40):
        dx, dy = true_delta(x, y)
        x, y = u - dx, v - dy
    return x, y


def make_lists(
    rng,
    *,
    n_stars=6000,
    n_side=3,
    rolls=(0.0,),
    dither=4.0,
    noise=0.006,
    catalog_error=0.5,
    motions=True,
    va_scale=0.99995,
    filt="F277W",
    scale=SCALE,
    known=0.0,
):
    """Return star lists, a reference catalog at another epoch, and the stars' truth."""
    from jwst_hpastrom.distortion.model.ideal import IdealPlane
    from jwst_hpastrom.geometry import TangentPlane

    plane = TangentPlane(80.5, -69.5)
    half = 0.5 * SHAPE[0] * SCALE / 1e3 * 1.45 + dither * (n_side - 1) / 2
    xi, eta = rng.uniform(-half, half, (2, n_stars))
    mag = rng.uniform(-7, -4, n_stars)
    pm = rng.normal(0, 1.5, (2, n_stars)) if motions else np.zeros((2, n_stars))
    epoch, dt = 2006.0, 16.0
    lists = []
    steps = (np.arange(n_side) - (n_side - 1) / 2) * dither
    for k, (a, b) in enumerate((a, b) for b in steps for a in steps):
        roll = 30.0 + rolls[k % len(rolls)]
        ra0, dec0 = plane.to_sky(a, b)
        meta = {
            **POINTING, "ra_ref": float(ra0), "dec_ref": float(dec0), "roll_ref": roll, "va_scale": va_scale,
            "filename": f"jw{k:03d}_{filt}_cal.fits", "filter": filt, "instrument": "NIRISS",
            "detector": "NIS", "epoch": epoch + dt, "xstart": 1, "ystart": 1,
        }  # fmt: skip
        own = IdealPlane(meta, (float(ra0), float(dec0)))
        ra, dec = plane.to_sky(xi + pm[0] * dt / 1e3, eta + pm[1] * dt / 1e3)
        u, v = own.from_sky(ra, dec)
        u, v = u / va_scale * 1e3 / scale + 255, v / va_scale * 1e3 / scale + 255
        x, y = raw_from_corrected(u, v)
        inside = (x > 1) & (x < SHAPE[1] - 2) & (y > 1) & (y < SHAPE[0] - 2)
        x, y = x[inside], y[inside]
        n = x.size
        x, y = x + rng.normal(0, noise, n), y + rng.normal(0, noise, n)
        # the user's WCS: pointing off by 0.7 arcsec and a linear distortion, but for the known fraction
        dx, dy = (known * d for d in true_delta(x, y))
        size, off = scale * va_scale / 1e3, 1 - known
        sky = plane_inverse(own, (x + dx - 255) * size + 0.6 * off, (y + dy - 255) * size - 0.3 * off)
        lists.append(
            Table(
                {
                    "x": x, "y": y, "x_err": np.full(n, max(noise, 1e-3)),
                    "y_err": np.full(n, max(noise, 1e-3)),
                    "mag": mag[inside], "qfit": np.full(n, 0.02), "flags": np.zeros(n, int), "ra": sky[0],
                    "dec": sky[1], "star": np.flatnonzero(inside),
                },
                meta=meta,
            )
        )  # fmt: skip
    e = catalog_error
    ra, dec = plane.to_sky(xi + rng.normal(0, e, n_stars) / 1e3, eta + rng.normal(0, e, n_stars) / 1e3)
    p_err = e / 16
    reference = Table(
        {
            "id": np.arange(n_stars), "ra": ra, "dec": dec, "ra_error": np.full(n_stars, max(e, 1e-4)),
            "dec_error": np.full(n_stars, max(e, 1e-4)), "pmra": pm[0] + rng.normal(0, 1, n_stars) * p_err,
            "pmdec": pm[1] + rng.normal(0, 1, n_stars) * p_err,
            "pmra_error": np.full(n_stars, max(p_err, 1e-5)),
            "pmdec_error": np.full(n_stars, max(p_err, 1e-5)), "mag": mag + 25,
        },
        meta={"epoch": epoch, **plane.to_meta()},
    )  # fmt: skip
    return lists, reference


def plane_inverse(own, u, v):
    """Ideal plane to sky by iteration."""
    from jwst_hpastrom.geometry import TangentPlane

    plane = TangentPlane(own.meta["ra_ref"], own.meta["dec_ref"])
    xi, eta = np.zeros_like(u), np.zeros_like(u)
    matrix = np.linalg.inv(own.rotation(plane, 0.0, 0.0))
    for _ in range(6):
        a, b = own.from_sky(*plane.to_sky(xi, eta))
        d = matrix @ np.stack([u - a, v - b])
        xi, eta = xi + d[0], eta + d[1]
    return plane.to_sky(xi, eta)


def true_rms(correction):
    """RMS per axis of a correction's error over the detector, one six-parameter transformation removed."""
    x, y = (c.ravel() for c in np.meshgrid(*[np.arange(0, n, 8.0) for n in SHAPE]))
    tx, ty = true_delta(x, y)
    u, v = correction.forward(x, y)
    design = np.stack([np.ones_like(x), x + tx, y + ty], 1)
    left = [w - design @ np.linalg.lstsq(design, w, rcond=None)[0] for w in (u, v)]
    return float(np.sqrt(0.5 * (np.var(left[0]) + np.var(left[1]))))


def mismatched(lists, share=0.3, sigma=0.4):
    """The lists, with a share of their stars elsewhere (pixels)."""
    rng = np.random.default_rng(8)
    out = []
    for t in lists:
        t = t.copy()
        k = rng.random(len(t)) < share
        t["x"][k] += rng.normal(0, sigma, k.sum())
        t["y"][k] += rng.normal(0, sigma, k.sum())
        out.append(t)
    return out


def design(problem):
    """Derivatives by all unknowns at once, rows of x before those of y."""
    n, size = problem.layout.n, problem.own * problem.stars.size
    out = np.zeros((2, problem.use.size, n + size))
    for number, part in enumerate(problem.parts):
        for k, (rows, arms) in enumerate(zip(problem.rows_of(number), problem.arms_of(number), strict=True)):
            out[k, part.pairs, :n] = rows.toarray()
            columns = n + problem.own * problem.star[part.pairs][:, None] + np.arange(problem.own)
            out[k, np.arange(problem.use.size)[part.pairs, None], columns] = -arms
    return np.vstack(out)


@pytest.fixture(scope="session")
def scene():
    """Nine exposures at one roll, a catalog, no other filter."""
    return make_lists(np.random.default_rng(11))


@pytest.fixture(scope="session")
def tools():
    """The functions of this file, for tests that make their own lists."""
    from types import SimpleNamespace

    return SimpleNamespace(
        design=design,
        make_lists=make_lists,
        mismatched=mismatched,
        true_delta=true_delta,
        true_rms=true_rms,
        shape=SHAPE,
        scale=SCALE,
    )


@pytest.fixture
def clipped():
    """Return the slow, obvious clipping: median, scale, number kept."""

    def clip(values, sigma):
        values = np.sort(values)
        for _ in range(10):
            middle = np.median(values)
            scale = 1.4826 * np.median(np.abs(values - middle))
            keep = np.abs(values - middle) <= sigma * scale
            if keep.all() or values.size < 4:
                break
            values = values[keep]
        return middle, scale, values.size

    return clip
