"""Master frames of several filters become one: one sky, with the magnitudes of each filter."""

import logging
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, make_table
from jwst_hpastrom.errors import HPAstromError, MixedExposuresError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.frame.transforms.registration import align
from jwst_hpastrom.geometry import LinearTransform, TangentPlane, fit_linear, match_nearest, robust_sigma

__all__ = ["join_filters"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: differences of two filters' positions beyond this many errors: another star, or a blend of two
DIFFERENT = 5.0
#: median pull of the differences from which on the log warns
HIGH_PULL = 1.3
_ERRORS = ("err", "err_empirical", "err_formal", "err_systematic")


def join_filters(
    masters: Sequence[Table], *, radius_mas: float = 40.0, min_stars: int = 6,
    max_shift: float = 5.0, max_rotation: float = 1.0,
) -> tuple[Table, list]:  # fmt: skip
    """Join master frames of several filters.

    The first one's system is kept; the others are brought to it by a six-parameter transformation from the
    stars in common. A star's position is the mean of the filters', weighted by their errors.

    Parameters
    ----------
    masters : sequence of `~astropy.table.Table`
        Master frames on one tangent plane; metadata ``filter``.

    radius_mas : float
        Matching radius.

    min_stars : int
        Fewest stars in common.

    max_shift, max_rotation : float
        Largest offset (arcsec) and turn (degrees) between frames that no catalog ties: filters of different
        visits differ by the errors of their guide stars.

    Returns
    -------
    table : `~astropy.table.Table`
        Columns of `jwst_hpastrom.columns.MASTER` and ``mag_<filter> mag_err_<filter> n_used_<filter>``.
        ``mag`` is the first filter's; of stars that are only in another, it is that one's and the mean color
        of the stars in common, whose scatter is part of ``mag_err``.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Each frame to the first, master pixels.

    Raises
    ------
    MixedExposuresError
        Frames on different tangent planes, or two of one filter.

    NoOverlapError
        Too few stars in common.
    """
    masters = list(masters)
    if not masters:
        raise NotEnoughStarsError("no master frame", "at least one")
    names = [str(t.meta.get("filter") or "unknown") for t in masters]
    planes = [TangentPlane.from_meta(t.meta) for t in masters]
    if len(set(names)) < len(names) or any(p != planes[0] for p in planes):
        raise MixedExposuresError(
            f"frames of {', '.join(names)} on {len(set(planes))} planes", "one of each filter on one plane"
        )
    plane = planes[0] or TangentPlane(0.0, 0.0)
    rows = [_columns(t) for t in masters]
    out, transforms, pulls = _Sky(rows[0], len(masters)), [LinearTransform()], {}
    tied = [t.meta.get("tied_to") == "reference" for t in masters]
    limits = {"max_shift": 1e3 * max_shift / plane.scale_mas, "max_rotation": max_rotation}
    for k, own in enumerate(rows[1:], 1):
        start = LinearTransform() if tied[0] and tied[k] else out.offset(own, limits, names[k])
        transform, pulls[names[k]] = out.add(k, own, radius_mas / plane.scale_mas, min_stars, names[k], start)
        transforms.append(transform)
    return _table(out, names, plane, masters, pulls), transforms


def _columns(table):
    keep = [c for c in table.colnames if table[c].dtype.kind in "fiu" and c != "id"]
    return {c: np.asarray(getattr(table[c], "value", table[c])) for c in keep}


class _Sky:
    """Stars of the frames joined so far, with a row of each filter's own."""

    def __init__(self, first, n_filters):
        n = first["x"].size
        self.mean = {c: np.array(first[c], float) for c in first if c != "flags"}
        self.flags = np.array(first["flags"], np.int64)
        self.single = {
            c: np.full((n_filters, n), np.nan) for c in ("mag", "mag_err", "n_used")
        }  # fmt: skip
        for c, values in self.single.items():
            values[0] = first[c]

    def offset(self, own, limits, name):
        """Transformation of another frame to this one by the stars' pattern; none where it does not tell."""
        x, y = self.mean["x"], self.mean["y"]
        try:
            return align(own["x"], own["y"], own["mag"], x, y, self.magnitudes()[0], **limits).transform
        except HPAstromError as error:
            log.warning("%s: the WCS alone say where its stars are among the others', %s", name, error)
            return LinearTransform()

    def magnitudes(self):
        """Magnitudes and errors on the first filter's system."""
        return _common_magnitudes(self.single["mag"], self.single["mag_err"])

    def add(self, k, own, radius, min_stars, name, transform):
        """Bring another frame to this one and join it; returns its transformation, and the median pull."""
        x, y = self.mean["x"], self.mean["y"]
        u, v = np.array(own["x"], float), np.array(own["y"], float)
        for reach in (4 * radius, radius, radius):
            i, j, _ = match_nearest(x, y, *transform.forward(u, v), reach)
            if i.size < min_stars:
                raise NoOverlapError(f"{i.size} stars of {name} in common", f"{min_stars} stars in common")
            weights = tuple(
                1.0 / (self.mean[f"{a}_err"][i] ** 2 + own[f"{a}_err"][j] ** 2 + 1e-12) for a in "xy"
            )
            transform = fit_linear(u[j], v[j], x[i], y[i], parameters=6, weights=weights).transform
        own = own | dict(zip("xy", transform.forward(u, v), strict=True))
        i, j, _ = match_nearest(x, y, own["x"], own["y"], radius)
        pull = np.stack([
            (own[a][j] - self.mean[a][i]) / np.hypot(own[f"{a}_err"][j], self.mean[f"{a}_err"][i])
            for a in "xy"
        ])  # fmt: skip
        width = float(np.mean([robust_sigma(p) for p in pull]))
        same = np.all(np.abs(pull) < DIFFERENT * max(width, 1.0), axis=0)
        if width > HIGH_PULL:
            log.warning("positions in %s differ by %.2f times their errors from the others'", name, width)
        log.info("%s: %d stars in common, %d of other positions", name, i.size, int((~same).sum()))
        self._merge(k, own, i[same], j[same])
        # a star of another position is not another star: the better one stays, with both magnitudes
        for c, values in self.single.items():
            values[k, i[~same]] = own[c][j[~same]]
        rest = np.setdiff1d(np.arange(u.size), j)
        self._append(k, own, rest)
        return transform, width

    def _merge(self, k, own, i, j):
        for c, values in self.single.items():
            values[k, i] = own[c][j]
        heavier = np.zeros(i.size, bool)
        for a in "xy":
            w = [1.0 / self.mean[f"{a}_err"][i] ** 2, 1.0 / own[f"{a}_err"][j] ** 2]
            w = [np.where(np.isfinite(q), q, 0.0) for q in w]
            total = np.maximum(w[0] + w[1], 1e-300)
            f, g = w[0] / total, w[1] / total
            heavier |= g > f
            self.mean[a][i] = f * self.mean[a][i] + g * own[a][j]
            for e in _ERRORS:
                name = f"{a}_{e}"
                if name in self.mean and name in own:
                    self.mean[name][i] = np.hypot(f * self.mean[name][i], g * own[name][j])
            for name in (f"{a}_rms", f"{a}_err_tie"):  # the tie is of one catalog
                if name in self.mean and name in own:
                    self.mean[name][i] = f * self.mean[name][i] + g * own[name][j]
        self.flags[i] = np.where(heavier, own["flags"][j], self.flags[i])
        for name in ("n_found", "n_used"):
            self.mean[name][i] += own[name][j]

    def _append(self, k, own, rows):
        for c in self.mean:
            new = np.asarray(own[c], float)[rows] if c in own else np.full(rows.size, np.nan)
            self.mean[c] = np.r_[self.mean[c], np.full(rows.size, np.nan) if c in ("mag", "mag_err") else new]
        self.flags = np.r_[self.flags, own["flags"][rows]]
        for c, values in self.single.items():
            new = np.full((len(values), rows.size), np.nan)
            new[k] = own[c][rows]
            self.single[c] = np.c_[values, new]


def _common_magnitudes(mag, err):
    """First filter's magnitudes; where there are none, another's and the color of the stars in common."""
    out, out_err = mag[0].copy(), err[0].copy()
    for k in range(1, len(mag)):
        color = mag[0] - mag[k]
        both, lacks = np.isfinite(color), np.isnan(out) & np.isfinite(mag[k])
        middle, scatter = (np.median(color[both]), robust_sigma(color[both])) if both.any() else (0.0, 1.0)
        out[lacks] = mag[k, lacks] + middle
        out_err[lacks] = np.hypot(err[k, lacks], scatter)
    return out, out_err


def _table(sky, names, plane, masters, pulls):
    mean = sky.mean
    mean["mag"], mean["mag_err"] = sky.magnitudes()
    mean["xi"], mean["eta"] = plane.from_pixels(mean["x"], mean["y"])
    mean["ra"], mean["dec"] = plane.to_sky(mean["xi"], mean["eta"])
    order = np.argsort(mean["mag"], kind="stable")
    known = {c.name for c in MASTER}
    data = {c: v[order] for c, v in mean.items() if c in known}
    for c in ("n_found", "n_used"):
        data[c] = data[c].astype(np.int64)
    meta = dict(masters[0].meta) | {
        "filters": names, "filters_pull": pulls, "n_exposures": sum(t.meta["n_exposures"] for t in masters),
    }  # fmt: skip
    epochs = [t.meta.get("epoch", np.nan) for t in masters]
    meta["epoch"] = float(np.average(epochs, weights=[t.meta["n_exposures"] for t in masters]))
    table = make_table(MASTER, {"id": np.arange(order.size), "flags": sky.flags[order], **data}, meta)
    for k, name in enumerate(names):
        for c in ("mag", "mag_err"):
            table[f"{c}_{name.lower()}"] = sky.single[c][k][order]
            table[f"{c}_{name.lower()}"].unit = "mag"
        table[f"n_used_{name.lower()}"] = np.nan_to_num(sky.single["n_used"][k][order]).astype(np.int64)
    return Table(table)
