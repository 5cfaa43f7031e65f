"""Figures of a frame's study (H25 Fig. 7, 9, 12)."""

import numpy as np
from scipy.stats import chi2

from jwst_hpastrom.plot.drawing import new_figure

__all__ = ["comparison_differences", "frame_forecast", "mean_differences", "sections", "study_contents"]

#: of the regions that are drawn, as in H25
CONFIDENCE = 0.997


def _cross(axis, unit):
    axis.axhline(0, color="0.7", lw=0.8)
    axis.axvline(0, color="0.7", lw=0.8)
    axis.invert_xaxis()
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel(f"East ({unit})")
    axis.set_ylabel(f"North ({unit})")


def _ellipse(axis, middle, error, **kwargs):
    angle = np.linspace(0, 2 * np.pi, 181)
    k = np.sqrt(chi2.ppf(CONFIDENCE, 2))
    axis.plot(middle[0] + k * error[0] * np.cos(angle), middle[1] + k * error[1] * np.sin(angle), **kwargs)


def comparison_differences(differences, comparison):
    """Stars in common with another list, one by one, and the mean with its region of 99.7 %; H25 Fig. 7.

    Parameters
    ----------
    differences, comparison : `~astropy.table.Table`
        Of `~jwst_hpastrom.motion.FrameStudy`.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(10, 4.8, columns=2)
    row = comparison[0]
    for axis, kind, unit in zip(axes[0], ("motion", "position"), ("mas/yr", "mas"), strict=True):
        x, y, ex, ey = (differences[f"{kind}_{c}"] for c in ("x", "y", "x_error", "y_error"))
        axis.errorbar(x, y, xerr=ex, yerr=ey, fmt="o", color="0.5", ms=3, lw=0.6)
        middle = (row[f"{kind}_x"], row[f"{kind}_y"])
        error = (row[f"{kind}_x_error"], row[f"{kind}_y_error"])
        axis.plot(*middle, "C3s", ms=5)
        _ellipse(axis, middle, error, color="C3", lw=1)
        _cross(axis, unit)
        axis.set_title(
            f"{kind}: χ² {row[f'{kind}_chi2']:.2f}, p {row[f'{kind}_probability']:.3f}", fontsize=10
        )
    return figure


def mean_differences(comparison):
    """Mean differences about each of several objects at rest, with regions of 99.7 %; H25 Fig. 12.

    Parameters
    ----------
    comparison : `~astropy.table.Table`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(10, 4.8, columns=2)
    for axis, kind, unit in zip(axes[0], ("motion", "position"), ("mas/yr", "mas"), strict=True):
        for k, row in enumerate(comparison):
            middle = (row[f"{kind}_x"], row[f"{kind}_y"])
            error = (row[f"{kind}_x_error"], row[f"{kind}_y_error"])
            axis.errorbar(
                *middle, xerr=error[0], yerr=error[1], fmt="o", color=f"C{k}", label=str(row["frame"])
            )
            _ellipse(axis, middle, error, color=f"C{k}", lw=0.8)
        _cross(axis, unit)
        axis.set_title(kind, fontsize=10)
    axes[0][0].legend(fontsize=8)
    return figure


def frame_forecast(forecast):
    """Error of the frame's motion now and with more epochs or a better catalog; H25 Fig. 9.

    Parameters
    ----------
    forecast : `~astropy.table.Table`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(7, 4)
    axis = axes[0][0]
    better = np.array(["DR4" in str(c) for c in forecast["case"]])
    known = np.isfinite(np.asarray(forecast["pm_error"], float)).any()
    column = "pm_error" if known else "motion_error"
    for rows, label in ((~better, "catalog as it is"), (better, "better catalog")):
        if rows.any():
            axis.plot(forecast["last_epoch"][rows], forecast[column][rows], "o-", label=label)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("last epoch")
    axis.set_ylabel("frame's motion, total error (mas/yr)" if known else "reference stars' motions (mas/yr)")
    axis.legend(fontsize=8)
    return figure


def study_contents(tables):
    """Text, tables and figures of a study.

    Parameters
    ----------
    tables : dict of str to `~astropy.table.Table`
        ``cuts``, and what there is of ``budget``, ``comparison``, ``differences``, ``forecast``.

    Returns
    -------
    list
        For `~jwst_hpastrom.report.page.write_page`.
    """
    found = []
    if "cuts" in tables:
        meta = tables["cuts"].meta
        text = f"Quality cuts (H25 §4.1.1): {meta.get('n_passed')} of {meta.get('n_stars')} stars pass."
        found += [text, tables["cuts"]]
    if "budget" in tables:
        found += ["Error budget, after each step from frame to frame (H25 Table 5):", tables["budget"]]
    if "comparison" in tables:
        comparison = tables["comparison"]
        found += [
            f"{comparison.meta.get('differences', '')}. *_measured: without the frames' own errors; "
            "*_within: H25's length of the error; *_limit: of the true offset, at 99.7 %.",
            comparison,
        ]
        if "differences" in tables:
            found.append((comparison_differences(tables["differences"], comparison), "H25 Fig. 7"))
        if len(comparison) > 1:
            found.append((mean_differences(comparison), "about each published place (H25 Fig. 12)"))
    if "forecast" in tables:
        found += ["Forecasts (H25 §5.2):", tables["forecast"]]
        found.append((frame_forecast(tables["forecast"]), "H25 Fig. 9"))
    return found


def sections(products):
    """The report's section on the frame, see `~jwst_hpastrom.report.page.write_page`."""
    names = ("cuts", "budget", "comparison", "differences", "forecast")
    tables = {n: products.quality.get(f"{products.name}_frame_{n}_quality.ecsv") for n in names}
    tables = {n: t for n, t in tables.items() if t is not None}
    return [("Frame (H25 §4, §5)", study_contents(tables))] if tables else []
