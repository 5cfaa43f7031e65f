"""Figures of products, in the spirit of L23's."""

import numpy as np

from jwst_hpastrom.geometry import robust_sigma

__all__ = [
    "distortion_map",
    "epsf_grid",
    "motion_diagram",
    "motion_errors",
    "pixel_phase",
    "qfit_radxs",
    "residual_scatter",
    "rms_against_magnitude",
]

BRIGHT = (-6.5, -5.0)


def _figure(width, height, rows=1, columns=1, **kwargs):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def _running_median(x, y, bins):
    index = np.digitize(x, bins) - 1
    centre = 0.5 * (bins[1:] + bins[:-1])
    value = [np.median(y[index == k]) if np.sum(index == k) > 4 else np.nan for k in range(len(centre))]
    return centre, np.array(value)


def epsf_grid(library):
    """The array of ePSFs (logarithmic) and each one's difference from their mean (linear); L23 Fig. 4.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    ny, nx = library.y.size, library.x.size
    data = np.asarray(library.data)
    mean = data.mean(0)
    # the inner 6 pixels to either side
    c, half = data.shape[1] // 2, min(6 * library.oversampling, data.shape[1] // 2)
    cut = slice(c - half, c + half + 1)
    figure, axes = _figure(11, 5.6, 1, 2)
    blocks = [
        np.log10(np.maximum(data[:, cut, cut], 1e-5)),
        data[:, cut, cut] - mean[cut, cut],
    ]
    limit = max(float(np.abs(blocks[1]).max()), 1e-6)
    titles = ("ePSFs over the detector, log10", "difference from the mean ePSF")
    for axis, block, title, scale in zip(
        axes[0], blocks, titles, ({"vmin": -5, "vmax": -0.3}, {"vmin": -limit, "vmax": limit}), strict=True
    ):
        mosaic = np.block([[block[j * nx + i] for i in range(nx)] for j in range(ny)])
        side = block.shape[1]
        image = axis.imshow(
            mosaic, origin="lower", cmap="magma" if title.endswith("log10") else "RdBu_r", **scale
        )
        axis.set_xticks((np.arange(nx) + 0.5) * side, [f"{v:.0f}" for v in library.x])
        axis.set_yticks((np.arange(ny) + 0.5) * side, [f"{v:.0f}" for v in library.y])
        for k in range(nx * ny):
            if library.borrowed[k]:
                axis.text(
                    (k % nx + 0.05) * side, (k // nx + 0.85) * side, "borrowed", fontsize=6, color="0.6"
                )
        axis.set_title(title)
        axis.set_xlabel("x (pixel)")
        figure.colorbar(image, ax=axis, shrink=0.8)
    axes[0][0].set_ylabel("y (pixel)")
    return figure


def _sample(rng, n, most=20000):
    return np.arange(n) if n <= most else rng.choice(n, most, replace=False)


def qfit_radxs(stars):
    """QFIT and RADXS against instrumental magnitude; L23 Fig. 5, 6.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        One exposure's star list.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    mag = np.asarray(stars["mag"], float)
    k = _sample(np.random.default_rng(0), mag.size)
    figure, axes = _figure(11, 4.2, 1, 2)
    saturated = (
        np.asarray(stars["n_saturated"]) > 0 if "n_saturated" in stars.colnames else np.zeros(mag.size, bool)
    )
    for axis, name, limits in zip(axes[0], ("qfit", "radxs"), ((0, 0.5), (-0.5, 0.5)), strict=True):
        value = np.asarray(stars[name], float)
        axis.plot(mag[k], value[k], ",", color="0.3")
        axis.plot(mag[saturated], value[saturated], "x", color="C3", ms=3, label="saturated")
        axis.axvspan(*BRIGHT, color="pink", alpha=0.4)
        inside = (mag > BRIGHT[0]) & (mag < BRIGHT[1]) & np.isfinite(value) & ~saturated
        level = np.median(value[inside]) if inside.any() else np.nan
        if np.isfinite(level):
            axis.axhline(level if name == "qfit" else 0.0, color="C3", lw=1)
        axis.set_title(f"{name.upper()}, median of the bright stars {level:.3f}")
        axis.set_ylim(*limits)
        axis.set_xlabel("instrumental magnitude")
        axis.set_ylabel(name.upper())
    if saturated.any():
        axes[0][0].legend(loc="upper left")
    return figure


