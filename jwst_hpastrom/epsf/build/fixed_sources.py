"""Telling stars from what stays on the detector or is seen once, by the dithers (hot pixels, cosmic rays)."""

import logging

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.build.positions import POINTING, pointing_error
from jwst_hpastrom.epsf.image import boxes
from jwst_hpastrom.geometry import fit_polynomial

__all__ = ["leave_out_fixed_sources"]

log = logging.getLogger("stpipe.hpastrom.epsf")

MOVED = 2.0  # pixels that two pointings differ by at least, to tell sky from detector
SKY_RADIUS = 2.0  # pixels: error of the WCS's distortion, and of the light centers
PIXEL_RADIUS = 1.0  # a hot pixel's light center is that of its pixel
SKY_RATIO = 0.4  # least share of a star's flux that the other exposure finds: blends, shared light
FIXED_RATIO = 0.6  # the same of a hot pixel's flux, either way
MOST = 8  # other exposures that an exposure's sources are looked for in: half of them is told from none
LOST = 0.8  # an exposure in which that share of the sources is seen nowhere else has a wrong WCS


def leave_out_fixed_sources(frames, to_plane, store=None, *, max_shift=POINTING):
    """Keep what the dithers do not confirm as stars out of the stars that an ePSF is built from.

    A source is confirmed where half the exposures of other pointings, `MOST` of them at most, that would have
    it on good pixels have a source there. One that is not is none to build from; where others have it at the
    same pixel it is a hot one, which loses its weight in all exposures. Sources that only one pointing covers
    stay as they are.

    Parameters
    ----------
    frames : list of `~jwst_hpastrom.epsf.stamps.frames.Frame`
        Changed in place: ``bright``, ``bad`` and ``data``, and the catalog without the hot pixels.

    to_plane : sequence of callable
        Per exposure, (x, y) -> approximate common coordinates, pixels.

    store : `~jwst_hpastrom.storage.Store`, optional
        That holds the frames' pixels.

    max_shift : float
        Largest error of an exposure's pointing, pixels.

    Returns
    -------
    fixed : ndarray of int, shape (n, 2)
        Rows and columns of the hot pixels.

    n_left_out : int
        Sources bright enough to build from that were left out, hot pixels included.
    """
    none = np.empty((0, 2), int)
    if len(frames) < 2 or any(f.x.size < 3 for f in frames):
        return none, 0
    shape = frames[0].shape
    planes = [np.array(t(f.x, f.y)) for f, t in zip(frames, to_plane, strict=True)]
    from_plane = [_inverse(t, shape) for t in to_plane]
    raw = [cKDTree(np.c_[f.x, f.y]) for f in frames]
    middle = np.array([t((shape[1] - 1) / 2, (shape[0] - 1) / 2) for t in to_plane], float).reshape(-1, 2)
    n = len(frames)
    moved = [_some(np.flatnonzero(np.hypot(*(middle - middle[e]).T) > MOVED)) for e in range(n)]
    same_pixel = [
        sum((_at_pixel(frames, raw, e, q) for q in moved[e]), np.zeros(raw[e].n, int)) for e in range(n)
    ]
    shifts = _pointings(frames, planes, [s > 0 for s in same_pixel], max_shift)
    pixels, confirmed, lonely, peaks = [none], [], [], []
    for e, frame in enumerate(frames):
        peaks.append(_peaks(frame.whole()))
        known = [q for q in moved[e] if shifts[e] is not None and shifts[q] is not None]
        expected, seen = np.zeros(frame.x.size, int), np.zeros(frame.x.size, int)
        for q in known:
            on, hit = _seen_on_sky(frame, frames[q], raw[q], from_plane[q], planes[e], shifts[e] - shifts[q])
            expected += on
            seen += hit
        alone = 2 * seen < expected
        stars = frame.bright[same_pixel[e][frame.bright] == 0]
        if stars.size and alone[stars].sum() > LOST * stars.size:
            log.warning("%s: the other exposures do not have its stars; it is used as it is", frame.name)
            alone[:] = False
        lonely.append(alone)
        confirmed.append((expected > 0) & ~alone)
        pixels.append(peaks[e][alone & (same_pixel[e] > 0)])
    fixed = np.unique(np.concatenate(pixels), axis=0)
    hot = np.zeros(shape, bool)
    hot[fixed[:, 0], fixed[:, 1]] = True
    left_out = 0
    for e, frame in enumerate(frames):
        defect = hot[peaks[e][:, 0], peaks[e][:, 1]] & ~confirmed[e]
        stay = ~(lonely[e] | defect)[frame.bright]
        left_out += int((~stay).sum())
        number = np.cumsum(~defect) - 1
        frame.bright = number[frame.bright[stay]]
        frame.x, frame.y, frame.flux, frame.half_box = (
            a[~defect] for a in (frame.x, frame.y, frame.flux, frame.half_box)
        )
        if len(fixed):
            _mask(frame, hot, store)
    return fixed, left_out


