"""Figures of the geometric distortion (L23 Fig. 9-19)."""

from dataclasses import replace

import numpy as np

from jwst_hpastrom import plot
from jwst_hpastrom.distortion import filter_differences, pixel_scale_history
from jwst_hpastrom.instrument import amplifiers, nominal_scale, outputs, stripes
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.plot.drawing import bright_rows, new_figure, points, running_median, symmetric_limit
from jwst_hpastrom.report.captions import shown

__all__ = [
    "amplifier_panels",
    "distortion_map",
    "filter_maps",
    "fine_maps",
    "position_rms",
    "residual_scatter",
    "scale_history",
    "sections",
]


def distortion_map(residuals):
    """Residual maps and one-dimensional panels before and after the correction; L23 Fig. 9, 11.

    Parameters
    ----------
    residuals : `~astropy.table.Table`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.6), layout="constrained")
    for side, raw in zip(figure.subfigures(1, 2), (True, False), strict=True):
        grid = side.add_gridspec(3, 3)
        plot.residual_arrows(residuals, side.add_subplot(grid[:2, :2]), raw=raw)
        for place, along, of in (
            (grid[2, :2], "x", "x"), (grid[2, 2], "y", "x"), (grid[0, 2], "x", "y"), (grid[1, 2], "y", "y"),
        ):  # fmt: skip
            plot.residual_trend(residuals, side.add_subplot(place), along=along, of=of, raw=raw)
    return figure


def residual_scatter(residuals, scale_mas=None):
    """Δy against Δx of bright stars about the master frame, with Gaussians; L23 Fig. 12.

    Parameters
    ----------
    residuals : `~astropy.table.Table`

    scale_mas : float, optional
        Pixel scale; the instrument's by default.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(6, 6, 2, 2, gridspec_kw={"width_ratios": (3, 1), "height_ratios": (1, 3)})
    axes[0][1].axis("off")
    main = plot.residual_scatter(residuals, axes[1][0], scale_mas=scale_mas or _scale(residuals))
    title = main.get_title()
    main.set_title("")
    main.set_aspect("auto")
    limit = main.get_xlim()[1]
    bins, t = np.linspace(-limit, limit, 41), np.linspace(-limit, limit, 200)
    r = residuals[bright_rows(residuals)]
    for axis, name, orientation in (
        (axes[0][0], "dx", "vertical"), (axes[1][1], "dy", "horizontal"),
    ):  # fmt: skip
        d = np.asarray(r[name])
        s = max(robust_sigma(d), 1e-9)
        axis.hist(d, bins, color="0.75", orientation=orientation)
        inside = np.sum(np.abs(d) < limit)
        curve = inside * (bins[1] - bins[0]) * np.exp(-0.5 * (t / s) ** 2) / (s * np.sqrt(2 * np.pi))
        axis.plot(*((t, curve) if orientation == "vertical" else (curve, t)), color="C3")
    axes[0][0].set_xlim(-limit, limit)
    axes[1][1].set_ylim(-limit, limit)
    axes[0][0].set_title(title, fontsize=10)
    return figure


def _scale(residuals):
    """Nominal pixel scale in mas of the instrument that the metadata name, else None."""
    scale = nominal_scale(residuals.meta)
    return None if scale is None else 1e3 * scale


def _amplifier_rows(meta, shape, x, y):
    """Which stars each output read, and what it is: the last stripe first, or column by column."""
    which, n, axis = amplifiers(meta, x, y, shape), outputs(meta), stripes(meta)
    if n == 1:
        return [(which == 0, "one output")]
    if axis is None:
        return [(which == k, f"columns {k + 1}, {k + 1 + n}, …") for k in range(n)]
    edges = np.linspace(0, shape["yx".index(axis)], n + 1)
    return [(which == k, f"{axis} {edges[k]:.0f} to {edges[k + 1]:.0f}") for k in range(n - 1, -1, -1)]


