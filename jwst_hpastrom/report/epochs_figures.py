"""Figures of many-epoch motions (H25 Fig. 2-8, 10, 11)."""

import numpy as np

from jwst_hpastrom.motion.analysis.catalog_comparison import compare_catalogs
from jwst_hpastrom.motion.analysis.group_systematics import group_motions, group_offsets
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES
from jwst_hpastrom.plot.drawing import new_figure, points, running_median
from jwst_hpastrom.report.captions import shown

__all__ = [
    "catalog_differences",
    "chi2_distribution",
    "error_against_magnitude",
    "error_ratio",
    "group_motion_differences",
    "offset_against_magnitude",
    "reference_differences",
    "sections",
    "star_path",
    "transformation_errors",
]


def transformation_errors(motions):
    """Median error of the transformations against time; H25 Fig. 2."""
    figure, axes = new_figure(6.5, 4)
    axis = axes[0][0]
    axis.plot(motions.meta["epochs"], motions.meta["transformation_error_mas"], "ko-", lw=0.8)
    axis.set_xlabel("epoch (Julian year)")
    axis.set_ylabel("median σ_trans of the stars (mas)")
    axis.set_ylim(bottom=0)
    return figure


def _matrix(measurements):
    """Measurements as arrays of stars by epochs, NaN where there is none."""
    ids, star = np.unique(np.asarray(measurements["id"]), return_inverse=True)
    epochs, epoch = np.unique(np.asarray(measurements["epoch"], float), return_inverse=True)
    out = {"id": ids, "epochs": epochs}
    for name in ("xi", "eta", "xi_error", "eta_error", "mag", "used"):
        out[name] = np.full((ids.size, epochs.size), np.nan)
        out[name][star, epoch] = np.asarray(measurements[name], float)
        if f"shift_{name}" in measurements.colnames:  # to be seen in the figures
            out[name][star, epoch] += np.asarray(measurements[f"shift_{name}"], float)
    for name in ("group", "position_angle"):
        out[name] = np.zeros(epochs.size)
        out[name][epoch] = np.asarray(measurements[name], float)
    out["group"] = out["group"].astype(int)
    unused = ~(out["used"] == 1)
    for name in ("xi", "eta", "xi_error", "eta_error"):
        out[name][unused] = np.nan
    out["mag"] = np.array(
        [np.median(m[np.isfinite(m)]) if np.isfinite(m).any() else np.nan for m in out["mag"]]
    )
    return out


def star_path(motions, measurements, star=None):
    """One star's measurements less its motion, with leave-one-out predictions; H25 Fig. 3.

    Parameters
    ----------
    motions, measurements : `~astropy.table.Table`
        The catalog and the Step's ``_pm_residuals``.

    star : int, optional
        Its id; by default one of typical magnitude among those whose model is not the straight line.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    code = np.asarray(motions["model"])
    if star is None:
        rows = np.flatnonzero(code > 0)
        rows = rows if rows.size else np.flatnonzero(code == 0)
        mag = np.asarray(motions["mag"], float)[rows]
        star = motions["id"][rows[np.argsort(mag)[rows.size // 2]]]
    row = motions[np.asarray(motions["id"]) == star][0]
    m = measurements[np.asarray(measurements["id"]) == star]
    t, used = np.asarray(m["epoch"], float), np.asarray(m["used"], bool)
    model = {v: k for k, v in MODEL_CODES.items()}[int(row["model"])]
    figure, axes = new_figure(8, 5, rows=2, sharex=True)
    for axis, name, sky in ((axes[0][0], "xi", "ra"), (axes[1][0], "eta", "dec")):
        y, e = np.asarray(m[name], float), np.asarray(m[f"{name}_error"], float)
        loo = y - np.asarray(m[f"loo_residual_{sky}"], float)
        line = np.polyval(np.polyfit(t[used] - t.mean(), y[used], 1, w=1 / e[used]), t - t.mean())
        for group in np.unique(m["group"]):
            s = used & (np.asarray(m["group"]) == group)
            axis.errorbar(t[s], (y - line)[s], e[s], fmt="o", ms=4, label=f"group {group}")
        axis.plot(t[~used], (y - line)[~used], "x", color="0.5", label="rejected" if (~used).any() else None)
        axis.errorbar(
            t[used], (loo - line)[used], np.asarray(m[f"loo_error_{sky}"], float)[used],
            fmt="_", color="0.6", zorder=0, label="leave-one-out",
        )  # fmt: skip
        axis.set_ylabel(f"{name} − straight line (mas)")
    axes[0][0].legend(fontsize=8, ncols=4)
    axes[0][0].set_title(f"star {star}, mag {row['mag']:.2f}, model {model}", fontsize=10)
    axes[1][0].set_xlabel("epoch (Julian year)")
    return figure


def chi2_distribution(motions):
    """Leave-one-out chi-square per star, observed and as the models expect it; H25 Fig. 4."""
    figure, axes = new_figure(6.5, 4)
    axis, bins = axes[0][0], np.linspace(0, 4, 41)
    for name, color in (("ra", "C0"), ("dec", "C1")):
        values = np.asarray(motions[f"chi2_loo_{name}"], float)
        values = values[np.isfinite(values)]
        label = f"{name}: median {np.median(values):.3f}"
        axis.hist(values, bins, density=True, histtype="step", color=color, label=label)
    quantiles = np.asarray(motions.meta.get("expected_chi2_loo", []), float)
    if quantiles.size:
        share = np.interp(bins, quantiles, np.linspace(0, 1, quantiles.size))
        label = f"expected: median {np.median(quantiles):.3f}"
        axis.stairs(np.diff(share) / np.diff(bins), bins, color="k", ls="--", label=label)
    axis.set_xlabel("χ²_LOO per epoch")
    axis.set_ylabel("density of stars")
    axis.legend(fontsize=8)
    return figure


def reference_differences(references):
    """Motions and positions of the reference stars against Gaia's; H25 Fig. 5."""
    kept = np.asarray(references["kept"], bool)
    figure, axes = new_figure(9, 4.4, columns=2)
    pairs = (("d_pm_xi", "d_pm_eta", "mas/yr"), ("d_xi", "d_eta", "mas"))
    for axis, (a, b, unit) in zip(axes[0], pairs, strict=True):
        u, v = np.asarray(references[a], float), np.asarray(references[b], float)
        axis.plot(u[~kept], v[~kept], "x", color="C3", label=f"{np.sum(~kept)} rejected")
        axis.plot(u[kept], v[kept], "ko", ms=4, label=f"{kept.sum()} kept")
        half = 1.3 * np.nanmax(np.abs(np.r_[u[kept], v[kept], 1e-3]))
        axis.set_xlim(half, -half)
        axis.set_ylim(-half, half)
        axis.axhline(0, color="0.7", lw=0.8)
        axis.axvline(0, color="0.7", lw=0.8)
        axis.set_aspect("equal")
        axis.set_xlabel(f"East − Gaia ({unit})")
        axis.set_ylabel(f"North − Gaia ({unit})")
    axes[0][0].legend(fontsize=8)
    axes[0][1].set_title("each through transformations without itself", fontsize=9)
    return figure


