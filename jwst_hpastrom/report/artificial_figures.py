"""Figures of artificial-star tests: completeness, bias and errors against magnitude and crowding."""

import numpy as np

from jwst_hpastrom.measure import summarise_artificial
from jwst_hpastrom.plot.drawing import new_figure, points
from jwst_hpastrom.report.captions import shown

__all__ = ["artificial_star_tests", "sections"]

COLORS = {"": "C0", "_crowded": "C3"}
LABELS = {"": "all", "_crowded": "with a neighbor"}


def artificial_star_tests(artificial, *, step=0.5):
    """Completeness, errors of magnitudes and positions, and pulls of artificial stars against magnitude.

    Parameters
    ----------
    artificial : `~astropy.table.Table`
        From `~jwst_hpastrom.measure.artificial_stars`.

    step : float
        Width of the magnitude bins.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    rows = summarise_artificial(artificial, step=step)
    mag = np.asarray(rows["mag"])
    figure, axes = new_figure(9.5, 7.0, 2, 2, sharex=True)
    (share, light), (place, pull) = axes
    found = np.asarray(artificial["found"])
    true = np.asarray(artificial["mag_true"])[found]
    points(light, true, np.asarray(artificial["mag"])[found] - true, color="0.7", zorder=0)
    for end, color in COLORS.items():
        enough = np.asarray(rows[f"n{end}"]) >= 20
        many = enough & (np.asarray(rows[f"completeness{end}"] * rows[f"n{end}"]) >= 20)
        style = {"color": color, "marker": "o", "ms": 3, "lw": 1, "label": LABELS[end]}
        share.errorbar(
            mag[enough], rows[f"completeness{end}"][enough], rows[f"completeness_error{end}"][enough], **style
        )
        light.errorbar(mag[many], rows[f"mag_bias{end}"][many], rows[f"mag_scatter{end}"][many], **style)
        for axis, line in (("x", "-"), ("y", "--")):
            kind = style | {"ls": line, "label": f"{axis}, {LABELS[end]}"}
            place.semilogy(mag[many], rows[f"{axis}_scatter{end}"][many], **kind)
            pull.plot(mag[many], rows[f"{axis}_pull{end}"][many], **kind)
    share.axhline(0.5, color="0.6", lw=0.8)
    light.axhline(0, color="0.6", lw=0.8)
    pull.axhline(1, color="0.6", lw=0.8)
    light.set_ylim(-0.6, 0.6)
    pull.set_ylim(0, 2.5)
    for axis, text in (
        (share, "share found"), (light, "measured - true magnitude"),
        (place, "scatter of positions (master pixel)"), (pull, "scatter over formal error"),
    ):  # fmt: skip
        axis.set_ylabel(text)
        axis.legend(fontsize="small")
    for axis in axes[1]:
        axis.set_xlabel("instrumental magnitude")
    return figure


def sections(products):
    """Sections of the report, see `~jwst_hpastrom.report.page.write_page`."""
    if products.artificial is None:
        return []
    limit = summarise_artificial(products.artificial)
    below = np.flatnonzero(np.asarray(limit["completeness"]) < 0.5)
    text = f"{len(products.artificial)} artificial stars, {np.mean(products.artificial['found']):.0%} found"
    if below.size and below[0] > 0:
        k = below[0]
        mag, share = (np.asarray(limit[c])[k - 1 : k + 1] for c in ("mag", "completeness"))
        text += f"; half of them at magnitude {np.interp(-0.5, -share, mag):.2f}"
    figure = artificial_star_tests(products.artificial)
    return [("Artificial stars", [text + ".", shown(figure, "artificial", "Artificial stars, by crowding")])]
