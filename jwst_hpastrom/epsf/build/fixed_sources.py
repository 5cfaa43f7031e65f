"""Telling stars from what stays on the detector or is seen once, by the dithers (hot pixels, cosmic rays)."""

import logging
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.epsf.build.positions import POINTING, pointing_error
from jwst_hpastrom.epsf.image import boxes
from jwst_hpastrom.geometry import TangentPlane, fit_polynomial, sky_middle

__all__ = ["leave_out_fixed_sources", "mark_fixed_sources"]

log = logging.getLogger("stpipe.hpastrom.epsf")

MOVED = 2.0  # pixels that two pointings differ by at least, to tell sky from detector
SKY_RADIUS = 2.0  # pixels: error of the WCS's distortion, and of the light centers
PIXEL_RADIUS = 1.0  # a hot pixel's light center is that of its pixel
SKY_RATIO = 0.4  # least share of a star's flux that the other exposure finds: blends, shared light
FIXED_RATIO = 0.6  # the same of a hot pixel's flux, either way
MOST = 8  # other exposures that an exposure's sources are looked for in: half of them is told from none
FEWEST = 12  # entries of a list that places on the sky are reckoned for
FOUND = 0.7  # chance that a list has a star, or a hot pixel, that its exposure covers
PLACED = 0.05, 0.6  # least and most that places of one hot pixel differ by, beyond 4 errors, pixels
ALIKE = 0.3, 0.75  # least and most that magnitudes do, beyond 4 errors; of stars, which blend, the most
SKY_PIXEL = 1.0  # pixels that places of a star differ by, pointings taken out
AROUND = 40.0  # pixels: what lies there tells how much is near by chance
SURE = np.log(1e3)  # likelihood ratio: at most one star in so many is called hot
LOST = 0.8  # an exposure in which that share of the sources is seen nowhere else may have a wrong WCS
ASIDE = 12.0  # pixels: sources that are found there are found by chance


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
        others = [
            (frames[q], raw[q], from_plane[q], shifts[e] - shifts[q])
            for q in moved[e]
            if shifts[e] is not None and shifts[q] is not None
        ]
        stars = frame.bright[same_pixel[e][frame.bright] == 0]
        alone, seen = _alone(frame, planes[e], others, stars)
        lonely.append(alone)
        confirmed.append(seen)
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


class _Entries(NamedTuple):
    """Entries of a star list: on the detector, and on a plane of the sky, both in pixels."""

    place: np.ndarray  # (2, n)
    error: np.ndarray
    mag: np.ndarray
    mag_err: np.ndarray
    plane: np.ndarray  # (2, n)
    mags: np.ndarray  # sorted
    from_plane: Any  # to the list's own pixels
    tree: Any  # of places on the detector

    def some(self, rows):
        """Return some of the entries."""
        one = {name: getattr(self, name)[rows] for name in ("error", "mag", "mag_err")}
        return self._replace(place=self.place[:, rows], plane=self.plane[:, rows], **one)


class _Near(NamedTuple):
    """Whether entries have a like one near, and how far it may be, and how unlike."""

    hit: np.ndarray
    radius: np.ndarray
    within: np.ndarray


def mark_fixed_sources(star_lists, *, max_shift=POINTING):
    """Set the flag COSMIC_RAY on entries of star lists that stay on the detector while the sky moves.

    Hot pixels are where other pointings' lists have an entry at the same pixel, as bright, and none where
    their sky would have it: both together far beyond what chance makes.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`
        Of exposures of one detector and filter, with ``ra`` and ``dec`` by each exposure's own WCS. Flags
        are changed in place.

    max_shift : float
        Largest error of an exposure's pointing, pixels.

    Returns
    -------
    list of int
        Entries of each list that have got the flag.
    """
    if len(star_lists) < 2 or any(len(t) < FEWEST for t in star_lists):
        return [0] * len(star_lists)
    lists = _entries(star_lists)
    at = np.mean([e.place.mean(1) for e in lists], axis=0)
    middle = np.array([_linear(e.place, e.plane).forward(*at) for e in lists])
    others = [_some(np.flatnonzero(np.hypot(*(middle - m).T) > MOVED)) for m in middle]
    near = [
        {q: _coincide(e, lists[q], e.place, PLACED, ALIKE) for q in others[k]} for k, e in enumerate(lists)
    ]
    rows = [np.flatnonzero(sum((n.hit for n in own.values()), np.zeros(1, bool))) for own in near]
    shifts, out = _shifts(lists, rows, max_shift), []
    for k, table in enumerate(star_lists):
        e, ratio = lists[k].some(rows[k]), np.zeros(rows[k].size)
        for q in others[k]:
            if shifts[k] is None or shifts[q] is None:
                continue
            two = lists[q]
            same = _likelihood(two, e, e.place, _Near(*(v[rows[k]] for v in near[k][q])))
            sky = np.array(two.from_plane(*(e.plane + (shifts[k] - shifts[q])[:, None])))
            low, high = two.place.min(1)[:, None], two.place.max(1)[:, None]
            seen = _coincide(e, two, sky, (SKY_PIXEL, SKY_PIXEL), (ALIKE[1], ALIKE[1]))
            covered = ((sky > low) & (sky < high)).all(0)
            ratio += same - np.where(covered, _likelihood(two, e, sky, seen), 0.0)
        fixed = rows[k][ratio > SURE]
        new = fixed[np.asarray(table["flags"])[fixed] & int(Flag.COSMIC_RAY) == 0]
        table["flags"][new] |= int(Flag.COSMIC_RAY)
        out.append(new.size)
    return out


