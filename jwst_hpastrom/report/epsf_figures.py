"""Figures of ePSFs and star lists (L23 Fig. 1-8)."""

import numpy as np

from jwst_hpastrom import plot
from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.epsf import fit_stars
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.plot.drawing import bright_rows, new_figure
from jwst_hpastrom.report.captions import shown

__all__ = [
    "central_value_history",
    "epsf_grid",
    "phase_change",
    "pixel_phase",
    "qfit_change",
    "qfit_of_all",
    "qfit_radxs",
    "samplings",
    "sections",
]


def epsf_grid(library):
    """The array of ePSFs (logarithmic) and each one's difference from their mean (linear); L23 Fig. 4.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(11, 5.6, 1, 2)
    for axis, difference in zip(axes[0], (False, True), strict=True):
        plot.epsf_grid(library, axis, difference=difference)
    return figure


def qfit_radxs(stars):
    """QFIT and RADXS against magnitude; L23 Fig. 5, 6.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        One exposure's star list.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(11, 4.2, 1, 2)
    plot.qfit(stars, axes[0][0])
    plot.radxs(stars, axes[0][1])
    return figure


def qfit_of_all(lists, columns=3):
    """QFIT against magnitude of every exposure.

    Parameters
    ----------
    lists : dict of str to `~astropy.table.Table`
        Star lists by exposure.

    columns : int
        Panels beside each other.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    columns = min(columns, len(lists))
    rows = -(-len(lists) // columns)
    figure, axes = new_figure(3.7 * columns, 2.7 * rows, rows, columns, sharex=True, sharey=True)
    for axis, (name, stars) in zip(axes.ravel(), lists.items(), strict=False):
        plot.qfit(stars, axis)
        median = axis.get_title().split(";")[0].rsplit(" ", 1)[-1]
        axis.set_title(f"{name}\n{len(stars)} stars, bright ones' median {median}", fontsize=7)
        axis.label_outer()
    axes[0][0].set_ylim(0, max(axis.get_ylim()[1] for axis in axes.ravel()[: len(lists)]))
    mag = np.concatenate([values(stars, "mag") for stars in lists.values()])
    if np.isfinite(mag).any():  # empty panels would have a share in the limits
        axes[0][0].set_xlim(np.nanmin(mag) - 0.3, np.nanmax(mag) + 0.3)
    for axis in axes.ravel()[len(lists) :]:
        axis.remove()
    return figure


def pixel_phase(residuals):
    """Positions in the pixel, and residuals against them; L23 Fig. 1, 3.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(12, 4.0, 1, 3)
    plot.phase_density(residuals, axes[0][0])
    for axis, name in zip(axes[0][1:], "xy", strict=True):
        plot.phase_residuals(residuals, axis, axis=name)
    return figure


