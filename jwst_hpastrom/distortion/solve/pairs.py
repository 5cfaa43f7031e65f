"""Star lists against a reference: selection, epoch, matching; the pairs that every solution starts from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import Flag, epoch_of, epsf_cause, row_epochs, values
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.solve.settings import PairMatching
from jwst_hpastrom.errors import (
    BadCatalogError,
    HPAstromError,
    MissingDataError,
    MixedExposuresError,
    NoOverlapError,
    NotEnoughStarsError,
)
from jwst_hpastrom.geometry import (
    TangentPlane,
    fill_motions,
    fit_polynomial,
    match_few,
    match_nearest,
    propagate,
    robust_sigma,
    sky_middle,
)
from jwst_hpastrom.instrument import nominal_scale
from jwst_hpastrom.numerics import rows_by_group
from jwst_hpastrom.numerics.threads import in_halves
from jwst_hpastrom.storage import Store

__all__ = ["Pairs", "check_one_filter", "match_most", "match_reference", "select_stars"]

log = logging.getLogger("stpipe.hpastrom.distortion")
# not the crowded ones: where a neighbor spoils the position, QFIT says so
_BAD = (
    Flag.SATURATED | Flag.NOT_CONVERGED | Flag.FEW_PIXELS | Flag.COSMIC_RAY | Flag.EXTENDED | Flag.NEAR_EDGE
)
#: columns of lists, and what stands for one that is missing
DEFAULTS = {"x_err": 0.01, "y_err": 0.01, "mag": np.nan}


@dataclass
class Pairs(Displayed):
    """Measured positions and their reference stars; all arrays have shape (n,) unless said.

    Attributes
    ----------
    exposure, star : ndarray of int
        Indices of the exposure and of the reference star.
    x, y, x_err, y_err : ndarray
        Raw full-frame positions, 0-based pixels.
    u, v : ndarray
        Reference positions in the exposure's ideal plane at its epoch, arcsec.
    sigma : ndarray, shape (n_stars, 2)
        Standard errors of the reference positions along xi and eta, arcsec (NaN: unknown).
    rotations : ndarray, shape (n_exposures, 2, 2)
        ∂(ideal)/∂(xi, eta).
    sky : ndarray, shape (n_stars, 2)
        Reference stars on a common tangent plane, arcsec East and North.
    planes : list of `~jwst_hpastrom.distortion.model.ideal.IdealPlane`
    metas : list of dict
    held_out : ndarray of bool, shape (n_stars,)
        Reference stars that no fit may use.
    mag : ndarray
    n_found, shift : list
        Per exposure: pairs found, and the pointing offset that was taken out, arcsec.
    motion : float
        Dispersion of what is not known of the stars' proper motions, per axis, arcsec/yr: they are unknowns
        where the exposures are of several epochs; 0: the stars move as the catalog says, or not at all.
    """

    exposure: np.ndarray
    star: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    u: np.ndarray
    v: np.ndarray
    sigma: np.ndarray
    rotations: np.ndarray
    sky: np.ndarray
    planes: list
    metas: list
    held_out: np.ndarray
    mag: np.ndarray
    n_found: list
    shift: list
    motion: float = 0.0

    @property
    def years(self) -> np.ndarray:
        """Times of the exposures from their mean; zeros where one is not known."""
        epochs = [m.get("epoch") for m in self.metas]
        if not epochs or any(t is None for t in epochs):
            return np.zeros(len(self.metas))
        return np.asarray(epochs, float) - np.mean(np.asarray(epochs, float))

    @property
    def fitted(self) -> np.ndarray:
        """Pairs that fits may use."""
        return ~self.held_out[self.star]

    @cached_property
    def by_exposure(self) -> list[np.ndarray]:
        """Indices of the pairs of each exposure."""
        return rows_by_group(self.exposure, len(self.planes))

    @cached_property
    def pixel_scale(self) -> float:
        """Nominal arcsec per pixel of the detector; without a row, as the positions have it."""
        known = nominal_scale(self.metas[0]) if self.metas else None
        ratio = np.hypot(np.std(self.u), np.std(self.v)) / np.hypot(np.std(self.x), np.std(self.y))
        return float(known or ratio)

    def __len__(self):
        return self.x.size


def check_one_filter(star_lists: Sequence[Table]) -> None:
    """Raise `MixedExposuresError` unless all lists are of one instrument, detector and filter.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.distortion import check_one_filter
    >>> check_one_filter([Table(meta={"detector": "NIS", "filter": "F090W"})])
    """
    do = "solve each filter by itself; give the others' star lists to the pixel map"
    MixedExposuresError.unless_same([t.meta for t in star_lists], "instrument", "detector", "filter", do=do)


def select_stars(table: Table, *, qfit_max: float = 0.1, error_max: float = 0.05) -> np.ndarray:
    """Return which stars of a list are well measured: QFIT, flags, position errors.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Star list.

    qfit_max : float
        Largest QFIT (L23: 0.1).

    error_max : float
        Largest position error per axis, pixels.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.distortion import select_stars
    >>> table = Table({"x": [10.0, 20.0], "y": [5.0, 6.0], "qfit": [0.02, 0.3], "flags": [0, 0]})
    >>> table["x_err"] = table["y_err"] = 0.01
    >>> select_stars(table)
    array([ True, False])
    """
    good = np.isfinite(table["x"]) & np.isfinite(table["y"])
    if "qfit" in table.colnames:
        good &= np.asarray(table["qfit"], float) < qfit_max
    if "flags" in table.colnames:
        good &= (np.asarray(table["flags"], int) & int(_BAD)) == 0
    for c in ("x_err", "y_err"):
        if c in table.colnames:
            e = np.asarray(table[c], float)
            good &= (e > 0) & (e <= error_max)
    return good


def _full_frame(table):
    m = table.meta
    return (
        values(table, "x") + int(m.get("xstart") or 1) - 1,
        values(table, "y") + int(m.get("ystart") or 1) - 1,
    )


@dataclass(frozen=True)
class _Reference:
    """The reference catalog on one plane, and how it moves; all arrays have a row a star."""

    plane: TangentPlane
    xi: np.ndarray
    eta: np.ndarray
    pm: tuple
    dts: list  # years from the catalog's epoch to that of each exposure
    sigma: np.ndarray
    mag: np.ndarray

    def at(self, e):
        """Positions at the epoch of exposure e."""
        return propagate(self.xi, self.eta, *self.pm, self.dts[e])


def _prepare(star_lists, reference, config):
    """Reference stars that can be matched, with their motions, and errors at the exposures' mean epoch."""
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
    pm, pm_err = fill_motions(pm, (values(reference, "pmra_error"), values(reference, "pmdec_error")))
    pm_err = [np.where(np.isfinite(e), e, config.motion_error) for e in pm_err]
    epoch = row_epochs(reference)
    epochs = [epoch_of(t) for t in star_lists]
    if not (np.isfinite(epochs).all() and np.isfinite(epoch[ok & ~unknown]).all()) and not unknown.all():
        raise BadCatalogError(
            "proper motions without an epoch", "meta epoch in the reference and in every star list",
            file=reference.meta.get("catalog") if np.isfinite(epochs).all() else None,
        )  # fmt: skip
    dts = [np.nan_to_num(e - epoch) for e in epochs]
    mean_dt = np.mean(dts, axis=0)
    errors = [
        np.where(np.isfinite(e), e, np.nan)
        for e in (values(reference, "ra_error"), values(reference, "dec_error"))
    ]
    sigma = np.stack([np.hypot(e, p * mean_dt) for e, p in zip(errors, pm_err, strict=True)], 1) / 1e3
    return _Reference(plane, xi, eta, (pm[0], pm[1]), dts, sigma, values(reference, "mag"))


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
    rng = np.random.default_rng(0) if rng is None else rng
    known = _prepare(star_lists, reference, config)
    make, most, size = (store or Store()).array, sum(map(len, star_lists)), 0
    columns: dict[str, np.ndarray] = {k: make(most, int) for k in ("exposure", "star")}
    columns |= {k: make(most) for k in ("x", "y", "x_err", "y_err", "u", "v", "mag")}
    rotations, planes, metas, n_found, shifts = [], [], [], [], []
    names = [t.meta.get("filename") or f"star list {e + 1}" for e, t in enumerate(star_lists)]

    def match(numbers):
        return [_match_named(names[e], star_lists[e], known, e, config) for e in numbers]

    numbers = range(len(star_lists))
    two_by_two = (chain(*in_halves(match, numbers[e : e + 2])) for e in numbers[::2])
    matched = chain.from_iterable(two_by_two)
    for e, (name, table, (i, j, own, u, v, shift)) in enumerate(zip(names, star_lists, matched, strict=True)):
        x, y = _full_frame(table)
        more = {"exposure": e, "star": j, "x": x[i], "y": y[i], "u": u, "v": v}
        more |= {c: values(table, c, default)[i] for c, default in DEFAULTS.items()}
        for c, column in more.items():
            columns[c][size : size + i.size] = column
        size += i.size
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
    return Pairs(
        **data, sigma=known.sigma, rotations=np.array(rotations), sky=np.stack([known.xi, known.eta], 1),
        planes=planes, metas=metas, held_out=chosen, n_found=n_found, shift=shifts,
    )  # fmt: skip


