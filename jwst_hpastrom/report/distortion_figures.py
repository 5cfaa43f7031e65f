"""Figures of the geometric distortion (L23 Fig. 9-19)."""

import numpy as np

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.report.drawing import bright_rows, new_figure, thin

__all__ = ["distortion_map", "residual_scatter", "sections"]


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


def residual_scatter(residuals, scale_mas=65.6):
    """Δy against Δx of bright stars about the master frame, with Gaussians; L23 Fig. 12.

    Parameters
    ----------
    residuals : `~astropy.table.Table`

    scale_mas : float
        Pixel scale.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
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


def sections(products):
    """The report's sections on the distortion, see `~jwst_hpastrom.report.page.write_page`."""
    residuals = products.residuals
    if residuals is None:
        return []
    contents = [
        (distortion_map(residuals), "residuals about the master frame (L23 Fig. 9, 11)"),
        (residual_scatter(residuals), "bright stars about the master frame (L23 Fig. 12)"),
    ]
    return [("Distortion", contents)]
