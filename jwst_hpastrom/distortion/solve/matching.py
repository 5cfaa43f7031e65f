"""Matching star lists to a reference: each exposure's stars and the reference's, moved to its epoch."""

import logging
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import epoch_of, epsf_cause, row_epochs, values
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.solve.pairs import Pairs, full_frame, select_stars
from jwst_hpastrom.distortion.solve.settings import PairMatching
from jwst_hpastrom.errors import (
    BadCatalogError,
    HPAstromError,
    MissingDataError,
    NoOverlapError,
    NotEnoughStarsError,
)
from jwst_hpastrom.geometry import (
    TangentPlane,
    fill_motions,
    fit_polynomial,
    likely_motions,
    match_few,
    match_nearest,
    propagate,
    robust_sigma,
    sky_middle,
)
from jwst_hpastrom.numerics.threads import in_halves
from jwst_hpastrom.storage import Store

__all__ = ["match_most", "match_reference", "used_lists"]

log = logging.getLogger("stpipe.hpastrom.distortion")
#: columns of lists, and what stands for one that is missing
DEFAULTS = {"x_err": 0.01, "y_err": 0.01, "mag": np.nan}


@dataclass(frozen=True)
class _Reference:
    """The reference catalog on one plane, and how it moves; all arrays have a row a star."""

    plane: TangentPlane
    xi: np.ndarray
    eta: np.ndarray
    pm: tuple
    dts: list  # years from the catalog's epoch to that of each exposure
    errors: list  # of either axis: positions (mas), motions (mas/yr)
    mag: np.ndarray

    def at(self, e):
        """Positions at the epoch of exposure e."""
        return propagate(self.xi, self.eta, *self.pm, self.dts[e])

    def sigma(self, used):
        """Errors (n, 2) at the mean epoch of some exposures, arcsec."""
        mean_dt = np.mean([self.dts[e] for e in used], axis=0)
        return np.stack([np.hypot(e, p * mean_dt) for e, p in self.errors], 1) / 1e3


def _prepare(star_lists, reference, config):
    """Reference stars that can be matched, with their motions."""
    ra, dec = values(reference, "ra"), values(reference, "dec")
    ok = np.isfinite(ra) & np.isfinite(dec)
    if ok.sum() < config.min_stars:
        raise NotEnoughStarsError(f"{ok.sum()} reference stars", f"{config.min_stars}")
    plane = TangentPlane.from_meta(reference.meta)
    if plane is None:
        plane = TangentPlane(*sky_middle(ra, dec))
    xi, eta = plane.from_sky(ra, dec)
    pm = values(reference, "pmra"), values(reference, "pmdec")
    unknown = ~(np.isfinite(pm[0]) & np.isfinite(pm[1]))
    stated = values(reference, "pmra_error"), values(reference, "pmdec_error")
    filled, others = fill_motions(pm, stated)
    pm, pm_err = likely_motions(xi, eta, pm, stated)
    pm = tuple(np.where(unknown, f, m) for f, m in zip(filled, pm, strict=True))
    pm_err = [np.where(unknown, f, e) for f, e in zip(others, pm_err, strict=True)]
    pm_err = [np.where(np.isfinite(e), e, config.motion_error) for e in pm_err]
    epoch = row_epochs(reference)
    epochs = [epoch_of(t) for t in star_lists]
    if not (np.isfinite(epochs).all() and np.isfinite(epoch[ok & ~unknown]).all()) and not unknown.all():
        raise BadCatalogError(
            "proper motions without an epoch", "meta epoch in the reference and in every star list",
            file=reference.meta.get("catalog") if np.isfinite(epochs).all() else None,
        )  # fmt: skip
    dts = [np.nan_to_num(e - epoch) for e in epochs]
    errors = [
        np.where(np.isfinite(e), e, np.nan)
        for e in (values(reference, "ra_error"), values(reference, "dec_error"))
    ]
    errors = list(zip(errors, pm_err, strict=True))
    return _Reference(plane, xi, eta, pm, dts, errors, values(reference, "mag"))