def phase_change(table):
    """Pixel phases of the first and the last positions of a build; L23 Fig. 1 and 3.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As ``hp_epsf_build`` writes it (``PRODUCT_epsf_build_phase_quality.ecsv``).

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    phase = np.asarray(table["phase"])
    figure, axes = new_figure(11, 6.2, 2, 2, sharex=True)
    for row, name in zip(axes, "xy", strict=True):
        for when, color in (("first", "C3"), ("last", "C0")):
            n = np.asarray(table[f"n_{name}_{when}"], float)
            row[0].step(phase, n / max(n.mean(), 1e-9), where="mid", color=color, label=f"{when} positions")
            row[1].plot(phase, table[f"d{name}_{when}"], "o-", ms=3, color=color)
        row[0].set_ylabel(f"stars / mean, in {name}")
        row[1].set_ylabel(f"Δ{name} (pixel)")
        row[1].axhspan(-0.01, 0.01, color="0.85", zorder=0)
    axes[0][0].legend(loc="best")
    axes[0][0].set_title("where stars fall in the pixel")
    axes[0][1].set_title("residuals about the frame's averages; band: 0.01 pixel")
    for axis in axes[1]:
        axis.set_xlabel("pixel phase")
    return figure


def _photocenters(image, stars):
    """Light centers of the innermost 3×3 pixels and sums of 5×5: where a build begins."""
    i, j = (np.rint(np.asarray(stars[c])).astype(int) for c in "xy")
    offset = np.arange(-2, 3)
    value = image.data[j[:, None, None] + offset[:, None], i[:, None, None] + offset]
    value = value - np.asarray(stars["sky"])[:, None, None]
    core = value[:, 1:4, 1:4]
    total = core.sum((1, 2))
    x = i + (core.sum(1) * offset[1:4]).sum(1) / total
    y = j + (core.sum(2) * offset[1:4]).sum(1) / total
    return x, y, value.sum((1, 2))


def samplings(image, stars, library, *, width=0.02, reach=2.0):
    """Samples of the ePSF in a strip through its center, from first and from fitted positions; L23 Fig. 2.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    stars : `~astropy.table.Table`
        Its star list.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        Drawn as a line, its mean over the stars.

    width, reach : float
        Full width and half length of the strip, pixels.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    ny, nx = image.shape
    x, y = (np.asarray(stars[c], float) for c in "xy")
    inside = (x > 4) & (x < nx - 5) & (y > 4) & (y < ny - 5)
    clean = np.asarray(stars["flags"]) & ~int(Flag.SUBTRACTED) == 0
    stars = stars[bright_rows(stars) & inside & clean]
    x, y, flux, sky = (np.asarray(stars[c], float) for c in ("x", "y", "flux", "sky"))
    first = _photocenters(image, stars)
    # the sums of 5×5 pixels miss the wings: on the fitted fluxes' scale by one factor
    first = (*first[:2], first[2] * np.median(flux / first[2]))
    figure, axes = new_figure(11, 6.4, 2, 2, sharex=True, sharey=True)
    offset = np.arange(-3, 4)
    for column, (cx, cy, z), title in zip(
        (0, 1), (first, (x, y, flux)), ("light centers", "fitted positions"), strict=True
    ):
        i, j = np.rint(cx).astype(int), np.rint(cy).astype(int)
        i, j = (
            np.broadcast_to(a, (len(cx), 7, 7))
            for a in (i[:, None, None] + offset, j[:, None, None] + offset[:, None])
        )
        good = image.good[j, i]
        value = (image.data[j, i] - sky[:, None, None]) / z[:, None, None]
        distance = i - cx[:, None, None], j - cy[:, None, None]
        for row, (along, across), name in zip((0, 1), (distance, distance[::-1]), "xy", strict=True):
            axis = axes[row][column]
            strip = good & (np.abs(across) < width / 2) & (np.abs(along) < reach)
            axis.plot(along[strip], value[strip], ".", ms=2, color="0.3")
            t = np.linspace(-reach, reach, 161)
            zero = np.zeros_like(t)
            place = (t, zero) if name == "x" else (zero, t)
            nodes = [library.evaluate(*place, u, v) for u in library.x for v in library.y]
            axis.plot(t, np.mean(nodes, 0), color="C3", lw=1)
            axis.set_title(f"{title}, {strip.sum()} samples", fontsize=10)
            axis.set_xlabel(f"Δ{name} (pixel)")
            axis.set_ylabel("ψ")
            # a close neighbor may fill a strip with any value
            axis.set_ylim(-0.03, 1.25 * max(np.max(nodes), 1e-3))
    return figure


