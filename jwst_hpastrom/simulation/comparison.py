"""Products of the pipeline against the truth of a simulated field."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from jwst_hpastrom.columns import BRIGHT
from jwst_hpastrom.errors import (
    BadCatalogError,
    BadReferenceFileError,
    MissingDataError,
    NoOverlapError,
    NotEnoughStarsError,
)
from jwst_hpastrom.geometry import fit_linear, match_nearest, match_shift, robust_sigma
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.io.tables.star_lists import find_star_list, read_star_list, star_list_path
from jwst_hpastrom.simulation.bounds import cramer_rao, isolated
from jwst_hpastrom.simulation.camera import PARITY, SCALE, V2_REF, V3_ANGLE, V3_REF
from jwst_hpastrom.simulation.sky import positions_at

__all__ = [
    "compare",
    "compare_master",
    "compare_proper_motions",
    "compare_stars",
    "distortion_residuals",
    "format_summary",
]

#: the magnitude below the best measured stars
FAINT = (BRIGHT[1], BRIGHT[1] + 1.0)
#: arcsec within which stars are the same, and most that a frame's pointing may be off
RADIUS, MAX_SHIFT = 0.06, 1.0
#: true stars that tell the offset
N_BRIGHT = 300
MASTER_NEEDED = ("ra", "dec", "x_err", "y_err", "n_used")
MOTIONS_NEEDED = ("ra", "dec", "ref_epoch", "pmra", "pmdec", "pmra_error", "pmdec_error")


def _row(quantity, unit, delta, error=None, bound=None):
    """One line of the table: median and robust scatter of differences, pull, ratio to the bound."""
    delta = np.asarray(delta, float)
    with_error = None if error is None else robust_sigma(delta / np.asarray(error, float))
    with_bound = None if bound is None else robust_sigma(delta / np.asarray(bound, float))
    return {
        "quantity": quantity,
        "n": delta.size,
        "offset": np.median(delta),
        "scatter": robust_sigma(delta),
        "unit": unit,
        "pull": np.nan if with_error is None else with_error,
        "over_bound": np.nan if with_bound is None else with_bound,
    }


def compare_stars(field: Any, star_lists: Any) -> Table:
    """Star lists against the true positions.

    Parameters
    ----------
    field : `~jwst_hpastrom.simulation.SimulatedField`

    star_lists : list of `~astropy.table.Table`
        One per exposure, in the field's order.

    Returns
    -------
    `~astropy.table.Table`
        Every matched star of every exposure: ``exposure id mag dx dy`` (measured minus true, pixels) ``x_err
        y_err`` (as the list says) ``x_bound y_bound`` (Cramér–Rao) ``flux_ratio qfit radxs isolated x y``;
        its meta has the share of the true isolated stars found, ``found_bright`` and ``found_faint``.
    """
    parts, found = [], {"bright": [0, 0], "faint": [0, 0]}
    ny, nx = field.config.shape
    for exposure, table in zip(field.exposures, star_lists, strict=True):
        truth = exposure.truth
        tx, ty, mag = (np.asarray(truth[c], float) for c in ("x", "y", "mag"))
        x_bound, y_bound, _ = cramer_rao(exposure)
        alone = isolated(truth)
        x, y = (np.asarray(table[c], float) for c in ("x", "y"))
        i, j, _ = match_nearest(tx, ty, x, y, 0.5)
        inside = (tx > 5) & (tx < nx - 6) & (ty > 5) & (ty < ny - 6) & np.isfinite(x_bound)
        got = np.isin(np.arange(tx.size), i)
        for name, (low, high) in (("bright", BRIGHT), ("faint", FAINT)):
            wanted = alone & inside & (mag > low) & (mag < high)
            found[name][0] += int(wanted.sum())
            found[name][1] += int((wanted & got).sum())
        keep = inside[i]
        i, j = i[keep], j[keep]
        part = {
            "exposure": np.full(i.size, exposure.index),
            "id": np.asarray(truth["id"])[i],
            "mag": mag[i],
            "x": tx[i],
            "y": ty[i],
            "dx": x[j] - tx[i],
            "dy": y[j] - ty[i],
            "x_bound": x_bound[i],
            "y_bound": y_bound[i],
            "flux_ratio": np.asarray(table["flux"], float)[j] / np.asarray(truth["flux"], float)[i],
            "isolated": alone[i],
        }
        for c in ("x_err", "y_err", "qfit", "radxs"):
            part[c] = np.asarray(table[c], float)[j]
        parts.append(Table(part))
    out = vstack(parts, metadata_conflicts="silent")
    for name, (wanted, got) in found.items():
        out.meta[f"found_{name}"] = got / wanted if wanted else float("nan")
    return out


def distortion_residuals(field: Any, path: Any, *, n: int = 65) -> Table:
    """Difference between a ``distortion`` reference and the true distortion.

    Parameters
    ----------
    field : `~jwst_hpastrom.simulation.SimulatedField`

    path : path-like
        ASDF file.

    n : int
        Points per axis over the field's part of the detector.

    Returns
    -------
    `~astropy.table.Table`
        ``x y dx dy`` in pixels: (file minus truth), after the four-parameter transformation (offset,
        rotation, scale) that fits best is taken out, as no exposure can tell it from the pointing.
    """
    import asdf

    x0, y0 = field.config.origin
    ny, nx = field.config.shape
    x, y = np.meshgrid(x0 + np.linspace(0, nx - 1, n), y0 + np.linspace(0, ny - 1, n))
    x, y = x.ravel(), y.ravel()
    try:
        with open(path, "rb") as file, asdf.open(file, memmap=False, lazy_load=False) as tree:
            v2, v3 = tree["model"](x, y)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise BadReferenceFileError(
            f"no distortion model ({type(err).__name__}: {err})", "a distortion reference",
            "run hp_distortion_refine", path,
        ) from err  # fmt: skip
    u, v = field.distortion.forward(x, y)
    c, s = np.cos(np.deg2rad(V3_ANGLE)), np.sin(np.deg2rad(V3_ANGLE))
    a, b = np.asarray(v2) - V2_REF, np.asarray(v3) - V3_REF
    got_u, got_v = PARITY * (a * c - b * s), a * s + b * c
    fit = fit_linear(got_u, got_v, u, v, parameters=4, sigma=1e6).transform
    got_u, got_v = fit.forward(got_u, got_v)
    return Table({"x": x, "y": y, "dx": (got_u - u) / SCALE, "dy": (got_v - v) / SCALE})


def _match_sky(field, table, epoch):
    """Rows of the true stars and of ``table`` that are the same, by position at ``epoch``.

    The table may be off as a whole, by the pointing: its offset is found from the brightest stars.
    """
    ra, dec = positions_at(field.stars, epoch)
    true = field.plane.from_sky(ra, dec)
    measured = field.plane.from_sky(np.asarray(table["ra"], float), np.asarray(table["dec"], float))
    bright = np.argsort(np.asarray(field.stars["mag"]), kind="stable")[:N_BRIGHT]
    try:
        found = match_shift(*(p[bright] for p in true), *measured, max_shift=MAX_SHIFT, radius=RADIUS)
        moved = found.transform.forward(*true)
    except (NoOverlapError, NotEnoughStarsError):  # a handful of stars: as they are
        moved = true
    i, j, _ = match_nearest(*moved, *measured, RADIUS)
    if not i.size:
        raise NoOverlapError(
            f"none of {len(table)} stars within {RADIUS} arcsec of a true one", "a frame of this field",
            f"compare a frame whose pointing is good to {MAX_SHIFT} arcsec",
        )  # fmt: skip
    return i, j, true, measured


def _mean_bound(field):
    """Cramér–Rao error (mas, mean of the axes) of each star's position averaged over the exposures."""
    weight = np.zeros(len(field.stars))
    for exposure in field.exposures:
        x_bound, y_bound, _ = cramer_rao(exposure)
        variance = 0.5 * (x_bound**2 + y_bound**2)
        ok = np.isfinite(variance)
        np.add.at(weight, np.asarray(exposure.truth["id"])[ok], 1 / variance[ok])
    with np.errstate(divide="ignore"):
        return 1e3 * SCALE / np.sqrt(weight)


