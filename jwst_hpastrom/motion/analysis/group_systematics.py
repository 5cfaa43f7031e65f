"""Diagnostics of offsets between groups of epochs, such as position angles (H25 App. A)."""

from itertools import pairwise

import numpy as np
from astropy.table import Table

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import clipped_mean
from jwst_hpastrom.motion.star_fits.models import fit_motions

__all__ = ["group_motions", "group_offsets"]


def _pairs(group):
    labels = np.unique(group)
    if labels.size < 2:
        raise ParameterError("one group of epochs", "at least two, such as two position angles")
    return labels


def group_offsets(t, x, y, x_err, y_err, group, mag, *, position_angle=None, bin_edges=None):
    """Offset of one group of epochs from another against magnitude.

    Parameters
    ----------
    t, x, y, x_err, y_err
        As in `~jwst_hpastrom.motion.star_fits.models.fit_motions`.

    group : ndarray of int, shape (n_epochs,)
        The second label's epochs are compared with the first's.

    mag : ndarray, shape (n_stars,)

    position_angle : float, optional
        Of the second group (degrees): adds the offsets turned to that group's detector axes. Halving an
        offset between two angles 180 degrees apart gives the shift on the detector.

    bin_edges : ndarray, optional
        Magnitudes; by default bins of one magnitude.

    Returns
    -------
    `~astropy.table.Table`
        Per bin: mean magnitude, number, clipped weighted mean offset and error, mas East and North.

    Notes
    -----
    Every star's offset is the coefficient of the second group in a weighted straight line with an offset.
    """
    labels = _pairs(group)
    second = (np.asarray(group) == labels[1]) * 1.0
    member = np.isin(group, labels[:2])
    use = np.isfinite(x + y) & (x_err > 0) & (y_err > 0) & member
    value, error = np.full((len(x), 2), np.nan), np.full((len(x), 2), np.nan)
    dt = t - t.mean()
    design = np.stack([np.ones_like(dt), dt, second], -1)
    for axis, (c, e) in enumerate(((x, x_err), (y, y_err))):
        w = np.where(use, np.where(use, e, 1.0) ** -2.0, 0.0)
        normal = np.einsum("nk,ki,kj->nij", w, design, design)
        right = np.einsum("nk,ki->ni", w * np.where(use, c, 0.0), design)
        n_in, n_out = (use * second).sum(1), (use * (1 - second)).sum(1)
        ok = (n_in >= 1) & (n_out >= 1) & (n_in + n_out >= 4)
        ok &= np.linalg.cond(normal) < 1e12
        inverse = np.linalg.inv(normal[ok])
        value[ok, axis] = np.einsum("ni,ni->n", inverse[:, 2], right[ok])
        error[ok, axis] = np.sqrt(inverse[:, 2, 2])
    edges = (
        np.arange(np.floor(np.nanmin(mag)), np.ceil(np.nanmax(mag)) + 1) if bin_edges is None else bin_edges
    )
    rows = []
    for low, high in pairwise(edges):
        s = (mag >= low) & (mag < high) & np.isfinite(value).all(1)
        if s.sum() < 3:
            continue
        east, east_error, _ = clipped_mean(value[s, 0], error[s, 0] ** -2.0)
        north, north_error, _ = clipped_mean(value[s, 1], error[s, 1] ** -2.0)
        row = {"mag": mag[s].mean(), "n": int(s.sum()), "east": east, "east_error": east_error}
        row |= {"north": north, "north_error": north_error}
        if position_angle is not None:
            a = np.deg2rad(position_angle)
            row |= {"x": -east * np.cos(a) + north * np.sin(a), "y": east * np.sin(a) + north * np.cos(a)}
        rows.append(row)
    return Table(rows)


def group_motions(t, x, y, x_err, y_err, group):
    """Straight-line motions from each group of epochs alone (H25 Fig. 11).

    Parameters
    ----------
    t, x, y, x_err, y_err, group
        As in `group_offsets`.

    Returns
    -------
    dict of int to `~jwst_hpastrom.motion.star_fits.models.MotionFits`
        By label; groups with fewer than two different epochs are left out.
    """
    out = {}
    for label in _pairs(group):
        s = np.asarray(group) == label
        if np.ptp(np.asarray(t)[s]) > 0:
            out[int(label)] = fit_motions(
                np.asarray(t)[s], x[:, s], y[:, s], x_err[:, s], y_err[:, s], models="linear"
            )
    return out