@configured(PairMatching)
def match_reference(
    star_lists: list[Table],
    reference: Table,
    *,
    config: PairMatching,
    rng: np.random.Generator | None = None,
    store: Store | None = None,
) -> Pairs:
    """Pair the stars of each exposure with a reference catalog moved to the exposure's epoch.

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
        Star lists with ``ra dec`` through the exposures' WCS.

    reference : `~astropy.table.Table`
        Standard catalog: ra, dec (deg), ra_error, dec_error (mas), pmra, pmdec (mas/yr), mag; meta epoch.

    {options}

    rng : `numpy.random.Generator`, optional
        Draws the held-out stars; by default a generator of seed 0.

    store : `~jwst_hpastrom.storage.Store`, optional
        Has the pairs.

    Returns
    -------
    `Pairs`

    Raises
    ------
    NoOverlapError
        If an exposure and the reference have no stars in common.

    NotEnoughStarsError
        If an exposure has fewer than ``min_stars`` good stars or pairs.
    """
    return _match(star_lists, reference, config, rng, store)[0]


def _match(star_lists, reference, config, rng, store, *, most=False):
    """`match_reference` of all lists, or of ``most`` of them; the errors of those that were left out."""
    rng = np.random.default_rng(0) if rng is None else rng
    known = _prepare(star_lists, reference, config)
    make, size = (store or Store()).array, 0
    room = sum(map(len, star_lists))
    columns: dict[str, np.ndarray] = {k: make(room, int) for k in ("exposure", "star")}
    columns |= {k: make(room) for k in ("x", "y", "x_err", "y_err", "u", "v", "mag")}
    rotations, planes, metas, n_found, shifts, used, errors = [], [], [], [], [], [], []
    names = [t.meta.get("filename") or f"star list {e + 1}" for e, t in enumerate(star_lists)]

    def match(numbers):
        return [_match_named(names[e], star_lists[e], known, e, config) for e in numbers]

    numbers = range(len(star_lists))
    two_by_two = (chain(*in_halves(match, numbers[e : e + 2])) for e in numbers[::2])
    for e, (name, table, found) in enumerate(
        zip(names, star_lists, chain.from_iterable(two_by_two), strict=True)
    ):
        if isinstance(found, HPAstromError):
            errors.append(found)
            alone = most and table.meta.get("filename") and names.count(name) == 1
            if not alone or 2 * len(errors) >= len(names) or not _fails(table, known, e, config):
                raise errors[0]
            continue
        i, j, own, u, v, shift = found
        x, y = full_frame(table)
        more = {"exposure": len(used), "star": j, "x": x[i], "y": y[i], "u": u, "v": v}
        more |= {c: values(table, c, default)[i] for c, default in DEFAULTS.items()}
        for c, column in more.items():
            columns[c][size : size + i.size] = column
        size += i.size
        used.append(e)
        planes.append(own)
        metas.append(dict(table.meta))
        near = known.plane.from_sky(*sky_middle(values(table, "ra")[i], values(table, "dec")[i]))
        rotations.append(own.rotation(known.plane, *near))
        n_found.append(i.size)
        shifts.append(shift)
        log.info(
            "%s: %d stars in common with the reference, pointing off by %.3f arcsec",
            name,
            i.size,
            np.hypot(*shift),
        )
    data: dict[str, Any] = {k: v[:size] for k, v in columns.items()}
    chosen = rng.random(len(reference)) < config.held_out
    pairs = Pairs(
        **data, sigma=known.sigma(used), rotations=np.array(rotations),
        sky=np.stack([known.xi, known.eta], 1), planes=planes, metas=metas, held_out=chosen, n_found=n_found,
        shift=shifts,
    )  # fmt: skip
    return pairs, errors


def _match_named(name, table, known, e, config):
    """`_match_one` of exposure e, or why it fails: with what may be the cause, and with the name."""
    xi, eta, *_ = known.at(e)
    try:
        return _match_one(table, known.plane, xi, eta, known.mag, config)
    except HPAstromError as error:
        cause = epsf_cause(values(table, "mag"), values(table, "qfit"))
        told = error.because(cause).about(name)
        if isinstance(error, NoOverlapError | NotEnoughStarsError):
            return told
        raise told from None