def error_against_magnitude(motions):
    """Errors of positions and motions against magnitude; H25 Fig. 6."""
    mag = np.asarray(motions["mag"], float)
    figure, axes = new_figure(9, 4, columns=2)
    for axis, prefix, unit in ((axes[0][0], "", "mas"), (axes[0][1], "pm", "mas/yr")):
        error = np.hypot(motions[f"{prefix}ra_error"], motions[f"{prefix}dec_error"]) / np.sqrt(2)
        error = np.asarray(error, float)
        ok = np.isfinite(mag + error)
        axis.set_yscale("log")
        points(axis, mag, error, color="0.4")
        bins = np.arange(np.floor(mag[ok].min()), np.ceil(mag[ok].max()) + 0.5, 0.5)
        axis.semilogy(*running_median(mag[ok], error[ok], bins), "C3-", lw=1)
        axis.set_xlabel("magnitude")
        axis.set_ylabel(f"{'motion' if prefix else 'position'} error, one axis ({unit})")
    return figure


def catalog_differences(motions, other, radius_mas=100.0):
    """Differences from another catalog, of masers for example, and their weighted mean; H25 Fig. 7."""
    i, j, bias = compare_catalogs(motions, other, radius_mas=radius_mas)
    figure, axes = new_figure(5.5, 5)
    axis = axes[0][0]
    d = [np.asarray(motions[c], float)[i] - np.asarray(other[c], float)[j] for c in ("pmra", "pmdec")]
    e = [
        np.hypot(np.asarray(motions[f"{c}_error"], float)[i], np.asarray(other[f"{c}_error"], float)[j])
        for c in ("pmra", "pmdec")
    ]
    axis.errorbar(*d, xerr=e[0], yerr=e[1], fmt="ko", ms=3, lw=0.6)
    if bias is not None:
        axis.errorbar(
            *bias.motion, xerr=bias.motion_error[0], yerr=bias.motion_error[1], fmt="C3s", label="mean",
        )  # fmt: skip
        axis.legend(fontsize=8)
    axis.axhline(0, color="0.7", lw=0.8)
    axis.axvline(0, color="0.7", lw=0.8)
    axis.invert_xaxis()
    axis.set_xlabel("Δ pmra (mas/yr)")
    axis.set_ylabel("Δ pmdec (mas/yr)")
    axis.set_title(f"{i.size} stars in common", fontsize=10)
    return figure


