"""Figures of a field's kinematics (L23 Fig. 21-25), from motions with colors."""

import numpy as np

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.kinematics import study_field
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.plot.drawing import color_limits, color_magnitude_points, new_figure, points
from jwst_hpastrom.report.captions import shown

__all__ = [
    "cluster_members",
    "comparison",
    "groups",
    "place_of_the_cluster",
    "populations",
    "sections",
    "study_contents",
]

OLD, YOUNG, MEMBER = "C3", "C0", "k"


def _values(table, *names):
    return [np.asarray(table[c], float) for c in names]


def _diagram(axis, table, rows, color="0.2", size=2.5):
    """Points in a vector-point diagram, East to the left."""
    points(axis, *_values(table[rows], "pmra", "pmdec"), ms=size, color=color)
    axis.set_aspect("equal", adjustable="box")
    axis.set_xlabel("µα cos δ (mas/yr)")
    axis.set_ylabel("µδ (mas/yr)")


def _limits(axis, middle, half):
    axis.set_xlim(middle[0] + half, middle[0] - half)
    axis.set_ylim(middle[1] - half, middle[1] + half)


def comparison(motions, other, edges, radius_mas=100.0):
    """Vector-point diagrams in magnitude bins, beside another catalog's; L23 Fig. 21.

    Parameters
    ----------
    motions, other : `~astropy.table.Table`
        Motions; a catalog with ra, dec, pmra, pmdec, mag, metadata ``epoch`` (Gaia's, say).

    edges : sequence of float
        Edges of the bins in the other catalog's magnitudes.

    radius_mas : float
        Matching radius.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from jwst_hpastrom.motion.analysis.systematics import match_motions

    i, j = match_motions(motions, other, radius_mas=radius_mas)
    ours, theirs = motions[i], other[j]
    mag = np.asarray(theirs["mag"], float)
    middle = [np.median(c) for c in _values(ours, "pmra", "pmdec")]
    half = 6 * max(robust_sigma(c) for c in _values(ours, "pmra", "pmdec"))
    n = len(edges) - 1
    figure, axes = new_figure(6.5, 3 * n, n, 2, sharex=True, sharey=True)
    for row, low, high in zip(axes, edges[:-1], edges[1:], strict=True):
        here = (mag >= low) & (mag < high)
        for axis, table, name in zip(row, (ours, theirs), ("here", "there"), strict=True):
            _diagram(axis, table, here, size=3)
            _limits(axis, middle, half)
            if here.sum() > 2:
                sigma = [robust_sigma(c[here]) for c in _values(table, "pmra", "pmdec")]
                axis.set_title(f"{name}, {low:g} to {high:g}: σ {sigma[0]:.3f}, {sigma[1]:.3f}", fontsize=9)
    return figure


def populations(study):
    """The two populations in the color-magnitude and vector-point diagrams; L23 Fig. 22.

    Parameters
    ----------
    study : `~jwst_hpastrom.kinematics.Study`

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    t = study.motions
    mag, color = _values(t, "mag", "color")
    figure, axes = new_figure(12, 4.4, 1, 3)
    first, *rest = axes[0]
    color_magnitude_points(first, mag, color, color="0.7")
    color_limits(first, mag, color)
    first.axvline(study.split, color="goldenrod", ls="--", lw=1)
    both = study.old | study.young
    middle = [np.median(c[both]) for c in _values(t, "pmra", "pmdec")]
    half = 5 * max(
        robust_sigma(c[study.old if study.old.any() else both]) for c in _values(t, "pmra", "pmdec")
    )
    for axis, rows, color_, name, d in zip(
        rest, (study.old, study.young), (OLD, YOUNG), ("old", "young"),
        (study.old_dispersion, study.young_dispersion), strict=True,
    ):  # fmt: skip
        color_magnitude_points(first, mag, color, rows, color=color_, ms=2)
        _diagram(axis, t, rows, color_)
        _limits(axis, middle, half)
        text = "" if d is None else f", σ = {d.sigma:.4f} ± {d.sigma_error:.4f} mas/yr"
        axis.set_title(f"{name}: {rows.sum()} stars{text}", fontsize=9)
    return figure


