"""Star lists without a place on the sky: registered among themselves, as xym2mat does."""

import logging

import numpy as np

from jwst_hpastrom.errors import HPAstromError, MissingDataError
from jwst_hpastrom.geometry import TangentPlane, fit_linear, match_blind, sky_middle

__all__ = ["SKY_COLUMNS", "errors_by_scatter", "give_sky", "without_sky"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: columns of a master frame that say where on the sky a star is
SKY_COLUMNS = ("ra", "dec", "xi", "eta")
#: fewest stars with ra and dec that place a list on the sky
_PLACED = 4
#: rotations that are tried first, and then all, degrees
_ROTATIONS = (1.5, 180.0)
#: smallest error given to measurements whose lists state none, pixels; stars of one magnitude bin
_LEAST_ERROR, _BIN = 1e-3, 60
#: median of the mean of two absolute normal deviates
_MEDIAN_OF_MEAN = 0.7433


def give_sky(m, names, *, plane, reference, scale_mas):
    """Give measurements of lists that have no ra and dec those that their common stars give them.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`
        ``ra``, ``dec`` of such lists are filled.

    names : list of str
        Of the lists, for errors.

    plane : `~jwst_hpastrom.geometry.TangentPlane` or None

    reference : `~astropy.table.Table` or None
        Where no list has a place on the sky, neither of the two makes sense.

    scale_mas : float
        Size of a pixel, where no list has a place on the sky.

    Returns
    -------
    `~jwst_hpastrom.geometry.TangentPlane` or None
        A plane of no place, where no list has one: its sky must not be shown (`without_sky`).

    Raises
    ------
    NoOverlapError, NotEnoughStarsError
        A list that has no stars in common with the others, by name.

    MissingDataError
        A plane or a catalog, and no list with a place.
    """
    known = np.isfinite(m.ra + m.dec)
    placed = [bool(known[m.of(k)].sum() >= _PLACED) for k in range(m.n_exposures)]
    if all(placed):
        return None
    if not any(placed) and (plane is not None or reference is not None):
        raise MissingDataError(
            "star lists without ra and dec", "a place on the sky, for a reference catalog",
            "write r and d into the lists (OUT=…rd), or leave the catalog out", names[0],
        )  # fmt: skip
    u, v = _register(m, names)
    if any(placed):
        s = np.concatenate([np.arange(m.first[k], m.first[k + 1]) for k in np.flatnonzero(placed)])
        s = s[np.isfinite(m.ra[s] + m.dec[s])]
        own = TangentPlane(*sky_middle(m.ra[s], m.dec[s]))
        to_sky = fit_linear(u[s], v[s], *own.from_sky(m.ra[s], m.dec[s]), parameters=6).transform
        for k in np.flatnonzero(~np.array(placed)):
            s = m.of(k)
            m.ra[s], m.dec[s] = own.to_sky(*to_sky.forward(u[s], v[s]))
        log.info(
            "%d of %d lists have no ra and dec: placed by their stars",
            sum(not p for p in placed),
            len(placed),
        )
        return None
    log.warning(
        "no list has ra and dec: they are registered among themselves, the frame has no place on the sky, "
        "and one pixel is taken to be %g mas (scale_mas)", scale_mas,
    )  # fmt: skip
    nowhere = TangentPlane(0.0, 0.0, scale_mas, 0.5 * (u.min() + u.max()), 0.5 * (v.min() + v.max()))
    m.ra[:], m.dec[:] = nowhere.to_sky(*nowhere.from_pixels(u, v))
    return nowhere


def _register(m, names):
    """Positions of all measurements in the frame of the list with most stars, matched blind one by one."""
    u, v = m.x.copy(), m.y.copy()
    size = np.diff(m.first)
    anchor = int(np.argmax(size))
    x, y, mag = (a[m.of(anchor)] for a in (u, v, m.mag))
    waiting = [int(k) for k in np.argsort(-size, kind="stable") if k != anchor]
    while waiting:
        failed = {}
        for k in waiting:
            s = m.of(k)
            try:
                found = _match(m.x[s], m.y[s], m.mag[s], x, y, mag)
            except HPAstromError as error:
                failed[k] = error
                continue
            u[s], v[s] = found.transform.forward(m.x[s], m.y[s])
            new = np.ones(u[s].size, bool)
            new[found.i1] = False
            x, y, mag = np.r_[x, u[s][new]], np.r_[y, v[s][new]], np.r_[mag, m.mag[s][new]]
        if len(failed) == len(waiting):  # what the others added did not help either
            k = waiting[0]
            raise failed[k].about(names[k])
        waiting = list(failed)
    return u, v


def _match(x1, y1, mag1, x2, y2, mag2):
    for rotation in _ROTATIONS:
        try:
            return match_blind(x1, y1, x2, y2, mag1=mag1, mag2=mag2, max_rotation=rotation)
        except HPAstromError:
            if rotation == _ROTATIONS[-1]:
                raise


def errors_by_scatter(m, star, mean, n_used, transforms):
    """Give measurements whose lists state no errors those of their scatter about the means, by magnitude.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`
        Variances of exposures that are ``unstated`` are changed.

    star : ndarray of int
        Star of each measurement, negative for none.

    mean : ndarray, shape (n_stars, 2)
        Master pixels.

    n_used : ndarray of int
        Measurements in each mean.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Pixels to master pixels.
    """
    which = np.flatnonzero(m.unstated[m.exposure])
    mine = which[(star[which] >= 0) & (n_used[np.maximum(star[which], 0)] > 1)]
    if mine.size < _BIN:
        return
    scale = np.array([t.scale for t in transforms])[m.exposure[mine]]
    g = star[mine]
    off = 0.5 * (np.abs(m.u[mine] - mean[g, 0]) + np.abs(m.v[mine] - mean[g, 1])) / scale
    off *= np.sqrt(n_used[g] / (n_used[g] - 1.0))  # the mean has its share of each
    order = np.argsort(m.mag[mine], kind="stable")
    parts = np.array_split(order, max(1, mine.size // _BIN))
    at = np.array([np.median(m.mag[mine][p]) for p in parts])
    level = np.array([np.median(off[p]) for p in parts])
    error = np.interp(m.mag[which], at, np.maximum(level / _MEDIAN_OF_MEAN, _LEAST_ERROR))
    m.vx[which] = m.vy[which] = error**2


def without_sky(table, exposures, plane):
    """Take out of a master frame of no place what would be its place, in place.

    Parameters
    ----------
    table, exposures : `~astropy.table.Table`

    plane : `~jwst_hpastrom.geometry.TangentPlane`
        What `give_sky` returned.
    """
    table.remove_columns([c for c in SKY_COLUMNS if c in table.colnames])
    for key in plane.to_meta():
        table.meta.pop(key, None)
    table.meta["tied_to"] = "star lists alone"
    exposures["scale_mas"] = np.nan