def _match_named(name, table, known, e, config):
    """`_match_one` of exposure e; errors are told with what may be their cause, and with the name."""
    xi, eta, *_ = known.at(e)
    try:
        return _match_one(table, known.plane, xi, eta, known.mag, config)
    except HPAstromError as error:
        cause = epsf_cause(values(table, "mag"), values(table, "qfit"))
        raise error.because(cause).about(name) from None


@configured(PairMatching)
def match_most(star_lists, reference, *, config, rng=None, store=None):
    """Pair stars as `match_reference` does, but for exposures that fail where most others do not.

    A pointing far off, a trailed exposure, one of another field must not cost the others their distortion:
    those that have not even half of the stars needed are left out, and a warning names them.
    """
    used, errors, how = list(star_lists), [], {"config": config, "store": store}
    while True:
        try:
            pairs = match_reference(used, reference, rng=rng, **how)
            break
        except (NoOverlapError, NotEnoughStarsError) as error:
            errors.append(error)
            bad = [t for t in used if t.meta.get("filename") and t.meta["filename"] == error.file]
            if len(bad) != 1 or 2 * len(errors) >= len(star_lists) or _half_matches(bad, reference, **how):
                raise errors[0] from None
            used = [t for t in used if t is not bad[0]]
    for error in errors:
        log.warning("left out of the distortion, which the other exposures tell: %s", error)
    return pairs


def _half_matches(star_lists, reference, config, store):
    half = max(config.min_stars // 2, 4)
    try:
        return match_reference(star_lists, reference, config=config, store=store, min_stars=half)
    except (NoOverlapError, NotEnoughStarsError):
        return None


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
