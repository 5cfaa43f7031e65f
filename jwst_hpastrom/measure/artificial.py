"""Artificial stars, through the same code as the real ones: completeness, biases and errors."""

from concurrent.futures import Executor

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import match_nearest, robust_sigma
from jwst_hpastrom.measure import _kernels
from jwst_hpastrom.measure.bundles import Stars
from jwst_hpastrom.measure.many import ManyResult, run_tiles, to_master_errors
from jwst_hpastrom.measure.passes import join_tiles
from jwst_hpastrom.ranges import in_range

__all__ = ["artificial_stars", "summarise_artificial"]


def _lattice(field, spacing, rng):
    """Jittered positions, further apart than they could disturb each other, where there are pixels."""
    x0, x1 = min(c[0] for c in field.cores), max(c[1] for c in field.cores)
    y0, y1 = min(c[2] for c in field.cores), max(c[3] for c in field.cores)
    phase = rng.uniform(0, spacing, 2)
    gx, gy = np.meshgrid(np.arange(x0 + phase[0], x1, spacing), np.arange(y0 + phase[1], y1, spacing))
    x, y = (g.ravel() + rng.uniform(-0.25, 0.25, g.size) * spacing for g in (gx, gy))
    count = np.zeros(x.size, int)
    for e, (ny, nx) in enumerate(field.shapes):
        u, v = field.to_raw[e](x, y)
        with np.errstate(invalid="ignore"):
            inside = (u > 3) & (v > 3) & (u < nx - 4) & (v < ny - 4)
        i, j = (np.rint(np.where(inside, c, 0)).astype(int) for c in (u, v))
        count += inside & (field.pixels[e]().weight[j, i] > 0)
    keep = count >= min(3, len(field.pixels))
    order = rng.permutation(np.flatnonzero(keep))
    return x[order], y[order]


class _Injection:
    """Adds the artificial stars of a tile to its stack."""

    def __init__(self, x, y, flux, stars, rng):
        self.x, self.y, self.flux, self.stars, self.rng = x, y, flux, stars, rng

    def __call__(self, stack):
        a, b, c, d = stack.bounds
        near = (self.x > a) & (self.x < b) & (self.y > c) & (self.y < d)
        x, y, flux = self.x[near], self.y[near], self.flux[near]
        px, py = stack.positions(x, y)
        model = np.zeros_like(stack.data)
        radius = np.full(x.size, stack.libraries[0].half_width)
        known = np.isfinite(px + py)
        added = Stars(px, py, flux, known, known, radius)
        _kernels.add_models(model, stack.exposures(), added, 1.0, np.ones(x.size, bool))
        for data, weight, light, slope in zip(stack.data, stack.weight, model, stack.slope, strict=True):
            more, good = slope * np.maximum(light, 0), weight > 0
            noise = self.rng.normal(0, 1, light.shape) * np.sqrt(more)
            data[:] = np.where(good, data + light + noise, 0)
            with np.errstate(divide="ignore"):
                weight[:] = np.where(good, 1.0 / (1.0 / weight + more), 0)
        sx, sy, sf = self.stars
        near = (sx > a) & (sx < b) & (sy > c) & (sy < d)
        return sx[near], sy[near], sf[near]


@in_range
def artificial_stars(
    result: ManyResult,
    *,
    rng: np.random.Generator,
    n_stars: int = 10000,
    mag_min: float | None = None,
    mag_max: float | None = None,
    spacing: float = 24.0,
    radius: float = 0.7,
    mag_tolerance: float = 0.75,
    executor: Executor | None = None,
    progress: bool = False,
) -> Table:
    """Add stars of known position and magnitude to all exposures, and measure them as the real ones were.

    They stand on a jittered lattice, too far apart to disturb each other, and are added with their noise to
    the images from which the real stars were measured. The search starts from the real stars found before.

    Parameters
    ----------
    result : `~jwst_hpastrom.measure.ManyResult`

    rng : `numpy.random.Generator`

    n_stars : int
        Artificial stars; several rounds are made where they do not fit at once.

    mag_min, mag_max : float, optional
        Instrumental magnitudes, uniform between; by default from the 2nd percentile of the real stars to one
        magnitude below the faintest.

    spacing : float
        Lattice constant, pixels.

    radius : float
        Largest distance (pixels) at which a star counts as found.

    mag_tolerance : float
        Largest difference in magnitude at which a star counts as found.

    executor : `concurrent.futures.Executor`, optional

    progress : bool

    Returns
    -------
    `~astropy.table.Table`
        x, y (master pixels), mag_true, found, mag, dx, dy (measured minus true, master pixels), x_err,
        y_err (formal), n_used, neighbor (light of real stars within 5 pixels, magnitudes).
    """
    field = result.field
    if n_stars < 1 or spacing < 10:
        raise ParameterError(
            f"n_stars={n_stars}, spacing={spacing}", "1 or more stars, 10 pixels or more apart"
        )
    real = -2.5 * np.log10(result.stars[2])
    low = np.quantile(real, 0.02) if mag_min is None else mag_min
    high = real.max() + 1.0 if mag_max is None else mag_max
    rows, left = [], n_stars
    while left > 0:
        x, y = _lattice(field, spacing, rng)
        x, y = x[:left], y[:left]
        if x.size == 0:
            raise ParameterError(f"spacing={spacing}", "a lattice that has room in the field")
        mag = rng.uniform(low, high, x.size)
        rows.append(_round(result, x, y, mag, rng, radius, mag_tolerance, executor, progress))
        left -= x.size
    columns = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
    return Table(columns, meta={"mag_tolerance": mag_tolerance, "radius": radius, "spacing": spacing})


