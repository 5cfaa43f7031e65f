"""Figures of measured against true values, for the demo and for simulations of one's own."""

from pathlib import Path
from typing import Any

import numpy as np

from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.plot.drawing import new_figure, points, symmetric_limit

__all__ = ["distortion_errors", "motion_truth", "star_list_errors", "write_truth_plots"]


def _binned(mag, step=0.5, least=8):
    """Middles of bins of magnitude that hold enough stars, and which stars these are."""
    edges = np.arange(np.floor(mag.min()), mag.max() + step, step)
    index = np.digitize(mag, edges)
    used = [k for k in range(1, len(edges)) if np.sum(index == k) >= least]
    return np.array([edges[k - 1] + step / 2 for k in used]), [index == k for k in used]


def _pull_panel(axis, pulls, title):
    bins = np.linspace(-5, 5, 51)
    t = np.linspace(-5, 5, 200)
    for label, pull in pulls.items():
        pull = pull[np.isfinite(pull)]
        name = f"{label}: σ = {robust_sigma(pull):.2f}"
        axis.hist(pull, bins, density=True, histtype="step", lw=1.5, label=name)
    axis.plot(t, np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi), color="0.5", lw=1, label="unit Gaussian")
    axis.set_xlabel("(measured − true) / error")
    axis.set_title(title)
    axis.legend(fontsize=8, loc="upper right")


def star_list_errors(stars):
    """Errors of star positions against magnitude, with the Cramér–Rao bound, and their pulls.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        ``mag dx dy x_err y_err x_bound y_bound isolated``.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(11, 4.4, 1, 2)
    s = stars[np.asarray(stars["isolated"], bool)]
    mag, dx, dy = (np.asarray(s[c], float) for c in ("mag", "dx", "dy"))
    axis = axes[0][0]
    axis.set_yscale("log")
    points(axis, mag, np.abs(dx), color="0.6")
    center, chosen = _binned(mag)
    if len(center):
        scatter = [np.sqrt(0.5 * (robust_sigma(dx[c]) ** 2 + robust_sigma(dy[c]) ** 2)) for c in chosen]
        stated = [np.median(np.asarray(s["x_err"])[c]) for c in chosen]
        bound = [np.median(np.asarray(s["x_bound"])[c]) for c in chosen]
        axis.semilogy(center, scatter, "o", color="C0", label="scatter about the truth")
        axis.semilogy(center, stated, "-", color="C1", label="stated error")
        axis.semilogy(center, bound, "--", color="C3", label="Cramér–Rao bound (5 × 5 pixels)")
    axis.set_ylim(3e-4, 0.3)
    axis.set_xlabel("instrumental magnitude")
    axis.set_ylabel("error per axis (pixel)")
    axis.set_title("isolated stars, single exposures")
    axis.legend(loc="upper left", fontsize=8)
    pulls = {"x": dx / np.asarray(s["x_err"]), "y": dy / np.asarray(s["y_err"])}
    _pull_panel(axes[0][1], pulls, "pulls of the positions")
    return figure


def distortion_errors(before, after):
    """Maps of the distortion's error: of the official reference and of the refined one.

    Parameters
    ----------
    before, after : `~astropy.table.Table`
        ``x y dx dy`` on a square grid.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(10.5, 8.2, 2, 2)
    for row, table, title in zip(axes, (before, after), ("official", "refined"), strict=True):
        side = round(np.sqrt(len(table)))
        x, y = np.asarray(table["x"]), np.asarray(table["y"])
        for axis, name in zip(row, ("dx", "dy"), strict=True):
            delta = np.asarray(table[name]).reshape(side, side)
            limit = symmetric_limit(delta)
            extent = (x.min(), x.max(), y.min(), y.max())
            image = axis.imshow(delta, origin="lower", extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit)
            figure.colorbar(image, ax=axis, label="pixel", shrink=0.9)
            axis.set_title(f"{title}: error of {name[1]}, RMS {np.sqrt(np.mean(delta**2)):.4f} pixel")
            axis.set_xlabel("x (pixel)")
            axis.set_ylabel("y (pixel)")
    return figure


def motion_truth(motions):
    """Measured against true motions, their errors against magnitude, their pulls.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        ``mag pmra pmdec pmra_true pmdec_true dpmra dpmdec pmra_error pmdec_error bound isolated``.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(13.5, 4.4, 1, 3)
    m = motions[np.asarray(motions["isolated"], bool)]
    mag = np.asarray(m["mag"], float)
    axis = axes[0][0]
    bright = mag < -4
    for name, color in (("pmra", "C0"), ("pmdec", "C1")):
        axis.plot(m[f"{name}_true"][bright], m[name][bright], ".", ms=2, color=color, label=name)
    limits = axis.get_xlim()
    axis.plot(limits, limits, color="0.5", lw=1)
    axis.set_xlabel("true motion (mas/yr)")
    axis.set_ylabel("measured motion (mas/yr)")
    axis.set_title("brighter than −4")
    axis.legend(fontsize=8)
    axis = axes[0][1]
    delta = np.asarray(m["dpmra"], float)
    axis.set_yscale("log")
    points(axis, mag, np.abs(delta), color="0.6")
    center, chosen = _binned(mag)
    if len(center):
        axis.semilogy(center, [robust_sigma(delta[c]) for c in chosen], "o", label="scatter about the truth")
        stated = [np.median(np.asarray(m["pmra_error"])[c]) for c in chosen]
        axis.semilogy(center, stated, "-", label="stated error")
        bound = [np.median(np.asarray(m["bound"])[c]) for c in chosen]
        axis.semilogy(center, bound, "--", color="C3", label="bound: Cramér–Rao and catalog")
    axis.set_xlabel("instrumental magnitude")
    axis.set_ylabel("error of pmra (mas/yr)")
    axis.legend(fontsize=8, loc="upper left")
    pulls = {n: np.asarray(m[f"d{n}"]) / np.asarray(m[f"{n}_error"]) for n in ("pmra", "pmdec")}
    _pull_panel(axes[0][2], pulls, "pulls of the motions")
    return figure


def write_truth_plots(details: Any, folder: Any) -> list[str]:
    """Write the figures of this module as PNG files.

    Parameters
    ----------
    details : dict of `~astropy.table.Table`
        ``stars``, ``official`` and ``distortion``, ``motions``; what is missing has no figure.

    folder : path-like
        Made where it is missing.

    Returns
    -------
    list of str
        Paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = {}
    if "stars" in details:
        figures["positions"] = star_list_errors(details["stars"])
    if "official" in details and "distortion" in details:
        figures["distortion"] = distortion_errors(details["official"], details["distortion"])
    if "motions" in details:
        figures["motions"] = motion_truth(details["motions"])
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        paths.append(str(path))
    return paths
