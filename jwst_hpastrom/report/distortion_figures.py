"""Figures of the geometric distortion (L23 Fig. 9-19)."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from jwst_hpastrom.distortion import filter_differences, pixel_scale_history
from jwst_hpastrom.instrument import pixel_mas, stripes
from jwst_hpastrom.numerics import bin_index, robust_sigma, sort_into_groups
from jwst_hpastrom.report.drawing import bright_rows, new_figure, running_median, thin

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
    bright = bright_rows(residuals)
    r = residuals[bright]
    x, y = np.asarray(r["x"]), np.asarray(r["y"])
    sides = figure.subfigures(1, 2)
    for side, suffix, title in zip(sides, ("_raw", ""), ("before", "after the correction"), strict=True):
        dx, dy = np.asarray(r[f"dx{suffix}"]), np.asarray(r[f"dy{suffix}"])
        grid = side.add_gridspec(3, 3)
        main = side.add_subplot(grid[:2, :2])
        n = 16
        edges_x, edges_y = np.linspace(x.min(), x.max(), n + 1), np.linspace(y.min(), y.max(), n + 1)
        cell = np.clip(np.digitize(y, edges_y) - 1, 0, n - 1) * n + np.clip(
            np.digitize(x, edges_x) - 1, 0, n - 1
        )
        mean = np.full((2, n * n), np.nan)
        for k in range(n * n):
            if np.sum(cell == k) > 2:
                mean[:, k] = np.median(dx[cell == k]), np.median(dy[cell == k])
        cx, cy = np.meshgrid(0.5 * (edges_x[1:] + edges_x[:-1]), 0.5 * (edges_y[1:] + edges_y[:-1]))
        longest = np.nanmax(np.hypot(*mean))
        factor = 0.9 * (x.max() - x.min()) / n / max(longest, 1e-9)
        main.quiver(
            cx.ravel(), cy.ravel(), *(factor * mean), angles="xy", scale_units="xy", scale=1, width=0.004
        )
        rms = np.sqrt(0.5 * (robust_sigma(dx) ** 2 + robust_sigma(dy) ** 2))
        main.set_title(f"{title}: RMS {rms:.4f} pixel per axis; arrows × {factor:.0f}", fontsize=9)
        main.set_aspect("equal")
        k = thin(np.random.default_rng(0), x.size, 8000)
        limit = 3.5 * max(robust_sigma(dx), robust_sigma(dy))
        for place, along, delta, names in (
            (grid[2, :2], x, dx, ("x", "Δx")),
            (grid[2, 2], y, dx, ("y", "Δx")),
            (grid[0, 2], x, dy, ("x", "Δy")),
            (grid[1, 2], y, dy, ("y", "Δy")),
        ):
            axis = side.add_subplot(place)
            axis.plot(along[k], delta[k], ",", color="0.4")
            axis.axhline(0, color="C3", lw=1)
            axis.set_ylim(-limit, limit)
            axis.set_xlabel(f"{names[0]} (pixel)")
            axis.set_ylabel(f"{names[1]} (pixel)")
    return figure


def residual_scatter(residuals, scale_mas=None):
    """Δy against Δx of bright stars about the master frame, with Gaussians; L23 Fig. 12.

    Parameters
    ----------
    residuals : `~astropy.table.Table`

    scale_mas : float, optional
        Pixel scale; by default that of the table's instrument.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    scale_mas = scale_mas or pixel_mas(residuals.meta)
    r = residuals[bright_rows(residuals)]
    dx, dy = np.asarray(r["dx"]), np.asarray(r["dy"])
    sx, sy = robust_sigma(dx), robust_sigma(dy)
    limit = 5 * max(sx, sy)
    figure, axes = new_figure(6, 6, 2, 2, gridspec_kw={"width_ratios": (3, 1), "height_ratios": (1, 3)})
    axes[0][1].axis("off")
    k = thin(np.random.default_rng(0), dx.size)
    main = axes[1][0]
    main.plot(dx[k], dy[k], ",", color="0.3")
    main.set_xlim(-limit, limit)
    main.set_ylim(-limit, limit)
    main.set_xlabel("Δx (pixel)")
    main.set_ylabel("Δy (pixel)")
    bins = np.linspace(-limit, limit, 41)
    t = np.linspace(-limit, limit, 200)
    for axis, d, s, orientation in (
        (axes[0][0], dx, sx, "vertical"),
        (axes[1][1], dy, sy, "horizontal"),
    ):
        axis.hist(d, bins, color="0.75", orientation=orientation)
        inside = np.sum(np.abs(d) < limit)
        curve = inside * (bins[1] - bins[0]) * np.exp(-0.5 * (t / s) ** 2) / (s * np.sqrt(2 * np.pi))
        axis.plot(*((t, curve) if orientation == "vertical" else (curve, t)), color="C3")
    axes[0][0].set_xlim(-limit, limit)
    axes[1][1].set_ylim(-limit, limit)
    axes[0][0].set_title(
        f"σ(Δx) = {sx:.4f}, σ(Δy) = {sy:.4f} pixel ({sx * scale_mas:.2f}, {sy * scale_mas:.2f} mas)",
        fontsize=10,
    )
    return figure


