"""Figures of ePSFs and star lists (L23 Fig. 1-8)."""

import numpy as np

from jwst_hpastrom.report.drawing import BRIGHT, bright_rows, new_figure, running_median, thin

__all__ = ["epsf_grid", "pixel_phase", "qfit_radxs", "sections"]


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
    figure, axes = new_figure(11, 5.6, 1, 2)
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
    k = thin(np.random.default_rng(0), mag.size)
    figure, axes = new_figure(11, 4.2, 1, 2)
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
    bright = bright_rows(residuals)
    figure, axes = new_figure(12, 4.0, 1, 3)
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
        k = thin(np.random.default_rng(0), p.size)
        axis.plot(p[k], d[k], ",", color="0.4")
        axis.plot(*running_median(p, d, bins), "--", color="C2", lw=2, label="median")
        axis.axhline(0, color="C3", lw=1)
        axis.set_ylim(-0.06, 0.06)
        axis.set_xlabel(f"{name} phase (pixel)")
        axis.set_ylabel(f"Δ{name} (pixel)")
        axis.legend(loc="upper right")
    return figure


def sections(products):
    """The report's sections on ePSF and star lists, see `~jwst_hpastrom.report.page.write_page`."""
    found = []
    if products.epsf is not None:
        found.append(("Effective PSF", [(epsf_grid(products.epsf), "ePSFs over the detector (L23 Fig. 4)")]))
    if products.stars:
        name, stars = next(iter(products.stars.items()))
        found.append(("Star lists", [(qfit_radxs(stars), f"{name}: QFIT and RADXS (L23 Fig. 5, 6)")]))
    residuals = products.residuals
    if residuals is not None:
        found.append(("Pixel phase", [(pixel_phase(residuals), "pixel phase (L23 Fig. 1, 3)")]))
    return found
