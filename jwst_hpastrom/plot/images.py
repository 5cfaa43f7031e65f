"""Figures of exposures and of ePSF libraries (L23 Fig. 4)."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.plot.drawing import one_axes, symmetric_limit

__all__ = ["epsf_grid", "image"]

#: pixels of an ePSF that are shown, to either side of its center
SHOWN_RADIUS = 6
#: part of the pixels that are darker than the darkest and the brightest shade
SHADES = (0.02, 0.995)


def image(exposure: Any, stars: Table | None = None, ax: Any = None) -> Any:
    """An exposure's pixels in an arcsinh scale; pixels without weight are red, stars circled.

    Parameters
    ----------
    exposure : `~jwst_hpastrom.io.Exposure` or `~jwst_hpastrom.epsf.Image`

    stars : `~astropy.table.Table`, optional
        Star list, columns x and y.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import Image
    >>> from jwst_hpastrom.plot import image
    >>> none = np.zeros((32, 40), bool)
    >>> pixels = np.random.default_rng(1).normal(size=none.shape)
    >>> image(Image(pixels, np.ones(none.shape), none, none)).get_xlabel()
    'x (pixel)'
    """
    from matplotlib.colors import AsinhNorm, ListedColormap

    pixels = getattr(exposure, "image", exposure)
    ax = one_axes(ax, figsize=(6.5, 6))
    good = pixels.good & np.isfinite(pixels.data)
    low, middle, high = (
        np.quantile(pixels.data[good], (SHADES[0], 0.5, SHADES[1])) if good.any() else (0, 0, 1)
    )
    noise = max(float(middle - low) / 2, 1e-9)
    norm = AsinhNorm(noise, vmin=low, vmax=max(high, low + noise))
    shown = ax.imshow(pixels.data, origin="lower", cmap="gray_r", norm=norm, interpolation="nearest")
    ax.imshow(
        np.ma.masked_array(np.ones(good.shape), good), origin="lower", cmap=ListedColormap(["C3"]),
        alpha=0.6, interpolation="nearest",
    )  # fmt: skip
    if stars is not None:
        ax.plot(stars["x"], stars["y"], "o", mfc="none", mec="C0", ms=6, lw=0.7, label=f"{len(stars)} stars")
        ax.legend(loc="upper right", fontsize=8)
    meta = getattr(exposure, "meta", {})
    ax.figure.colorbar(shown, ax=ax, shrink=0.8, label=meta.get("unit") or "surface brightness")
    name = getattr(exposure, "name", "")
    ax.set_title(
        f"{name} {meta.get('filter') or ''}: {100 * np.mean(~good):.2f} % without weight", fontsize=9
    )
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    return ax


def epsf_grid(library: Any, ax: Any = None, *, difference: bool = False) -> Any:
    """The array of ePSFs, or each one's difference from their mean; L23 Fig. 4.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.EPSFLibrary`

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    difference : bool
        Less the mean ePSF, linear, instead of the logarithm.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import EPSFLibrary
    >>> from jwst_hpastrom.plot import epsf_grid
    >>> epsf_grid(EPSFLibrary(np.ones((4, 21, 21)), [0, 2047], [0, 2047])).get_title()
    'ePSFs over the detector, log10'
    """
    ny, nx = library.y.size, library.x.size
    data = np.asarray(library.data)
    c = data.shape[1] // 2
    half = min(SHOWN_RADIUS * library.oversampling, c)
    cut = slice(c - half, c + half + 1)
    block = data[:, cut, cut]
    if difference:
        block = block - data.mean(0)[cut, cut]
        limit = symmetric_limit(block, 99.9)
        scale, title = {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"}, "difference from the mean ePSF"
    else:
        block = np.log10(np.maximum(block, 1e-5))
        scale, title = {"vmin": -5, "vmax": -0.3, "cmap": "magma"}, "ePSFs over the detector, log10"
    side = block.shape[1]
    mosaic = np.block([[block[j * nx + i] for i in range(nx)] for j in range(ny)])
    ax = one_axes(ax, figsize=(6, 5.4))
    shown = ax.imshow(mosaic, origin="lower", **scale)
    ax.set_xticks((np.arange(nx) + 0.5) * side, [f"{v:.0f}" for v in library.x])
    ax.set_yticks((np.arange(ny) + 0.5) * side, [f"{v:.0f}" for v in library.y])
    for k in np.flatnonzero(library.borrowed):
        ax.text((k % nx + 0.05) * side, (k // nx + 0.85) * side, "borrowed", fontsize=6, color="0.6")
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    ax.figure.colorbar(shown, ax=ax, shrink=0.8)
    return ax
