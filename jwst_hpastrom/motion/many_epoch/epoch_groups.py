"""Which epochs share an unknown offset: those of one position angle, visit or instrument."""

import numpy as np

__all__ = ["angle_groups", "group_epochs"]

#: position angles that differ by less are one: telescopes hold theirs to a degree, visits differ by more
SAME_ANGLE = 5.0
#: widest group: beyond it the detector's offsets have turned on the sky by a fifth of themselves
WIDEST = 12.0


def angle_groups(angles):
    """Group position angles by the gaps between them, whatever lies at 0 and 360 degrees.

    Parameters
    ----------
    angles : array-like
        Degrees; NaN where unknown.

    Returns
    -------
    ndarray of int
        Group of each; those of unknown angle are one.

    Examples
    --------
    >>> angle_groups([359.0, 92.4, 1.0, 92.6])
    array([0, 1, 0, 1])
    """
    angles = np.asarray(angles, float) % 360.0
    out = np.full(angles.size, -1)
    known = np.flatnonzero(np.isfinite(angles))
    if known.size:
        order = known[np.argsort(angles[known], kind="stable")]
        gaps = np.diff(np.r_[angles[order], angles[order[0]] + 360.0])
        start = (int(np.argmax(gaps)) + 1) % order.size  # cut the circle where it is widest open
        order, gaps = np.roll(order, -start), np.roll(gaps, -start)[:-1]
        for n, part in enumerate(_parts(gaps, 0, order.size)):
            out[order[slice(*part)]] = n
    return np.unique(out, return_inverse=True)[1]


def _parts(gaps, first, last):
    """Ends of the runs of values whose gaps are small and which are not too wide together."""
    inside = gaps[first : last - 1]
    if inside.size and (inside.max() >= SAME_ANGLE or inside.sum() > WIDEST):
        cut = first + int(np.argmax(inside)) + 1
        return [*_parts(gaps, first, cut), *_parts(gaps, cut, last)]
    return [(first, last)]


def group_epochs(lists, group_by):
    """Group star lists by a key of their metadata.

    Parameters
    ----------
    lists : list of `~astropy.table.Table`

    group_by : str
        ``position_angle`` (by gaps, see `angle_groups`), any other key (by equal values), or ``none``.

    Returns
    -------
    ndarray of int, shape (n_lists,)
    """
    if group_by == "none":
        return np.arange(len(lists))
    values = [table.meta.get(group_by) for table in lists]
    if group_by == "position_angle":
        return angle_groups([np.nan if v is None else float(v) for v in values])
    return np.unique([str(v) for v in values], return_inverse=True)[1]