def groups(study):
    """Young stars' motions, and their projected histogram with its Gaussians; L23 Fig. 23.

    Parameters
    ----------
    study : `~jwst_hpastrom.kinematics.Study`
        With ``groups``.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    g = study.groups
    figure, axes = new_figure(10, 4.4, 1, 2)
    left, right = axes[0]
    _diagram(left, study.motions, study.young, YOUNG)
    half = np.ptp(g.centers) / 2
    _limits(left, study.origin, half)
    a = np.deg2rad(g.angle)
    reach = np.array([-half, half])
    left.plot(study.origin[0] + np.cos(a) * reach, study.origin[1] + np.sin(a) * reach, "b--", lw=1)
    right.errorbar(g.centers, g.histogram, g.histogram_error, fmt=".", ms=3, lw=0.6, color="0.3")
    step = g.centers[1] - g.centers[0]
    fine = np.linspace(g.centers[0], g.centers[-1], 500)
    total = np.zeros(fine.size)
    for k, color in zip(range(g.fraction.size), ("gold", "magenta", "green", "C1", "C2"), strict=False):
        z = (fine - g.mean[k]) / g.width[k]
        curve = (
            g.histogram.sum() * g.fraction[k] * step * np.exp(-0.5 * z**2) / g.width[k] / np.sqrt(2 * np.pi)
        )
        total += curve
        label = f"{100 * g.fraction[k]:.0f} ± {100 * g.fraction_error[k]:.0f} %"
        right.plot(fine, curve, color=color, label=label)
    right.plot(fine, total, "k", lw=1)
    right.legend()
    right.set_xlabel("motion along the axis (mas/yr)")
    right.set_ylabel("stars")
    return figure


def place_of_the_cluster(study, radius=25.0):
    """Map of the young stars, the cluster's radius, and its likely members; for L23 Fig. 24.

    Parameters
    ----------
    study : `~jwst_hpastrom.kinematics.Study`
        With ``cluster``.

    radius : float
        arcsec.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    stars = study.motions[study.cluster_rows]
    squeeze = np.cos(np.deg2rad(study.center[1]))
    x = 3600 * squeeze * (np.asarray(stars["ra"], float) - study.center[0])
    y = 3600 * (np.asarray(stars["dec"], float) - study.center[1])
    figure, axes = new_figure(5.8, 5.2)
    axis = axes[0][0]
    shown = axis.scatter(x, y, c=study.cluster.membership, s=6, cmap="viridis_r", vmin=0, vmax=1, lw=0)
    turn = np.linspace(0, 2 * np.pi, 200)
    axis.plot(radius * np.cos(turn), radius * np.sin(turn), color="magenta")
    axis.invert_xaxis()
    axis.set_aspect("equal", adjustable="box")
    axis.set_xlabel("to the East (arcsec)")
    axis.set_ylabel("to the North (arcsec)")
    axis.set_title("young stars; color: probability to be a member", fontsize=10)
    figure.colorbar(shown, ax=axis)
    return figure


def cluster_members(study, *, n_bins=4):
    """Members in the color-magnitude diagram, and their motions by magnitude; L23 Fig. 25.

    Parameters
    ----------
    study : `~jwst_hpastrom.kinematics.Study`
        With ``cluster``.

    n_bins : int
        Of magnitude.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib.gridspec import GridSpec

    t = study.motions
    mag, color = _values(t, "mag", "color")
    figure, _ = new_figure(8, 7)
    figure.clear()
    grid = GridSpec(n_bins, 3, figure=figure)
    left = figure.add_subplot(grid[:, :2])
    color_magnitude_points(left, mag, color, color="0.75")
    color_magnitude_points(left, mag, color, study.members, color=MEMBER, ms=4)
    color_limits(left, mag, color)
    left.set_title(f"{study.members.sum()} likely members", fontsize=10)
    edges = np.linspace(*np.quantile(mag[np.isfinite(mag)], [0.001, 1.0]), n_bins + 1)
    for k in range(n_bins):
        axis = figure.add_subplot(grid[k, 2])
        here = (mag >= edges[k]) & (mag <= edges[k + 1]) & study.good
        _diagram(axis, t, here, "0.75")
        _diagram(axis, t, here & study.members, MEMBER, 2.5)
        _limits(axis, study.cluster.motion, 0.35)
        axis.set_title(f"{edges[k]:.1f} to {edges[k + 1]:.1f}", fontsize=8)
        axis.label_outer()
    return figure


def sections(products):
    """The report's section on kinematics, see `~jwst_hpastrom.report.page.write_page`; it needs colors."""
    motions = products.motions
    if motions is None or "color" not in motions.colnames or not np.isfinite(motions["color"]).any():
        return []
    try:
        study = study_field(motions, rng=np.random.default_rng(1))
    except HPAstromError as error:
        return [("Kinematics", [f"No kinematics: {error}"])]
    return [("Kinematics", study_contents(study))]


def study_contents(study):
    """What a page shows of a study: figures, and the table of results.

    Parameters
    ----------
    study : `~jwst_hpastrom.kinematics.Study`

    Returns
    -------
    list
        See `~jwst_hpastrom.report.page.write_page`.
    """
    contents = []
    if min(study.old.sum(), study.young.sum()) >= 10:
        contents.append(shown(populations(study), "populations", "Two populations (L23 Fig. 22)"))
    if study.groups is not None:
        contents.append(shown(groups(study), "groups", "Groups of the young stars (L23 Fig. 23)"))
    if study.cluster is not None:
        contents.append(
            shown(
                place_of_the_cluster(study),
                "cluster_place",
                "Where the young stars are densest (L23 Fig. 24)",
            )
        )
        contents.append(
            shown(
                cluster_members(study), "cluster_members", "Likely members of the cluster there (L23 Fig. 25)"
            )
        )
    return [*contents, study.summary]
