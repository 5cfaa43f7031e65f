"""Star lists of many epochs and a Gaia-like catalog, with known truth, for many-epoch motions."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io.files.writing import atomic_path, write_table

__all__ = ["EpochConfig", "SimulatedEpochs", "simulate_epochs", "write_epochs"]


@dataclass(frozen=True)
class EpochConfig:
    """A field seen many times.

    Parameters
    ----------
    n_stars, n_gaia : int
        Stars of the field (faint), and bright ones that Gaia has too.

    epochs : sequence of float
        Julian years.

    position_angles : sequence of float
        Degrees East of North of the lists' +y, in turn.

    radius_arcsec : float
        Of the field.

    scale_mas : float
        Pixel.

    target : (float, float)
        Degrees.

    mag_bright, mag_faint : float

    error_mas : float
        Error of the bright stars; grows with the photon noise of fainter ones.

    dispersion : float
        Of the motions, mas/yr.

    angle_offset_mas : float
        Shift in the detector's frame, the same at all epochs, that grows from 0 for bright stars to this
        for the faintest: on the sky it changes sign with the position angle (H25, App. A).

    confused : float
        Share of stars pulled by an unseen neighbor that moves past them.

    outliers : float
        Share of measurements that are wrong by tens of errors.

    bad_gaia : float
        Share of Gaia stars whose positions and motions are wrong by much more than they say.

    seed : int
    """

    n_stars: int = 800
    n_gaia: int = 60
    epochs: tuple = (2010.6, 2011.4, 2012.8, 2014.2, 2016.9, 2018.3, 2019.5, 2020.7, 2021.8, 2023.3)
    position_angles: tuple = (-40.0, 140.0)
    radius_arcsec: float = 30.0
    scale_mas: float = 110.0
    target: tuple = (266.2, -28.9)
    mag_bright: float = 13.0
    mag_faint: float = 20.5
    error_mas: float = 0.15
    dispersion: float = 2.5
    angle_offset_mas: float = 0.0
    confused: float = 0.0
    outliers: float = 0.0
    bad_gaia: float = 0.0
    seed: int = 1


@dataclass(frozen=True, eq=False)
class SimulatedEpochs(Displayed):
    """What `simulate_epochs` gives.

    Attributes
    ----------
    config : `EpochConfig`

    lists : list of `~astropy.table.Table`
        ``x y x_err y_err`` (pix) ``mag``; meta has ``epoch``, ``position_angle``, ``pixel_scale_mas``.

    gaia : `~astropy.table.Table`
        Columns named as in Gaia DR3.

    truth : `~astropy.table.Table`
        ``xi eta`` (arcsec, at 2016.0) ``pmra pmdec`` (mas/yr) ``mag confused gaia_bad``.

    rows, outliers : list of ndarray
        Per epoch: row of ``truth`` of every measurement, and whether it is an outlier.
    """

    config: EpochConfig
    lists: list
    gaia: Table
    truth: Table
    rows: list
    outliers: list


def _true_stars(config, rng):
    n, g = config.n_stars, config.n_gaia
    r = config.radius_arcsec * np.sqrt(rng.uniform(0, 1, n + g))
    angle = rng.uniform(0, 2 * np.pi, n + g)
    span = config.mag_faint - config.mag_bright
    mag = config.mag_bright + span * np.r_[rng.beta(3.5, 1.5, n), rng.uniform(0, 0.45, g)]
    motion = rng.normal((-3.0, -5.5), config.dispersion, (n + g, 2))
    motion[n:] = rng.normal((-1.5, -3.0), 3.0, (g, 2))
    return Table(
        {
            "xi": r * np.cos(angle),
            "eta": r * np.sin(angle),
            "pmra": motion[:, 0],
            "pmdec": motion[:, 1],
            "mag": mag,
            "confused": (rng.uniform(size=n + g) < config.confused) & (np.arange(n + g) < n),
            "gaia_bad": (rng.uniform(size=n + g) < config.bad_gaia) & (np.arange(n + g) >= n),
        },
        meta={"epoch": 2016.0},
    )


def _gaia(config, stars, plane, rng):
    s = stars[config.n_stars :]
    n, bad = len(s), np.asarray(s["gaia_bad"], float)
    g_mag = np.asarray(s["mag"]) + 2.5
    error = 0.03 * 10 ** (0.2 * np.maximum(g_mag - 16.0, 0))
    noise = rng.normal(0, 1, (6, n))
    xi, eta = (
        np.asarray(s[c]) + (noise[k] * error + bad * 4 * noise[k + 4]) / 1e3
        for k, c in enumerate(("xi", "eta"))
    )
    ra, dec = plane.to_sky(xi, eta)
    solved = np.where(rng.uniform(size=n) < 0.03, 95, 31)
    table = Table(
        {
            "source_id": 4050000000000000000 + rng.permutation(10 * n)[:n],
            "ra": ra,
            "dec": dec,
            "ra_error": error,
            "dec_error": error,
            "pmra": np.asarray(s["pmra"]) + 1.2 * error * noise[2] + bad * 3 * noise[5],
            "pmdec": np.asarray(s["pmdec"]) + 1.2 * error * noise[3] - bad * 3 * noise[4],
            "pmra_error": 1.2 * error,
            "pmdec_error": 1.2 * error,
            "parallax": np.full(n, 0.12),
            "parallax_error": error,
            "parallax_over_error": 0.12 / error,
            "astrometric_params_solved": solved,
            "duplicated_source": rng.uniform(size=n) < 0.02,
            "astrometric_excess_noise_sig": np.where(bad * rng.uniform(size=n) > 0.6, 6.0, 0.4),
            "ruwe": np.where(bad * rng.uniform(size=n) > 0.6, 2.0, 1.03),
            "phot_g_mean_mag": g_mag,
            "ref_epoch": np.full(n, 2016.0),
        },
        meta={"epoch": 2016.0},
    )
    units = {"ra": "deg", "dec": "deg", "parallax": "mas", "parallax_error": "mas", "ref_epoch": "yr"}
    units |= {"ra_error": "mas", "dec_error": "mas", "phot_g_mean_mag": "mag"}
    units |= dict.fromkeys(("pmra", "pmdec", "pmra_error", "pmdec_error"), "mas / yr")
    for name, unit in units.items():
        table[name].unit = unit
    return table


def _on_detector(config, east, north, position_angle, depth, rng):
    """Pixels of places (mas), each list with an origin, a scale and a distortion of its own; the origin."""
    c, s = np.cos(np.deg2rad(position_angle)), np.sin(np.deg2rad(position_angle))
    # +y is position_angle East of North, x to the right: at 0, x = -East
    x, y = -east * c + north * s, east * s + north * c
    x, y = x + config.angle_offset_mas * depth, y + 0.6 * config.angle_offset_mas * depth
    u, v = (w / (1e3 * config.radius_arcsec) for w in (x, y))
    bend = rng.normal(0, 0.01, (2, 3))
    scale = config.scale_mas * (1 + rng.normal(0, 1e-5))
    origin = 500 + rng.uniform(-20, 20, 2)
    x = x / scale + bend[0, 0] * u * u + bend[0, 1] * u * v + bend[0, 2] * v * v + origin[0]
    y = y / scale + bend[1, 0] * u * u + bend[1, 1] * u * v + bend[1, 2] * v * v + origin[1]
    return x, y, origin


def _star_list(config, columns, epoch, position_angle, origin):
    """The list of an epoch, with its units and metadata."""
    meta = {
        "epoch": float(epoch),
        "position_angle": float(position_angle),
        "pixel_scale_mas": config.scale_mas,
        "ra_ref": config.target[0],
        "dec_ref": config.target[1],
        "x_ref": float(origin[0]),
        "y_ref": float(origin[1]),
    }
    table = Table(columns, meta=meta)
    for name in ("x", "y", "x_err", "y_err"):
        table[name].unit = "pix"
    table["mag"].unit = "mag"
    return table


def simulate_epochs(
    config: EpochConfig | None = None, *, rng: np.random.Generator | None = None, **changes: Any
) -> SimulatedEpochs:
    """Simulate star lists at many epochs and a Gaia-like catalog.

    Parameters
    ----------
    config : `EpochConfig`, optional

    rng : `~numpy.random.Generator`, optional
        By default one made from ``config.seed``.

    **changes
        Fields of the configuration to change.

    Returns
    -------
    `SimulatedEpochs`

    Notes
    -----
    Stars move along straight lines (no parallax). Each list has its own origin, scale (1e-5) and a smooth
    quadratic distortion of 0.01 pixels.

    Examples
    --------
    >>> from jwst_hpastrom.simulation import simulate_epochs
    >>> sky = simulate_epochs(n_stars=30, n_gaia=10, epochs=(2012.0, 2017.0, 2022.0), seed=3)
    >>> len(sky.lists), sky.lists[0].meta["epoch"], len(sky.gaia)
    (3, 2012.0, 10)
    """
    config = replace(config or EpochConfig(), **changes)
    rng = np.random.default_rng(config.seed) if rng is None else rng
    plane = TangentPlane(*config.target)
    stars = _true_stars(config, rng)
    gaia = _gaia(config, stars, plane, rng)
    n = len(stars)
    mag = np.asarray(stars["mag"])
    error = config.error_mas * np.sqrt(1 + 10 ** (0.4 * (mag - 16.5)))
    depth = np.clip((mag - 15.0) / (config.mag_faint - 15.0), 0, 1)
    neighbor, passing = rng.normal(0, 70, (n, 2)), rng.normal(0, 5, (n, 2))
    lists, rows, outliers = [], [], []
    for k, epoch in enumerate(config.epochs):
        dt = epoch - 2016.0
        east = np.asarray(stars["xi"]) * 1e3 + np.asarray(stars["pmra"]) * dt
        north = np.asarray(stars["eta"]) * 1e3 + np.asarray(stars["pmdec"]) * dt
        away = neighbor + passing * dt
        pull = np.where(stars["confused"], 0.06 * np.exp(-(away**2).sum(1) / (2 * 80.0**2)), 0.0)
        east, north = east + pull * away[:, 0], north + pull * away[:, 1]
        position_angle = config.position_angles[k % len(config.position_angles)]
        x, y, origin = _on_detector(config, east, north, position_angle, depth, rng)
        sigma = error / config.scale_mas
        wrong = rng.uniform(size=n) < config.outliers
        noise = rng.normal(0, 1, (2, n)) * sigma * np.where(wrong, 30, 1)
        seen = np.flatnonzero(rng.uniform(size=n) < np.where(mag < 19, 0.98, 0.85))
        seen = rng.permutation(seen)
        columns = {
            "x": (x + noise[0])[seen],
            "y": (y + noise[1])[seen],
            "x_err": sigma[seen],
            "y_err": sigma[seen],
            "mag": mag[seen] + rng.normal(0, 0.02, seen.size),
        }
        lists.append(_star_list(config, columns, epoch, position_angle, origin))
        rows.append(seen)
        outliers.append(wrong[seen])
    return SimulatedEpochs(config, lists, gaia, stars, rows, outliers)


def write_epochs(epochs: SimulatedEpochs, directory: Any, *, product: str = "epochs") -> tuple[str, str]:
    """Write star lists, their association, the Gaia-like table and the truth.

    Parameters
    ----------
    epochs : `SimulatedEpochs`

    directory : path-like

    product : str
        Product name.

    Returns
    -------
    association, gaia : str
        Paths.
    """
    folder = Path(directory)
    members = []
    for k, table in enumerate(epochs.lists):
        write_table(table, folder / f"{product}_{k:02d}.ecsv")
        members.append({"expname": f"{product}_{k:02d}.ecsv", "exptype": "science"})
    gaia = write_table(epochs.gaia, folder / "gaia.ecsv")
    write_table(epochs.truth, folder / "truth" / "stars.ecsv")
    association = {
        "asn_type": "image3",
        "asn_rule": "DMS_Level3_Base",
        "asn_id": "a3001",
        "asn_pool": "none",
        "program": "09999",
        "target": "none",
        "products": [{"name": product, "members": members}],
    }
    path = folder / f"{product}_asn.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(association, indent=2) + "\n", encoding="utf-8")
    return str(path), gaia
