"""Figures of master frames and motions (L23 Fig. 16, 20, 21)."""

import numpy as np

from jwst_hpastrom import plot
from jwst_hpastrom.columns import values
from jwst_hpastrom.instrument import nominal_scale
from jwst_hpastrom.plot.drawing import new_figure
from jwst_hpastrom.report.captions import shown

__all__ = ["frame_scatter", "motion_diagram", "motion_errors", "sections"]


def frame_scatter(master, scale_mas=None, pixel_mas=None):
    """One-dimensional RMS of the master frame's positions against magnitude; L23 Fig. 16.

    Parameters
    ----------
    master : `~astropy.table.Table`

    scale_mas, pixel_mas : float, optional
        Of the master frame's and of the detector's pixels; by default the metadata's, and the instrument's.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(7, 4.6)
    if pixel_mas is None and (scale := nominal_scale(master.meta)):
        pixel_mas = 1e3 * scale
    plot.frame_rms(master, axes[0][0], scale_mas=scale_mas, pixel_mas=pixel_mas)
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
    colored = np.isfinite(values(motions, "mag") + values(motions, "color")).any()
    figure, axes = new_figure(9 if colored else 5.5, 5, 1, 2 if colored else 1)
    if colored:
        plot.color_magnitude(motions, axes[0][0])
    plot.motion_errors(motions, axes[0][-1])
    return figure


def motion_diagram(motions, *, most_error=None):
    """Vector-point diagram and where the stars are; L23 Fig. 21.

    Parameters
    ----------
    motions : `~astropy.table.Table`

    most_error : float, optional
        Stars with larger errors (mas/yr) are pale, see `~jwst_hpastrom.plot.motion_diagram`.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(11, 5.4, 1, 2)
    plot.motion_diagram(motions, axes[0][0], most_error=most_error)
    plot.sky_map(motions, axes[0][1])
    return figure


def sections(products):
    """The report's sections on master frame and motions, see `~jwst_hpastrom.report.page.write_page`."""
    found = []
    if products.master is not None:
        figure = frame_scatter(products.master)
        found.append(
            (
                "Master frame",
                [shown(figure, "frame_rms", "Precision (L23 Fig. 16)", figure.axes[0].get_title())],
            )
        )
    if products.motions is not None:
        errors = motion_errors(products.motions)
        here = errors.axes[-1].get_title()
        contents = [
            shown(errors, "motion_errors", "Colors and errors (L23 Fig. 20)", here),
            shown(motion_diagram(products.motions), "motion_diagram", "Vector-point diagram (L23 Fig. 21)"),
        ]
        found.append(("Proper motions", contents))
    return found