def _round(result, x, y, mag, rng, radius, tolerance, executor, progress):
    field, flux = result.field, 10 ** (-0.4 * mag)
    change = _Injection(x, y, flux, result.stars, rng)
    mx, my, mf, out, _ = join_tiles(
        run_tiles(field, field.cores, result.settings, executor, progress, change)
    )
    # A real star nearby is not the artificial one: real stars claim their own first.
    i, j, _ = match_nearest(
        *(np.r_[a, b] for a, b in zip((x, y), result.stars[:2], strict=True)), mx, my, radius
    )
    mine = i < x.size
    i, j = i[mine], j[mine]
    seen = -2.5 * np.log10(mf[j])
    ok = np.abs(seen - mag[i]) <= tolerance
    i, j, seen = i[ok], j[ok], seen[ok]

    def filled(values):
        full = np.full(x.size, np.nan)
        full[i] = values
        return full

    ex, ey = to_master_errors(field.to_master, out.x_err[j], out.y_err[j], out.corr[j])
    u, v = field.to_master.forward(x, y)
    fu, fv = field.to_master.forward(mx[j], my[j])
    found = np.zeros(x.size, bool)
    found[i] = True
    return {
        "x": u, "y": v, "mag_true": mag, "found": found, "mag": filled(seen), "dx": filled(fu - u[i]),
        "dy": filled(fv - v[i]), "x_err": filled(ex), "y_err": filled(ey),
        "n_used": np.nan_to_num(filled(out.n_used[j])).astype(int),
        "neighbor": _neighbors(x, y, result.stars),
    }  # fmt: skip


def _neighbors(x, y, stars, reach=5.0):
    near = cKDTree(np.c_[stars[0], stars[1]]).query_ball_point(np.c_[x, y], reach)
    light = np.array([stars[2][k].sum() if k else 0.0 for k in near])
    with np.errstate(divide="ignore"):
        return np.where(light > 0, -2.5 * np.log10(light), np.inf)


def summarise_artificial(table: Table, *, step: float = 0.5, faintest_neighbor: float = 2.0) -> Table:
    """Completeness, bias, scatter and pulls against magnitude, of all stars and of the crowded ones.

    Parameters
    ----------
    table : `~astropy.table.Table`
        From `artificial_stars`.

    step : float
        Width of the magnitude bins.

    faintest_neighbor : float
        A star is crowded if the light of the real stars within 5 pixels is at most so many magnitudes
        fainter than itself.

    Returns
    -------
    `~astropy.table.Table`
        mag (bin center), n, completeness, completeness_error, mag_bias, mag_scatter, x_bias, x_scatter,
        y_bias, y_scatter (master pixels), x_pull, y_pull (scatter over the formal errors), and all but
        ``mag`` again of the crowded stars, with ``_crowded`` at the end of the name.
    """
    mag = np.asarray(table["mag_true"], float)
    crowded = np.asarray(table["neighbor"], float) < mag + faintest_neighbor
    rows = []
    for low in np.arange(np.floor(mag.min() / step), np.ceil(mag.max() / step)) * step:
        b = (mag >= low) & (mag < low + step)
        if b.any():
            few = {f"{name}_crowded": value for name, value in _summary(table, b & crowded).items()}
            rows.append({"mag": low + step / 2, **_summary(table, b), **few})
    return Table(rows=rows, meta={"faintest_neighbor": faintest_neighbor, **table.meta})


def _summary(table, rows):
    n = int(rows.sum())
    found = rows & np.asarray(table["found"])
    share = found.sum() / n if n else np.nan
    out = {"n": n, "completeness": share}
    out["completeness_error"] = np.sqrt(max(share * (1 - share), 0.25 / n) / n) if n else np.nan
    values = {"mag": np.asarray(table["mag"] - table["mag_true"])[found]}
    values |= {axis: np.asarray(table[f"d{axis}"])[found] for axis in "xy"}
    for name, d in values.items():
        out[f"{name}_bias"] = float(np.median(d)) if d.size else np.nan
        out[f"{name}_scatter"] = float(robust_sigma(d)) if d.size else np.nan
    for axis in "xy":
        pull = values[axis] / np.asarray(table[f"{axis}_err"])[found]
        out[f"{axis}_pull"] = float(robust_sigma(pull)) if pull.size else np.nan
    return out