def central_value_history(quality):
    """Flux in the ePSF's central pixel against time, before and after perturbation; L23 Fig. 7.

    Parameters
    ----------
    quality : `~astropy.table.Table`
        As ``hp_epsf_fit --perturb`` writes it (``PRODUCT_epsf_fit_quality.ecsv``), one row for each exposure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    epoch = np.asarray(quality["epoch"], float)
    figure, axes = new_figure(11, 4.2, 1, 2, sharex=True)
    for axis, name, label in zip(
        axes[0], ("central", "qfit"), ("central value", "median QFIT of the bright stars"), strict=True
    ):
        before, after = (np.asarray(quality[f"{name}_{w}"], float) for w in ("before", "after"))
        axis.plot(epoch, before, "x", color="0.5", label="library")
        axis.plot(epoch, after, "o", color="C0", ms=4, label="perturbed")
        level = np.nanmedian(before)
        axis.axhline(level, color="0.5", ls="--", lw=1)
        half = 1.2 * max(np.nanmax(np.abs(np.r_[before, after] - level)), 0.01 * level)  # at least 1 %
        axis.set_ylim(level - half, level + half)
        axis.locator_params("x", nbins=5)
        axis.set_ylabel(label)
        axis.set_xlabel("epoch (Julian year)")
        axis.ticklabel_format(useOffset=False)
        axis.tick_params("x", rotation=20)
    axes[0][0].legend(loc="best")
    return figure


def qfit_change(before, after):
    """QFIT against magnitude, with the library and with the perturbed ePSF; L23 Fig. 8.

    Parameters
    ----------
    before, after : `~astropy.table.Table`
        Star lists of one exposure, fitted with the one and with the other.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(11, 4.2, 1, 2, sharex=True, sharey=True)
    for axis, stars, title in zip(axes[0], (before, after), ("library", "perturbed ePSF"), strict=True):
        plot.qfit(stars, axis)
        axis.set_title(f"{title}: {axis.get_title()}", fontsize=10)
        axis.set_ylim(0, 0.3)
    return figure


def _with_pixels(products):
    """Figures that need an exposure's pixels: of the first star list whose exposure was found."""
    for name, stars in products.stars.items():
        path = products.exposures.get(name)
        if path is None or products.epsf is None:
            continue
        exposure = read_exposure(path)
        figure = samplings(exposure.image, stars, exposure.image.local(products.epsf))
        contents = [shown(figure, "samplings", f"{name}: samples across the core (L23 Fig. 2)")]
        perturbed = products.folder / f"{name}_pepsf.fits"
        if perturbed.exists():
            each = products.epsf, read_epsf(perturbed)
            lists = [fit_stars(exposure.image, p, stars["x"], stars["y"]) for p in each]
            title = f"{name}: what the perturbation gains (L23 Fig. 8)"
            contents.append(shown(qfit_change(*lists), "qfit_change", title))
        return contents
    return []


def sections(products):
    """The report's sections on ePSF and star lists, see `~jwst_hpastrom.report.page.write_page`."""
    found = []
    if products.epsf is not None:
        contents = [shown(epsf_grid(products.epsf), "epsf_grid", "ePSFs over the detector (L23 Fig. 4)")]
        for name, table in products.quality.items():
            if name.endswith("epsf_build_phase_quality.ecsv"):
                title = "Pixel phase, first and last (L23 Fig. 1, 3)"
                contents.append(shown(phase_change(table), "phase_change", title))
            elif "central_after" in table.colnames and "epoch" in table.colnames:
                figure = central_value_history(table)
                contents.append(shown(figure, "central_history", "ePSF against time (L23 Fig. 7)"))
        found.append(("Effective PSF", contents))
    lists = {name: stars for name, stars in products.stars.items() if "qfit" in stars.colnames}
    if lists:
        contents = [shown(qfit_of_all(lists), "star_lists", f"QFIT of {len(lists)} exposures (L23 Fig. 5)")]
        name, stars = next(iter(lists.items()))
        if "radxs" in stars.colnames:
            contents.append(shown(qfit_radxs(stars), "qfit_radxs", f"{name}: QFIT and RADXS (L23 Fig. 5, 6)"))
        found.append(("Star lists", contents + _with_pixels(products)))
    if products.residuals is not None:
        figure = pixel_phase(products.residuals)
        found.append(
            ("Pixel phase", [shown(figure, "pixel_phase", "Pixel phase of the lists (L23 Fig. 1, 3)")])
        )
    return found