def amplifier_panels(residuals, correction, bands=4):
    """Residuals along the amplifiers' stripes, with the polynomial alone and with all parts; L23 Fig. 10.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        The metadata say which way the stripes lie, see `~jwst_hpastrom.instrument.stripes`.

    correction : `~jwst_hpastrom.distortion.DistortionCorrection`
        The one that the residuals are with.

    bands : int
        Stripes; Δx against x where they follow each other along y, Δy against y along x.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    r = residuals[bright_rows(residuals)]
    along, across = ("y", "x") if stripes(residuals.meta) == "x" else ("x", "y")
    x, y, dx = (np.asarray(r[c], float) for c in (along, across, f"d{along}"))
    fine = replace(correction, polynomial=None).delta(*(np.asarray(r[c], float) for c in "xy"))
    fine = fine["xy".index(along)]
    length = dict(zip("yx", correction.shape, strict=True))
    edges = np.linspace(0, length[across], bands + 1)
    figure, axes = new_figure(11, 2.1 * bands, bands, 2, sharex=True, sharey=True)
    limit = 4 * robust_sigma(dx - fine)
    bins = np.linspace(0, length[along], 65)
    for row, (low, high) in zip(axes, zip(edges[::-1][1:], edges[::-1][:-1], strict=True), strict=True):
        k = np.flatnonzero((y >= low) & (y < high))
        for axis, value, title in zip(row, (dx - fine, dx), ("polynomial", "all parts"), strict=True):
            few = k[thin(np.random.default_rng(0), k.size, 6000)]
            axis.plot(x[few], value[few], ",", color="0.5")
            axis.plot(*running_median(x[k], value[k], bins), color="C3", lw=1)
            axis.set_title(f"{title}, {across} {low:.0f} to {high:.0f}", fontsize=9)
        row[0].set_ylabel(f"Δ{along} (pixel)")
    axes[0][0].set_ylim(-limit, limit)
    for axis in axes[-1]:
        axis.set_xlabel(f"{along} (pixel)")
    return figure


def _binned_map(x, y, values, shape, size=32):
    """Medians of values in square cells, NaN for fewer than three."""
    ny, nx = shape[0] // size, shape[1] // size
    order, start = sort_into_groups(bin_index(y, size, ny) * nx + bin_index(x, size, nx), ny * nx)
    out = [np.median(values[order[a:b]]) if b - a > 2 else np.nan
           for a, b in pairwise(start)]  # fmt: skip
    return np.reshape(out, (ny, nx))


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
    data = np.asarray(correction.pixel_map.data, float)
    step = max(data.shape[0] // 512, 1)
    rows = 1 if residuals is None else 2
    figure, axes = new_figure(11, 5.2 * rows, rows, 2, sharex=True, sharey=True)
    limit = 1e3 * np.percentile(np.abs(data), 99)
    extent = (-0.5, data.shape[1] - 0.5, -0.5, data.shape[0] - 0.5)
    images = [data[::step, ::step, k] for k in (0, 1)]
    if residuals is not None:
        x, y = (np.asarray(residuals[c], float) for c in "xy")
        images += [_binned_map(x, y, np.asarray(residuals[c], float), data.shape[:2]) for c in ("dx", "dy")]
    titles = ("pixel map, x", "pixel map, y", "residuals with it, Δx", "residuals with it, Δy")
    for axis, image, title in zip(axes.ravel(), images, titles, strict=False):
        shown = axis.imshow(
            1e3 * image, origin="lower", extent=extent, vmin=-limit, vmax=limit, cmap="RdBu_r",
            interpolation="nearest",
        )  # fmt: skip
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("x (pixel)")
        axis.set_ylabel("y (pixel)")
    figure.colorbar(shown, ax=axes.ravel().tolist(), label="0.001 pixel", shrink=0.8)
    return figure


def position_rms(residuals, scale_mas=None):
    """One-dimensional RMS of positions about the master frame against magnitude; L23 Fig. 16.

    Parameters
    ----------
    residuals : `~astropy.table.Table`

    scale_mas : float, optional
        Pixel scale; by default that of the table's instrument.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    scale_mas = scale_mas or pixel_mas(residuals.meta)
    mag = np.asarray(residuals["mag"], float)
    size = np.sqrt(0.5 * (np.asarray(residuals["dx"]) ** 2 + np.asarray(residuals["dy"]) ** 2))
    edges = np.arange(np.floor(2 * mag.min()) / 2, mag.max() + 0.25, 0.25)
    index = np.digitize(mag, edges) - 1
    figure, axes = new_figure(7, 4.6)
    axis = axes[0][0]
    k = thin(np.random.default_rng(0), mag.size)
    axis.semilogy(mag[k], size[k], ",", color="0.6")
    center, rms = [], []
    for n in range(len(edges) - 1):
        chosen = residuals[index == n]
        if len(chosen) > 20:
            center.append(edges[n] + 0.125)
            rms.append(np.sqrt(0.5 * (robust_sigma(chosen["dx"]) ** 2 + robust_sigma(chosen["dy"]) ** 2)))
    axis.semilogy(center, rms, "o-", color="C0", ms=4, label="robust RMS per axis")
    best = bright_rows(residuals)
    value = np.sqrt(
        0.5 * (robust_sigma(residuals["dx"][best]) ** 2 + robust_sigma(residuals["dy"][best]) ** 2)
    )
    label = f"best stars: {value:.4f} pixel = {value * scale_mas:.2f} mas"
    axis.axhline(value, color="C3", lw=1, label=label)
    axis.set_ylim(max(value / 10, 1e-4), max(np.percentile(size, 99.5), 5 * value))
    axis.set_xlabel("instrumental magnitude")
    axis.set_ylabel("distance from the master frame (pixel, per axis)")
    axis.legend(fontsize=8)
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
    limit = max(float(np.percentile(np.abs(d), 99.5)) for d in differences.values())
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
    from jwst_hpastrom.io.distortion_reference import read_distortion, reference_meta

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
        contents += [
            (distortion_map(residuals), "residuals about the master frame (L23 Fig. 9, 11)"),
            (residual_scatter(residuals), "bright stars about the master frame (L23 Fig. 12)"),
            (position_rms(residuals), "precision of single positions (L23 Fig. 16)"),
        ]
    fine = getattr(correction, "pixel_map", None) is not None
    if residuals is not None and fine:
        caption = "residuals by amplifier, with the polynomial and with all parts (L23 Fig. 10)"
        contents.append((amplifier_panels(residuals, correction), caption))
    if fine:
        contents.append((fine_maps(correction, residuals), "the finest structure (L23 Fig. 13, 15)"))
    corrections = _filters(products) if len(list(products.folder.glob("*_distortion.asdf"))) > 1 else {}
    if len(corrections) > 1:
        figure, table = filter_maps(corrections)
        contents += [(figure, "each filter minus the average of all (L23 Fig. 17)"), table]
    scales = [
        t for name, t in products.quality.items() if name.endswith("_scale_distortion_refine_quality.ecsv")
    ]
    if scales:
        figure, table = scale_history(scales)
        contents += [(figure, "pixel scale against time (L23 Fig. 18, 19)"), table]
    return [("Distortion", contents)] if contents else []