def amplifier_panels(residuals, correction):
    """Residuals by amplifier, with the polynomial alone and with all parts; L23 Fig. 10.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        The metadata say how the detector was read, see `~jwst_hpastrom.instrument.amplifiers`: Δx against x
        where stripes follow each other along y, and of interleaved outputs; Δy against y where along x.

    correction : `~jwst_hpastrom.distortion.DistortionCorrection`
        The one that the residuals are with.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    r = residuals[bright_rows(residuals)]
    along = "y" if stripes(residuals.meta) == "x" else "x"
    x, dx = (np.asarray(r[c], float) for c in (along, f"d{along}"))
    rows = _amplifier_rows(residuals.meta, correction.shape, *(np.asarray(r[c], float) for c in "xy"))
    fine = replace(correction, polynomial=None).delta(*(np.asarray(r[c], float) for c in "xy"))
    fine = fine["xy".index(along)]
    length = dict(zip("yx", correction.shape, strict=True))
    figure, axes = new_figure(11, max(2.1 * len(rows), 3.0), len(rows), 2, sharex=True, sharey=True)
    limit = 4 * robust_sigma(dx - fine)
    # ten stars of a band a bin, and no finer than the structure
    bins = np.linspace(0, length[along], int(np.clip(len(r) / len(rows) / 10, 8, 64)) + 1)
    for row, (read, name) in zip(axes, rows, strict=True):
        k = np.flatnonzero(read)
        for axis, value, title in zip(row, (dx - fine, dx), ("polynomial", "all parts"), strict=True):
            points(axis, x[k], value[k], most=6000, color="0.5")
            axis.plot(*running_median(x[k], value[k], bins), color="C3", lw=1)
            axis.set_title(f"{title}, {name}", fontsize=9)
        row[0].set_ylabel(f"Δ{along} (pixel)")
    axes[0][0].set_ylim(-limit, limit)
    for axis in axes[-1]:
        axis.set_xlabel(f"{along} (pixel)")
    return figure


def fine_maps(correction, residuals=None):
    """The pixel map, and what the residuals show with it applied; L23 Fig. 13, 15.

    Parameters
    ----------
    correction : `~jwst_hpastrom.distortion.DistortionCorrection`
        With a pixel map.

    residuals : `~astropy.table.Table`, optional

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    rows = 1 if residuals is None else 2
    figure, axes = new_figure(11, 4.8 * rows, rows, 2, sharex=True, sharey=True)
    for k, name in enumerate("xy"):
        plot.pixel_map(correction, axes[0][k], axis=name)
        if residuals is not None:
            plot.residual_map(residuals, axes[1][k], axis=name)
            # on one color scale with the map
            axes[1][k].images[0].set_clim(*axes[0][k].images[0].get_clim())
    return figure