def error_ratio(motions, other, radius_mas=100.0):
    """Errors of the stars in common with another catalog, ratio against magnitude; H25 Fig. 8."""
    i, j, _ = compare_catalogs(motions, other, radius_mas=radius_mas)
    figure, axes = new_figure(9, 4, columns=2, sharey=True)
    for axis, prefix in ((axes[0][0], ""), (axes[0][1], "pm")):
        error = [
            np.hypot(*(np.asarray(t[f"{prefix}{c}_error"], float)[rows] for c in ("ra", "dec")))
            for t, rows in ((motions, i), (other, j))
        ]
        ratio = error[0] / error[1]
        axis.semilogy(np.asarray(motions["mag"], float)[i], ratio, "k.", ms=3)
        axis.axhline(1, color="C3", lw=0.8)
        axis.set_xlabel("magnitude")
        better = np.mean(ratio < 1) if ratio.size else np.nan
        axis.set_title(f"{'motions' if prefix else 'positions'}: {better:.0%} more precise here", fontsize=10)
    axes[0][0].set_ylabel("error here / error there")
    return figure


def offset_against_magnitude(measurements):
    """Offset of the second group of epochs from the first against magnitude; H25 Fig. 10."""
    m = _matrix(measurements)
    angle = m["position_angle"][m["group"] == np.unique(m["group"])[1]]
    angle = float(np.median(angle)) if np.isfinite(angle).all() else None
    table = group_offsets(
        m["epochs"],
        m["xi"],
        m["eta"],
        m["xi_error"],
        m["eta_error"],
        m["group"],
        m["mag"],
        position_angle=angle,
    )
    detector = angle is not None and "x" in table.colnames
    figure, axes = new_figure(9 if detector else 5.5, 4, columns=2 if detector else 1, sharey=True)
    for name, color in (("east", "C0"), ("north", "C1")):
        axes[0][0].errorbar(
            table["mag"], table[name], table[f"{name}_error"], fmt="o-", color=color, label=name
        )
    axes[0][0].set_ylabel("second group − first (mas)")
    if detector:
        for name, color in (("x", "C2"), ("y", "C4")):
            axes[0][1].plot(table["mag"], table[name], "o-", color=color, label=f"detector {name}")
    for axis in axes[0]:
        axis.axhline(0, color="0.7", lw=0.8)
        axis.set_xlabel("magnitude")
        axis.legend(fontsize=8)
    return figure


def group_motion_differences(measurements):
    """Straight-line motions from each of two groups of epochs alone; H25 Fig. 11."""
    m = _matrix(measurements)
    fits = list(
        group_motions(m["epochs"], m["xi"], m["eta"], m["xi_error"], m["eta_error"], m["group"]).values()
    )[:2]
    figure, axes = new_figure(9, 3.8, columns=2)
    if len(fits) < 2:
        return figure
    with np.errstate(invalid="ignore"):
        z = (fits[1].motion - fits[0].motion) / np.hypot(fits[0].motion_error, fits[1].motion_error)
    for k, (axis, name) in enumerate(zip(axes[0], ("East", "North"), strict=True)):
        value = z[np.isfinite(z[:, k]), k]
        axis.hist(value, np.linspace(-6, 6, 61), density=True, histtype="step", color="k")
        grid = np.linspace(-6, 6, 121)
        axis.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), "C3--", lw=1)
        axis.set_xlabel(f"{name}: difference of motions / its error")
        axis.set_title(f"median {np.median(value):+.2f}, {value.size} stars", fontsize=10)
    return figure


def sections(products):
    """The report's section on many-epoch motions, see `~jwst_hpastrom.report.page.write_page`."""
    motions, rows = products.motions, products.measurements
    if motions is None or "transformation_error_mas" not in motions.meta:
        return []
    found = [
        shown(transformation_errors(motions), "transformation_errors", "Transformations (H25 Fig. 2)"),
        shown(chi2_distribution(motions), "chi2_loo", "Leave-one-out residuals (H25 Fig. 4)"),
        shown(error_against_magnitude(motions), "epoch_errors", "Errors of the fits (H25 Fig. 6)"),
    ]
    references = products.quality.get(f"{products.name}_proper_motion_quality.ecsv")
    if references is not None and "d_pm_xi" in references.colnames:
        found.insert(
            1, shown(reference_differences(references), "references", "Reference stars (H25 Fig. 5)")
        )
    if rows is not None and len(rows):
        found.insert(1, shown(star_path(motions, rows), "star_path", "One star (H25 Fig. 3)"))
        if 1 < np.unique(rows["group"]).size < np.unique(rows["epoch"]).size:
            offset, both = offset_against_magnitude(rows), group_motion_differences(rows)
            found += [
                shown(offset, "group_offset", "Offset between groups of epochs (H25 Fig. 10)"),
                shown(both, "group_motions", "Motions from either group alone (H25 Fig. 11)"),
            ]
    return [("Many epochs", found)]
