"""Star lists of few epochs of one telescope with rolls, and a sparse Gaia-like table; the truth."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.geometry import TangentPlane

RA, DEC, SCALE = 80.5, -69.5, 65.6
HALF = 1024.0
GAIA_POSITION, GAIA_MOTION = 0.15, 0.12
#: epochs and rolls of three visits, as a season's constraints make them
VISITS = ((2022.33, 10.0), (2023.60, 107.0), (2025.20, 46.0))


def position_error(mag):
    """Of an epoch's mean position, mas."""
    return 0.07 * np.sqrt(1 + 10 ** (0.4 * (mag + 4.0)))


def visits(n=3, first=2022.33):
    """Epochs and rolls of n visits."""
    if n == 3:
        return VISITS
    times = first + np.linspace(0, 2.87, n) + 0.05 * np.sin(np.arange(n))
    return tuple(zip(times.tolist(), (np.cumsum(np.full(n, 53.0)) % 360).tolist(), strict=True))


def simulate(seed, *, n=1500, n_gaia=49, when=VISITS, bad=0.0, outliers=0.01, oriented=True, bend=3e-7):
    """Lists, Gaia's table, and the true motions by name."""
    rng = np.random.default_rng(seed)
    e, h = rng.uniform(-90e3, 90e3, (2, n))
    mag = np.sort(-6.5 + 6.5 * rng.beta(2.5, 1.2, n))
    pm = rng.normal((1.9, 0.3), 0.15, (n, 2))
    foreground = rng.uniform(size=n) < 0.03
    pm[foreground] = rng.normal(0, 6, (foreground.sum(), 2))
    lists = []
    for k, (t, angle) in enumerate(when):
        a, dt = np.deg2rad(angle), t - 2016.0
        east, north = e + pm[:, 0] * dt, h + pm[:, 1] * dt
        x, y = (-east * np.cos(a) + north * np.sin(a)) / SCALE, (east * np.sin(a) + north * np.cos(a)) / SCALE
        shift = rng.normal(0, 20, 2)
        x, y = x + shift[0], y + shift[1]
        q = rng.normal(0, bend, (2, 3))
        x, y = (c + w[0] * x * x + w[1] * x * y + w[2] * y * y for c, w in zip((x, y), q, strict=True))
        error = position_error(mag) / SCALE
        wrong = rng.uniform(size=n) < outliers
        x, y = (c + rng.normal(size=n) * error * np.where(wrong, 30.0, 1.0) + 1024 for c in (x, y))
        seen = np.flatnonzero(
            (np.maximum(abs(x - 1024), abs(y - 1024)) < HALF) & (rng.uniform(size=n) < 0.97)
        )
        seen = rng.permutation(seen)
        meta = {"epoch": t, "filename": f"visit{k}", "telescope": "JWST", "pixel_scale_mas": SCALE}
        if oriented:
            meta["position_angle"] = angle
        data = {"x": x, "y": y, "x_err": error, "y_err": error, "mag": mag + rng.normal(0, 0.02, n)}
        table = Table({c: v[seen] for c, v in data.items()}, meta=meta)
        table["name"] = [f"S{i}" for i in seen]
        lists.append(table)
    inside = np.flatnonzero((np.hypot(e, h) < 80e3) & (mag < -2.5))
    g = inside[np.sort(rng.choice(inside.size, n_gaia, replace=False))]
    wrong = np.where(rng.uniform(size=n_gaia) < bad, 20.0, 1.0)
    ra, dec = TangentPlane(RA, DEC).to_sky(
        (e[g] + rng.normal(size=n_gaia) * GAIA_POSITION * wrong) / 1e3,
        (h[g] + rng.normal(size=n_gaia) * GAIA_POSITION * wrong) / 1e3,
    )
    position, motion = np.full(n_gaia, GAIA_POSITION), np.full(n_gaia, GAIA_MOTION)
    gaia = Table(
        {
            "source_id": g, "ra": ra, "dec": dec, "ra_error": position, "dec_error": position,
            "pmra": pm[g, 0] + rng.normal(size=n_gaia) * motion * wrong,
            "pmdec": pm[g, 1] + rng.normal(size=n_gaia) * motion * wrong,
            "pmra_error": motion, "pmdec_error": motion, "phot_g_mean_mag": mag[g] + 22.0,
            "ruwe": np.ones(n_gaia), "ref_epoch": np.full(n_gaia, 2016.0),
        }
    )  # fmt: skip
    return (
        lists,
        gaia,
        Table({"pmra": pm[:, 0], "pmdec": pm[:, 1], "mag": mag, "bad": np.isin(np.arange(n), g[wrong > 1])}),
    )