def position_rms(residuals, scale_mas=None):
    """One-dimensional RMS of positions about the master frame against magnitude; L23 Fig. 16.

    Parameters
    ----------
    residuals : `~astropy.table.Table`

    scale_mas : float, optional
        Pixel scale; the instrument's by default.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(7, 4.6)
    plot.position_rms(residuals, axes[0][0], scale_mas=scale_mas or _scale(residuals))
    return figure


def filter_maps(corrections):
    """Each filter's solution minus the average of all; L23 Fig. 17.

    Parameters
    ----------
    corrections : dict of str to `~jwst_hpastrom.distortion.DistortionCorrection`

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
    table : `~astropy.table.Table`
        See `~jwst_hpastrom.distortion.filter_differences`.
    """
    table, x, y, differences = filter_differences(corrections)
    limit = max(symmetric_limit(d, 99.5) for d in differences.values())
    figure, axes = new_figure(8, 3.6 * len(differences), len(differences), 2, sharex=True, sharey=True)
    extent = (x.min(), x.max(), y.min(), y.max())
    for row, (name, d) in zip(axes, differences.items(), strict=True):
        for axis, image, letter in zip(row, d, "xy", strict=True):
            shown = axis.imshow(image, origin="lower", extent=extent, vmin=-limit, vmax=limit, cmap="RdBu_r")
            axis.set_title(f"{name}: {letter} minus average", fontsize=10)
            axis.set_xlabel("x (pixel)")
            axis.set_ylabel("y (pixel)")
    figure.colorbar(shown, ax=axes.ravel().tolist(), label="pixel", shrink=0.8)
    return figure, table


def scale_history(tables):
    """Pixel scale against time, absolute and over each filter's mean; L23 Fig. 18, 19.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`
        Pixel scales of the exposures, as `~jwst_hpastrom.steps.DistortionRefineStep` writes them.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
    summary : `~astropy.table.Table`
        See `~jwst_hpastrom.distortion.pixel_scale_history`.
    """
    summary, history = pixel_scale_history(tables)
    figure, axes = new_figure(11, 4.4, 1, 2, sharex=True)
    left, right = axes[0]
    start = np.floor(np.min(history["epoch"]) * 100) / 100
    for n, row in enumerate(summary):
        k = history["filter"] == row["filter"]
        days = (np.asarray(history["epoch"][k]) - start) * 365.25
        scale, error = (np.asarray(history[c][k]) for c in ("pixel_scale", "pixel_scale_error"))
        style = {"fmt": "o", "color": f"C{n}", "ms": 4, "lw": 1}
        name = f"{row['filter']}: {row['pixel_scale']:.5f} ± {row['pixel_scale_total_error']:.5f} mas/pixel"
        left.errorbar(days, scale, error, label=name, **style)
        left.axhline(row["pixel_scale"], color=f"C{n}", ls="--", lw=1)
        relative = np.asarray(history["relative"][k])
        right.errorbar(days, 1e6 * (relative - 1), 1e6 * error / scale, **style)
    left.set_ylabel("pixel scale (mas), velocity aberration divided out")
    left.ticklabel_format(useOffset=False)
    right.set_ylabel("relative to the filter's mean − 1 (parts per million)")
    right.axhline(0, color="k", lw=1)
    for axis in (left, right):
        axis.set_xlabel(f"days since {start:.2f}")
    left.legend(fontsize=8)
    return figure, summary


def _filters(products):
    """Corrections of all filters in the folder, by filter."""
    from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion, reference_meta

    out = {}
    for path in sorted(products.folder.glob("*_distortion.asdf")):
        name = reference_meta(path)["filter"]
        if name and name not in out:
            known = products.correction is not None and path.name == f"{products.name}_distortion.asdf"
            out[name] = products.correction if known else read_distortion(path)
    return out


def sections(products):
    """The report's sections on the distortion, see `~jwst_hpastrom.report.page.write_page`."""
    residuals, correction = products.residuals, products.correction
    contents = []
    if residuals is not None:
        for draw, key, title in (
            (distortion_map, "distortion_map", "Residuals about the master frame (L23 Fig. 9, 11)"),
            (residual_scatter, "residual_scatter", "Bright stars about the master frame (L23 Fig. 12)"),
            (position_rms, "position_rms", "Precision of single positions (L23 Fig. 16)"),
        ):
            contents.append(shown(draw(residuals), key, title))
    fine = getattr(correction, "pixel_map", None) is not None
    if residuals is not None and fine:
        title = "Residuals by amplifier, with the polynomial and with all parts (L23 Fig. 10)"
        contents.append(shown(amplifier_panels(residuals, correction), "amplifiers", title))
    if fine:
        title = "The finest structure (L23 Fig. 13, 15)"
        contents.append(shown(fine_maps(correction, residuals), "fine_maps", title))
    corrections = _filters(products) if len(list(products.folder.glob("*_distortion.asdf"))) > 1 else {}
    if len(corrections) > 1:
        figure, table = filter_maps(corrections)
        contents += [
            shown(figure, "filter_maps", "Each filter minus the average of all (L23 Fig. 17)"),
            table,
        ]
    scales = [
        t for name, t in products.quality.items() if name.endswith("_scale_distortion_refine_quality.ecsv")
    ]
    if scales:
        figure, table = scale_history(scales)
        contents += [shown(figure, "scale_history", "Pixel scale against time (L23 Fig. 18, 19)"), table]
    return [("Distortion", contents)] if contents else []