def _entries(star_lists):
    """The lists' entries, on the plane of the sky with pixels of the first list's size."""
    sky = [(values(t, "ra"), values(t, "dec")) for t in star_lists]
    middle = sky_middle(*(np.concatenate(c) for c in zip(*sky, strict=True)))
    origin = ((t.meta.get("xstart") or 1, t.meta.get("ystart") or 1) for t in star_lists)
    place = [
        np.array([values(t, "x"), values(t, "y")]) + np.reshape(o, (2, 1))
        for t, o in zip(star_lists, origin, strict=True)
    ]
    plane = TangentPlane(*middle)
    linear = _linear(place[0], plane.from_sky(*sky[0]))
    pixel = np.sqrt(np.abs(np.linalg.det(linear.jacobian(*place[0].mean(1)))))
    out = []
    for table, own, radec in zip(star_lists, place, sky, strict=True):
        on_plane = np.array(plane.from_sky(*radec)) / pixel
        degree = 3 if len(table) > 60 else 1
        back = fit_polynomial(*on_plane, *own, degree, sigma=None).transform.forward
        error = np.hypot(values(table, "x_err"), values(table, "y_err")) / np.sqrt(2)
        mag, mag_err = values(table, "mag"), values(table, "mag_err")
        out.append(_Entries(own, error, mag, mag_err, on_plane, np.sort(mag), back, cKDTree(own.T)))
    return out


def _linear(one, two):
    return fit_polynomial(*one, *two, 1, sigma=None).transform


def _coincide(one, two, place, apart, alike):
    """Find entries that have one of another list at their places, as bright.

    ``apart`` and ``alike`` are the least and most that places and magnitudes differ by, beyond 4 errors.
    """
    distance, k = two.tree.query(place.T)
    radius = np.clip(4 * np.hypot(one.error, two.error[k]), *apart)
    within = np.clip(4 * np.hypot(one.mag_err, two.mag_err[k]), *alike)
    return _Near((distance < radius) & (np.abs(one.mag - two.mag[k]) < within), radius, within)


def _likelihood(two, one, place, near):
    """Logarithm of the likelihood that what is at these places belongs there against that of chance."""
    number = two.tree.query_ball_point(place.T, AROUND, return_length=True) + 1
    low, high = (np.searchsorted(two.mags, one.mag + w) for w in (-near.within, near.within))
    number = number * (high - low + 1) / two.mags.size
    chance = np.clip(number * (near.radius / AROUND) ** 2, 1e-6, 0.5)
    return np.where(near.hit, np.log(FOUND / chance), np.log((1 - FOUND) / (1 - chance)))


def _shifts(lists, suspect, max_shift):
    """Shifts of the lists' planes onto the first one's; None where they do not match."""
    first, *rest = (
        e.some(np.setdiff1d(np.arange(e.mag.size), s)) for e, s in zip(lists, suspect, strict=True)
    )
    out = [np.zeros(2)]
    for e in rest:
        shift = pointing_error(*e.plane, e.mag, *first.plane, first.mag, max_shift)
        out.append(None if shift is None else np.array(shift))
    return out


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


def _alone(frame, plane, others, stars):
    """Sources that most exposures that would have them lack, and sources that these have.

    ``stars`` are those that may be ones: where hardly any are confirmed, nor more than chance confirms, the
    exposure is one of another place, and none of its sources counts as alone.
    """
    expected, seen = _confirmed(frame, plane, others)
    alone = 2 * seen < expected
    lost = alone[stars].sum()
    if lost > LOST * stars.size:
        covered, near = _confirmed(frame, plane + ASIDE, others)
        real = ((expected > 0) & ~alone)[stars].sum()
        chance = ((covered > 0) & (2 * near >= covered))[stars].sum()
        if real > 2 * chance + FEWEST:
            log.warning(
                "%s: %d of %d bright sources are in no other exposure, and not built from (hot pixels or "
                "cosmic rays that DQ does not flag?)", frame.name, lost, stars.size,
            )  # fmt: skip
        else:
            log.warning("%s: the other exposures do not have its stars; it is used as it is", frame.name)
            alone[:] = False
    return alone, (expected > 0) & ~alone


def _confirmed(frame, plane, others):
    """In how many other exposures sources at these places are expected, and in how many they are seen."""
    expected, seen = np.zeros(frame.x.size, int), np.zeros(frame.x.size, int)
    for other, tree, from_plane, shift in others:
        on, hit = _seen_on_sky(frame, other, tree, from_plane, plane, shift)
        expected += on
        seen += hit
    return expected, seen


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
