"""Where exposures look: their overlap, their parity, and what their distortion correction is worth there."""

import numpy as np

from jwst_hpastrom.columns import values

__all__ = ["correction_error", "middles", "overlaps", "parities"]

#: stars of an exposure that its overlap with the others is counted at
SAMPLE = 200


def overlaps(frame, star_lists, least):
    """Share of each exposure's stars that lie where at least ``least`` exposures look, its own counted.

    Parameters
    ----------
    frame : `~jwst_hpastrom.frame.MasterFrame`

    star_lists : sequence of `~astropy.table.Table`
        What it was built from, in the same order.

    least : int

    Returns
    -------
    ndarray, shape (n,)
        NaN for an exposure without stars.
    """
    boxes, places = [], []
    for stars, correction, transform in zip(star_lists, frame.corrections, frame.transforms, strict=True):
        x, y = values(stars, "x"), values(stars, "y")
        seen = np.flatnonzero(np.isfinite(x + y))
        seen = seen[:: max(1, seen.size // SAMPLE)]
        u, v = correction.forward(x[seen], y[seen])
        # of corrected pixels, which differ from the raw ones by a few: nothing for a footprint
        boxes.append([f(c) if seen.size else np.nan for c in (u, v) for f in (np.min, np.max)])
        places.append(transform.forward(u, v))
    out, back = np.full(len(star_lists), np.nan), [t.inverted() for t in frame.transforms]
    middle = np.array([[np.mean(c) if c.size else np.inf for c in place] for place in places])
    for k, place in enumerate(places):
        if not place[0].size:
            continue
        seen = np.zeros(place[0].size, int)
        # the nearest first, until all is seen often enough: of a deep field a few of its exposures tell
        for j in np.argsort(np.hypot(*(middle - middle[k]).T), kind="stable"):
            u, v = back[j].forward(*place)
            box = boxes[j]
            seen += (u >= box[0]) & (u <= box[1]) & (v >= box[2]) & (v <= box[3])
            if seen.min() >= least:
                break
        out[k] = np.mean(seen >= least)
    return out


def middles(frame, star_lists):
    """Where each exposure's middle looks: one place of a detector, whichever stars were found around it.

    Parameters
    ----------
    frame, star_lists
        As of `overlaps`.

    Returns
    -------
    ra, dec : ndarray, shape (n,)
        Degrees; NaN in frames without a sky.
    """
    ra, dec = np.full((2, len(star_lists)), np.nan)
    if "xi" not in frame.table.colnames:
        return ra, dec
    detector = np.array([str(t.meta.get("detector") or "") for t in star_lists])
    ends = np.array([[f(values(t, c)) for c in "xy" for f in (_low, _high)] for t in star_lists])
    for name in np.unique(detector):
        rows = np.flatnonzero(detector == name)
        box = np.nanmedian(ends[rows], axis=0)
        x, y = (np.array([0.5 * (box[k] + box[k + 1])]) for k in (0, 2))
        for k in rows:
            u, v = frame.transforms[k].forward(*frame.corrections[k].forward(x, y))
            ra[k], dec[k] = (float(c[0]) for c in frame.plane.to_sky(*frame.plane.from_pixels(u, v)))
    return ra, dec


def _low(values_):
    return np.nanmin(values_) if np.isfinite(values_).any() else np.nan


def _high(values_):
    return np.nanmax(values_) if np.isfinite(values_).any() else np.nan


def parities(transforms):
    """Whether each exposure is as the sky is seen (1), or mirrored (-1).

    Parameters
    ----------
    transforms : sequence of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected to master pixels, whose x is to the West and y to the North.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    return np.array([1 if np.linalg.det(t.matrix) > 0 else -1 for t in transforms])


def correction_error(correction, stars):
    """Stated error of a distortion correction at a list's stars, pixels per axis; 0 where it states none.

    Parameters
    ----------
    correction : `~jwst_hpastrom.geometry.Mapping`

    stars : `~astropy.table.Table`

    Returns
    -------
    float
    """
    x, y = values(stars, "x"), values(stars, "y")
    known = np.isfinite(x + y)
    if not known.any():
        return 0.0
    ex, ey = correction.error(x[known], y[known])
    return float(np.sqrt(np.nanmedian(0.5 * (np.square(ex) + np.square(ey)))))