def pixel_phase(residuals):
    """Positions in the pixel, and residuals against them; L23 Fig. 1, 3.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.report.products.frame_residuals` gives it.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    bright = _bright(residuals)
    figure, axes = _figure(12, 4.0, 1, 3)
    phase = {a: (np.asarray(residuals[a]) + 0.5) % 1 - 0.5 for a in "xy"}
    counts, _, _ = np.histogram2d(phase["y"], phase["x"], bins=20, range=((-0.5, 0.5), (-0.5, 0.5)))
    image = axes[0][0].imshow(
        counts / max(counts.mean(), 1e-9), origin="lower", extent=(-0.5, 0.5, -0.5, 0.5), vmin=0.5, vmax=1.5
    )
    figure.colorbar(image, ax=axes[0][0], shrink=0.85, label="density / mean")
    axes[0][0].set_title("where stars fall in the pixel")
    axes[0][0].set_xlabel("x phase")
    axes[0][0].set_ylabel("y phase")
    bins = np.linspace(-0.5, 0.5, 21)
    for axis, name in zip(axes[0][1:], "xy", strict=True):
        p, d = phase[name][bright], np.asarray(residuals[f"d{name}"])[bright]
        k = _sample(np.random.default_rng(0), p.size)
        axis.plot(p[k], d[k], ",", color="0.4")
        axis.plot(*_running_median(p, d, bins), "--", color="C2", lw=2, label="median")
        axis.axhline(0, color="C3", lw=1)
        axis.set_ylim(-0.06, 0.06)
        axis.set_xlabel(f"{name} phase (pixel)")
        axis.set_ylabel(f"Δ{name} (pixel)")
        axis.legend(loc="upper right")
    return figure


def _bright(residuals):
    mag = np.asarray(residuals["mag"])
    chosen = (mag > BRIGHT[0]) & (mag < BRIGHT[1])
    return chosen if chosen.sum() >= 50 else np.ones(mag.size, bool)


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
    bright = _bright(residuals)
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
        k = _sample(np.random.default_rng(0), x.size, 8000)
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
    r = residuals[_bright(residuals)]
    dx, dy = np.asarray(r["dx"]), np.asarray(r["dy"])
    sx, sy = robust_sigma(dx), robust_sigma(dy)
    limit = 5 * max(sx, sy)
    figure, axes = _figure(6, 6, 2, 2, gridspec_kw={"width_ratios": (3, 1), "height_ratios": (1, 3)})
    axes[0][1].axis("off")
    k = _sample(np.random.default_rng(0), dx.size)
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


def rms_against_magnitude(master, scale_mas=50.0, pixel_mas=65.6):
    """One-dimensional RMS of the master frame's positions against magnitude; L23 Fig. 16.

    Parameters
    ----------
    master : `~astropy.table.Table`

    scale_mas, pixel_mas : float
        Of the master frame's and of the detector's pixels.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    rms = np.hypot(np.asarray(master["x_rms"], float), np.asarray(master["y_rms"], float)) / np.sqrt(2)
    rms, mag = rms * scale_mas / pixel_mas, np.asarray(master["mag"], float)
    keep = np.isfinite(rms) & (rms > 0)
    rms, mag = rms[keep], mag[keep]
    figure, axes = _figure(6.5, 4.6)
    axis = axes[0][0]
    axis.semilogy(mag, rms, ",", color="0.3")
    axis.axvspan(*BRIGHT, color="pink", alpha=0.4)
    bright = (mag > BRIGHT[0]) & (mag < BRIGHT[1])
    if bright.any():
        level = np.median(rms[bright])
        axis.axhline(level, color="C3", lw=1)
        axis.set_title(f"1-D RMS of the bright stars: {level:.4f} pixel = {level * pixel_mas:.2f} mas")
    axis.set_ylim(1e-3, 0.3)
    axis.set_xlabel("instrumental magnitude")
    axis.set_ylabel("1-D RMS (pixel)")
    return figure


def motion_errors(motions):
    """One-dimensional errors of the proper motions against magnitude; L23 Fig. 20.

    Parameters
    ----------
    motions : `~astropy.table.Table`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    error = np.hypot(np.asarray(motions["pmra_error"], float), np.asarray(motions["pmdec_error"], float))
    error, mag = error / np.sqrt(2), np.asarray(motions["mag"], float)
    keep = np.isfinite(error) & (error > 0)
    error, mag = error[keep], mag[keep]
    figure, axes = _figure(6.5, 4.6)
    axis = axes[0][0]
    axis.semilogy(mag, error, ",", color="0.3")
    bright = (mag > BRIGHT[0]) & (mag < BRIGHT[1])
    if bright.any():
        axis.axvspan(*BRIGHT, color="pink", alpha=0.4)
        level = np.median(error[bright])
        axis.axhline(level, color="C3", lw=1)
        axis.set_title(f"1-D error of the bright stars' motions: {level:.4f} mas/yr")
    axis.set_xlabel("magnitude")
    axis.set_ylabel("1-D error (mas/yr)")
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
    figure, axes = _figure(5.5, 5.2)
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