@configured(PairMatching)
def match_most(star_lists, reference, *, config, rng=None, store=None):
    """Pair stars as `match_reference` does, but for exposures that fail where most others do not.

    A pointing far off, a trailed exposure, one of another field must not cost the others their distortion:
    those that have not even half of the stars needed are left out, and a warning names them.
    """
    pairs, errors = _match(star_lists, reference, config, rng, store, most=True)
    for error in errors:
        log.warning("left out of the distortion, which the other exposures tell: %s", error)
    return pairs


def used_lists(star_lists, pairs):
    """Return the lists that pairs are of: `match_most` may have left some out."""
    names = [m.get("filename") for m in pairs.metas]
    return [t for t in star_lists if t.meta.get("filename") in names]


def _fails(table, known, e, config):
    """Whether an exposure has not even half of the stars needed."""
    half = config.given(min_stars=max(config.min_stars // 2, 4))
    return isinstance(_match_named("", table, known, e, half), HPAstromError)


def _match_one(table, plane, xi, eta, mags, config):
    """Pairs of one exposure, its own plane, the reference stars there, and the pointing's error."""
    min_stars, match_radius, max_shift = config.min_stars, config.match_radius, config.max_shift
    if "ra" not in table.colnames or "dec" not in table.colnames:
        raise MissingDataError("a star list without ra and dec", "sky positions through the exposure's WCS")
    good = select_stars(table, qfit_max=config.qfit_max, error_max=config.error_max)
    ra, dec = values(table, "ra"), values(table, "dec")
    good &= np.isfinite(ra) & np.isfinite(dec)
    index = np.flatnonzero(good)
    if index.size < min_stars:
        raise NotEnoughStarsError(
            f"{index.size} well-measured stars of {len(table)}", f"{min_stars}", "relax qfit_max or error_max"
        )
    own = IdealPlane(dict(table.meta), sky_middle(ra[index], dec[index]))
    sx, sy = own.from_sky(ra[index], dec[index])
    u, v = own.from_sky(*plane.to_sky(xi, eta))
    margin = max_shift + 2.0
    near = np.flatnonzero(
        (u > sx.min() - margin) & (u < sx.max() + margin) & (v > sy.min() - margin) & (v < sy.max() + margin)
    )
    if near.size < min_stars:
        raise NoOverlapError(
            f"{near.size} reference stars within the exposure",
            f"{min_stars}",
            "is it a catalog of this field?",
        )
    mag = values(table, "mag")[index]
    blind = match_few(
        sx, sy, u[near], v[near], mag1=mag, mag2=mags[near], max_shift=max_shift, max_rotation=0.3,
        parameters=6, radius=match_radius, min_stars=min(min_stars, 6),
    )  # fmt: skip
    tx, ty = blind.transform.forward(sx, sy)
    # what the exposure's WCS lacks can exceed the radius in the corners: let a cubic follow it
    for radius in (2 * match_radius, match_radius):
        i, j, _ = match_nearest(tx, ty, u[near], v[near], radius)
        if i.size < max(min_stars, 100):
            break
        fit = fit_polynomial(sx[i], sy[i], u[near][j], v[near][j], 3)
        tx, ty = fit.transform.forward(sx, sy)
    i, j, _ = match_nearest(tx, ty, u[near], v[near], match_radius)
    difference = mag[i] - mags[near][j]
    if np.isfinite(difference).sum() > 0.5 * i.size:
        spread = max(robust_sigma(difference), 0.1)
        keep = ~(np.abs(difference - np.nanmedian(difference)) > 5 * spread)
        i, j = i[keep], j[keep]
    chance = i.size and near.size * np.pi * match_radius**2 / max(np.ptp(sx) * np.ptp(sy), 1e-9) * index.size
    if i.size < min_stars or i.size < 3 * chance:
        raise NoOverlapError(
            f"{i.size} pairs within {match_radius} arcsec, {chance:.0f} expected by chance", f"{min_stars}",
            "is it a catalog of this field?",
        )  # fmt: skip
    shift = tuple(np.array([np.median(tx), np.median(ty)]) - [np.median(sx), np.median(sy)])
    i, j = index[i], near[j]
    return i, j, own, u[j], v[j], shift