def _mask(frame, hot, store):
    """Take the hot pixels' weight away, in memory or in the store."""
    own = frame if frame.pixels is None else frame.pixels()
    own.bad |= hot
    own.data[hot] = 0.0
    if frame.pixels is not None:
        frame.pixels = store.keep(own, instead=frame.pixels)


def _some(exposures):
    """At most `MOST` of the exposures, evenly spread: their number squared would be the time it takes."""
    return exposures[:: -(-exposures.size // MOST) or 1].tolist()


def _inverse(to_plane, shape):
    """Common coordinates to raw pixels, to a tenth of a pixel."""
    ny, nx = shape
    y, x = (a.ravel() for a in np.mgrid[-0.1 * ny : 1.1 * ny : 25j, -0.1 * nx : 1.1 * nx : 25j])
    return fit_polynomial(*to_plane(x, y), x, y, 5, sigma=None).transform.forward


def _seen_on_sky(frame, other, tree, from_plane, plane, shift):
    """Sources of an exposure that another should have on good pixels, and those that it has there."""
    x, y = from_plane(*(plane + shift[:, None]))
    everywhere = slice(None)
    bad = other.bad if other.pixels is None else other.pixels.cut("bad", everywhere, everywhere)
    on = _on_good_pixels(bad, x, y)
    rows = np.flatnonzero(on)
    distance, k = tree.query(np.c_[x, y][rows], distance_upper_bound=SKY_RADIUS)
    near = np.isfinite(distance)
    hit = np.zeros(on.size, bool)
    hit[rows[near]] = other.flux[k[near]] > SKY_RATIO * frame.flux[rows[near]]
    return on, hit


def _at_pixel(frames, raw, e, q):
    """Sources of exposure e that exposure q has at the same pixel, about as bright."""
    distance, k = raw[q].query(raw[e].data, distance_upper_bound=PIXEL_RADIUS)
    near = np.isfinite(distance)
    ratio = np.zeros(distance.size)
    ratio[near] = frames[q].flux[k[near]] / np.maximum(frames[e].flux[near], 1e-30)
    return (ratio > FIXED_RATIO) & (ratio < 1 / FIXED_RATIO)


def _pointings(frames, planes, suspect, max_shift):
    """Shifts of each exposure's coordinates onto the first one's; None where they do not match."""
    mags = [-2.5 * np.log10(np.maximum(f.flux, 1e-30)) for f in frames]
    stars = [np.flatnonzero(~s) for s in suspect]
    out = [np.zeros(2)]
    for e in range(1, len(frames)):
        one, two = stars[e], stars[0]
        shift = pointing_error(*planes[e][:, one], mags[e][one], *planes[0][:, two], mags[0][two], max_shift)
        out.append(None if shift is None else np.array(shift))
    return out


def _on_good_pixels(bad, x, y):
    """Positions whose 3 x 3 pixels lie in the exposure and have weight."""
    j, i, _ = boxes(x, y, 1, bad.shape)
    return boxes(x, y, 5, bad.shape)[2] & ~bad[j, i].any((1, 2))


def _peaks(frame):
    """Rows and columns of the brightest pixel of each source."""
    j, i, _ = boxes(frame.x, frame.y, 1, frame.data.shape)
    best = frame.data[j, i].reshape(len(j), 9).argmax(1)
    return np.c_[j[:, 0, 0] + best // 3, i[:, 0, 0] + best % 3]