def _alone(field):
    """Stars isolated on the sky."""
    s = field.stars
    return isolated({"x": np.asarray(s["xi"]) / SCALE, "y": np.asarray(s["eta"]) / SCALE, "mag": s["mag"]})


def compare_master(field: Any, master: Table) -> Table:
    """Master frame against the true positions.

    Parameters
    ----------
    field : `~jwst_hpastrom.simulation.SimulatedField`

    master : `~astropy.table.Table`

    Returns
    -------
    `~astropy.table.Table`
        Matched stars: ``id mag n_used dx dy`` (mas to the East and North, the median taken out) ``x_err
        y_err bound`` (mas) ``isolated``, and ``flags x_err_tie y_err_tie`` where the frame has them; metadata
        ``median_dx median_dy``. A frame may be off by an arcsecond as a whole, as one without a catalog is.

    Raises
    ------
    BadCatalogError
        The frame has no epoch.

    NoOverlapError
        No star of it is a true one.
    """
    epoch = master.meta.get("epoch")
    if epoch is None:
        raise BadCatalogError("no epoch", "metadata epoch of a master frame", "run hp_master_frame")
    i, j, true, measured = _match_sky(field, master, float(epoch))
    out = Table({"mag": np.asarray(field.stars["mag"])[i], "isolated": _alone(field)[i]})
    out["id"] = np.asarray(field.stars["id"])[i]
    for name, k in (("dx", 0), ("dy", 1)):
        delta = 1e3 * (measured[k][j] - true[k][i])
        out[name] = delta - np.median(delta)
        out.meta[f"median_{name}"] = float(np.median(delta))
    scale = float(master.meta.get("scale_mas", 50.0))
    for c in ("x_err", "y_err", "x_err_tie", "y_err_tie"):
        if c in master.colnames:
            out[c] = scale * np.asarray(master[c], float)[j]
    out["bound"] = _mean_bound(field)[i]
    for c in ("n_used", "flags"):
        if c in master.colnames:
            out[c] = np.asarray(master[c])[j]
    return out


