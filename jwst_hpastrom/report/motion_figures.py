"""Figures of master frames and motions (L23 Fig. 16, 20, 21)."""

import numpy as np

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.instrument import pixel_mas
from jwst_hpastrom.report.drawing import color_limits, color_magnitude, new_figure, show_bright

__all__ = ["motion_diagram", "motion_errors", "rms_against_magnitude", "sections"]


def rms_against_magnitude(master, scale_mas=50.0):
    """One-dimensional RMS of the master frame's positions against magnitude; L23 Fig. 16.

    Parameters
    ----------
    master : `~astropy.table.Table`

    scale_mas : float
        Of the master frame's pixels.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    pixel = pixel_mas(master.meta)
    rms = np.hypot(np.asarray(master["x_rms"], float), np.asarray(master["y_rms"], float)) / np.sqrt(2)
    rms, mag = rms * scale_mas / pixel, np.asarray(master["mag"], float)
    keep = np.isfinite(rms) & (rms > 0)
    rms, mag = rms[keep], mag[keep]
    figure, axes = new_figure(6.5, 4.6)
    axis = axes[0][0]
    axis.semilogy(mag, rms, ",", color="0.3")
    level = show_bright(axis, mag, rms)
    axis.set_title(f"1-D RMS of the bright stars: {level:.4f} pixel = {level * pixel:.2f} mas")
    axis.set_ylim(1e-3, 0.3)
    axis.set_xlabel("instrumental magnitude")
    axis.set_ylabel("1-D RMS (pixel)")
    return figure


def motion_errors(motions):
    """Errors of the proper motions against magnitude, beside the colors where there are any; L23 Fig. 20.

    Parameters
    ----------
    motions : `~astropy.table.Table`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    mag = np.asarray(motions["mag"], float)
    error = np.hypot(np.asarray(motions["pmra_error"], float), np.asarray(motions["pmdec_error"], float))
    error = np.where(error > 0, error, np.nan) / np.sqrt(2)
    color = np.asarray(motions["color"], float) if "color" in motions.colnames else np.full(mag.size, np.nan)
    colored = np.isfinite(mag + color).any()
    figure, axes = new_figure(9 if colored else 5, 5, 1, 2 if colored else 1, sharey=True)
    right = axes[0][-1]
    right.semilogx(error, mag, ",", color="0.3")
    level = show_bright(right, mag, error, upright=True)
    right.set_title(f"bright stars: median {level:.4f} mas/yr", fontsize=10)
    right.xaxis.set_minor_formatter("")
    right.set_xlabel("1-D error (mas/yr)")
    if not colored:
        right.set_ylabel("magnitude")
        right.invert_yaxis()
        return figure
    left = axes[0][0]
    reference = np.asarray(motions["flags"], np.int64) & int(Flag.REFERENCE) != 0
    color_magnitude(left, mag, color, color="0.4")
    color_magnitude(left, mag, color, reference, color="C3", label=f"{reference.sum()} reference stars")
    color_limits(left, mag, color)
    if reference.any():
        left.legend(markerscale=6, loc="upper right")
    return figure


def motion_diagram(motions, *, most_error=0.2):
    """Vector-point diagram; L23 Fig. 21.

    Parameters
    ----------
    motions : `~astropy.table.Table`

    most_error : float
        Stars with larger errors (mas/yr) are left out.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    a, b = np.asarray(motions["pmra"], float), np.asarray(motions["pmdec"], float)
    error = np.hypot(np.asarray(motions["pmra_error"], float), np.asarray(motions["pmdec_error"], float))
    keep = np.isfinite(a) & np.isfinite(b) & (error < np.sqrt(2) * most_error)
    if keep.sum() < 10:
        keep = np.isfinite(a) & np.isfinite(b)
    a, b = a[keep], b[keep]
    figure, axes = new_figure(5.5, 5.2)
    axis = axes[0][0]
    axis.plot(a, b, ".", ms=1.5, color="0.2", alpha=0.6)
    for set_limits, values in ((axis.set_xlim, a), (axis.set_ylim, b)):
        if values.size:
            half = max(6 * robust_sigma(values), 1e-3)
            set_limits(np.median(values) - half, np.median(values) + half)
    axis.invert_xaxis()
    axis.set_aspect("equal", adjustable="box")
    axis.set_xlabel("pmra, µα cos δ (mas/yr)")
    axis.set_ylabel("pmdec (mas/yr)")
    axis.set_title(f"{a.size} stars, σ = {robust_sigma(a):.3f}, {robust_sigma(b):.3f} mas/yr", fontsize=10)
    return figure


def sections(products):
    """The report's sections on master frame and motions, see `~jwst_hpastrom.report.page.write_page`."""
    found = []
    if products.master is not None:
        scale = float(products.master.meta.get("scale_mas", 50.0))
        found.append(
            ("Master frame", [(rms_against_magnitude(products.master, scale), "precision (L23 Fig. 16)")])
        )
    if products.motions is not None:
        contents = [
            (motion_errors(products.motions), "colors and errors (L23 Fig. 20)"),
            (motion_diagram(products.motions), "vector-point diagram (L23 Fig. 21)"),
        ]
        found.append(("Proper motions", contents))
    return found