def compare_proper_motions(field: Any, motions: Table) -> Table:
    """Proper motions against the truth.

    Parameters
    ----------
    field : `~jwst_hpastrom.simulation.SimulatedField`

    motions : `~astropy.table.Table`

    Returns
    -------
    `~astropy.table.Table`
        Matched stars: ``mag dpmra dpmdec pmra_error pmdec_error bound`` (mas/yr; the bound holds the
        catalog's error too) ``pmra pmdec pmra_true pmdec_true isolated``.

    Raises
    ------
    NoOverlapError
        No star of it is a true one.
    """
    epoch = float(np.nanmedian(np.asarray(motions["ref_epoch"], float)))
    i, j, _, _ = _match_sky(field, motions, epoch)
    s, c = field.stars[i], field.config
    out = Table({"mag": np.asarray(s["mag"]), "isolated": _alone(field)[i]})
    for name in ("pmra", "pmdec"):
        out[name], out[f"{name}_true"] = np.asarray(motions[name], float)[j], np.asarray(s[name])
        out[f"d{name}"] = out[name] - out[f"{name}_true"]
        out[f"{name}_error"] = np.asarray(motions[f"{name}_error"], float)[j]
    first = c.catalog_error_mas * np.sqrt(1 + 10 ** (0.5 * (np.asarray(s["mag"]) + 4)))
    out["bound"] = np.hypot(_mean_bound(field)[i], first) / abs(c.epoch - c.catalog_epoch)
    fine = np.isfinite(out["dpmra"]) & np.isfinite(out["dpmdec"]) & np.isfinite(out["bound"])
    return out[fine]


def _star_list(exposure, folder):
    path = find_star_list(exposure, [folder])
    if path is None:
        needed = star_list_path(exposure, folder).name
        raise MissingDataError("no star list", f"{needed} in {folder}", "run hp_epsf_fit", exposure)
    return _with(read_star_list(path), ("flux", "x_err", "y_err", "qfit", "radxs"), path)


def _with(table, columns, path):
    """The table, where it has what it is compared by."""
    if missing := [c for c in columns if c not in table.colnames]:
        raise BadCatalogError(
            f"no column {', '.join(missing)}", "a product of this package", "run the pipeline", path
        )
    return table


def compare(
    field: Any, folder: Any, *, product: str = "field", official: Any = None
) -> tuple[Table, dict[str, Table]]:
    """Compare all products of a pipeline run on a simulated field with the truth.

    Parameters
    ----------
    field : `~jwst_hpastrom.simulation.SimulatedField`

    folder : path-like
        Where the products are.

    product : str
        Product name.

    official : path-like, optional
        The distortion reference that the exposures came with, for the comparison before and after.

    Returns
    -------
    summary : `~astropy.table.Table`
        ``quantity n offset scatter unit pull over_bound``: medians and robust scatters of (measured − true),
        of the same over the errors stated (1 where they are honest), and over the Cramér–Rao bound.

    details : dict of `~astropy.table.Table`
        ``stars``, ``master``, ``motions``, ``distortion`` as the other functions of this module give them.
    """
    folder = Path(folder)
    lists = [_star_list(e.meta["filename"], folder) for e in field.exposures]
    stars = compare_stars(field, lists)
    rows, details = [], {"stars": stars}
    for low, high in (BRIGHT, FAINT):
        s = stars[stars["isolated"] & (stars["mag"] > low) & (stars["mag"] < high)]
        if len(s) < 3:
            continue
        label = f"{low:g} < mag < {high:g}"
        rows.append(_row(f"star x, one exposure, {label}", "pix", s["dx"], s["x_err"], s["x_bound"]))
        rows.append(_row(f"star y, one exposure, {label}", "pix", s["dy"], s["y_err"], s["y_bound"]))
    for name, file in (("official", official), ("refined", folder / f"{product}_distortion.asdf")):
        if file is None or not Path(file).exists():
            continue
        r = distortion_residuals(field, file)
        for axis in "xy":
            delta = np.asarray(r[f"d{axis}"])
            row = _row(f"distortion {axis}, {name}", "pix", delta)
            row["scatter"] = float(np.sqrt(np.mean(delta**2)))
            rows.append(row)
        details["distortion" if name == "refined" else "official"] = r
    master = folder / f"{product}_master.ecsv"
    if master.exists():
        m = details["master"] = compare_master(field, _with(read_table(master), MASTER_NEEDED, master))
        s = m[_bright(m)]
        rows += [
            _row(f"master position {sky}", "mas", s[f"d{axis}"], s[f"{axis}_err"], s["bound"])
            for axis, sky in (("x", "East"), ("y", "North"))
        ]
    motions = folder / f"{product}_pm.ecsv"
    if motions.exists():
        p = details["motions"] = compare_proper_motions(
            field, _with(read_table(motions), MOTIONS_NEEDED, motions)
        )
        s = p[_bright(p)]
        rows += [
            _row(name, "mas / yr", s[f"d{name}"], s[f"{name}_error"], s["bound"])
            for name in ("pmra", "pmdec")
        ]
    summary = Table(rows=rows)
    summary.meta = dict(stars.meta)
    return summary, details


def _bright(table):
    return table["isolated"] & (table["mag"] > BRIGHT[0]) & (table["mag"] < BRIGHT[1])


def format_summary(summary: Table) -> str:
    """The table of `compare` as text.

    Parameters
    ----------
    summary : `~astropy.table.Table`

    Returns
    -------
    str
    """

    def number(value, form):
        return "" if not np.isfinite(value) else format(value, form)

    head = (
        f"{'quantity':42s} {'n':>7s} {'offset':>9s} {'scatter':>9s} {'unit':8s} {'pull':>6s} {'/bound':>7s}"
    )
    lines = [head, "-" * len(head)]
    lines += [
        f"{r['quantity']:42s} {r['n']:7d} {r['offset']:+9.5f} {r['scatter']:9.5f} {r['unit']:8s} "
        f"{number(r['pull'], '.2f'):>6s} {number(r['over_bound'], '.2f'):>7s}"
        for r in summary
    ]
    for name in ("bright", "faint"):
        share = summary.meta.get(f"found_{name}", np.nan)
        if np.isfinite(share):
            low, high = BRIGHT if name == "bright" else FAINT
            lines.append(f"found of the true isolated stars, {low:g} < mag < {high:g}: {100 * share:.1f} %")
    return "\n".join(lines)
