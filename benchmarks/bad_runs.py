"""Claim: no false result ends without a word. Star lists and catalogs are spoiled as users spoil them.

    python benchmarks/bad_runs.py [CASE...] [--gaia] [--good N] [--seed 1] [--stars 1500] [--dec -69.5]

A field is simulated as star lists (no pixels) and a catalog of an earlier epoch, one thing is made wrong,
the last Steps run, and the verdicts are compared with what was done: a row a case with the overall verdict,
the first cause, what the brighter half of the motions is off by (robust scatter about the truth, mas/yr, and
over the errors), and FAIL where the cause is not the right one. ``--gaia`` does the same with many epochs and
a Gaia table; ``--good N`` judges N fields of other seeds, numbers of stars, declinations and errors, which
must have no "bad" and at most one "look". The exit status is 1 where a row fails. About two CPU seconds a
case.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, FK5, BarycentricTrueEcliptic, Galactic, SkyCoord
from astropy.table import Table, vstack

from jwst_hpastrom.checks import Evidence, check_folder, condense, overall, run_checks
from jwst_hpastrom.distortion import DistortionCorrection, FramePlacement, PolynomialCorrection
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.geometry import LinearTransform, TangentPlane, polynomial_terms
from jwst_hpastrom.io import write_distortion
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.simulation import simulate_epochs

SIZE, SCALE = 2048, 65.5
EPOCH, FIRST = 2022.3, 2006.3
UNITS = {
    "ra": "deg", "dec": "deg", "ra_error": "mas", "dec_error": "mas", "pmra": "mas/yr", "pmdec": "mas/yr",
    "pmra_error": "mas/yr", "pmdec_error": "mas/yr", "mag": "mag", "x": "pix", "y": "pix", "x_err": "pix",
    "y_err": "pix", "mag_err": "mag",
}  # fmt: skip
LEAST = 20  # motions that tell what they are off by
POS, PM, XY = ("ra_error", "dec_error"), ("pmra_error", "pmdec_error"), ("x_err", "y_err")
MOTIONS = ("pmra", "pmdec")


@dataclass(frozen=True)
class Field:
    """What is simulated; mas, mas/yr, pixels, arcsec."""

    seed: int = 1
    stars: int = 1500
    exposures: int = 5
    target: tuple = (80.5, -69.5)
    dispersion: float = 0.2
    position_mas: float = 0.4  # of the catalog's bright stars
    motion_mas: float = 0.05
    list_px: float = 0.006  # errors of bright stars in a list, stated
    extra_px: float = 0.003  # not stated
    blend: float = 0.01  # share of measurements that are off by 10 errors


def true_stars(field, rng):
    """Places, arcsec, magnitudes and motions."""
    xi, eta = rng.uniform(-78, 78, (2, field.stars))
    mag = -8.5 + 5.5 * rng.power(2.2, field.stars)
    return xi, eta, mag, np.array([[1.9], [0.3]]) + rng.normal(0, field.dispersion, (2, field.stars))


def simulate(field):
    """Return star lists, a catalog, and the distortion that corrects the lists."""
    rng, n = np.random.default_rng(field.seed), field.stars
    plane = TangentPlane(*field.target)
    xi, eta, mag, true = true_stars(field, rng)
    growth = np.sqrt(1 + 10 ** (0.5 * (mag + 4)))
    own, position = field.motion_mas * growth, field.position_mas * growth
    ra, dec = plane.to_sky(*(c + rng.normal(0, position) / 1e3 for c in (xi, eta)))
    catalog = Table({"ra": ra, "dec": dec, "mag": mag + 25.0 + rng.normal(0, 0.05, n)}, meta={"epoch": FIRST})
    catalog["number"] = np.arange(n)
    for k, c in enumerate(("ra", "dec")):
        catalog[f"{c}_error"], catalog[f"pm{c}_error"] = position, own
        catalog[f"pm{c}"] = true[k] + rng.normal(0, own)
    east, north = (c + v * (EPOCH - FIRST) / 1e3 for c, v in zip((xi, eta), true, strict=True))
    correction = distortion(rng)
    lists = [_list(field, rng, plane, correction, (east, north), mag, k) for k in range(field.exposures)]
    for table in (catalog, *lists):
        for name in set(UNITS) & set(table.colnames):
            table[name].unit = UNITS[name]
    return lists, catalog, correction


def distortion(rng, degree=4):
    """Return a polynomial of some pixels, as NIRISS has it."""
    power = np.array([sum(p) for p in polynomial_terms(degree, 1)])
    a, b = rng.normal(0, 1, (2, power.size)) * np.array([0, 1.0, 3.0, 0.4, 0.05])[power]
    return DistortionCorrection(
        PolynomialCorrection(degree, a, b, np.array([1023.5, 1023.5]), 1024.0, "file")
    )


def bent(correction, change):
    """Return the correction with another polynomial."""
    return replace(correction, polynomial=replace(correction.polynomial, **change(correction.polynomial)))


def turned(quarters, mirror=1):
    """Return the change of a polynomial to that of a detector turned by quarters, or mirrored."""

    def change(p):
        x, y = (v.ravel() for v in np.meshgrid(*2 * [np.linspace(-1, 1, 12)]))
        powers = polynomial_terms(p.degree, 1)
        c, s = np.round((np.cos(quarters * np.pi / 2), np.sin(quarters * np.pi / 2)))
        new, old = (
            np.stack([u**i * v**j for i, j in powers], 1)
            for u, v in ((x, y), (mirror * (c * x + s * y), c * y - s * x))
        )
        dx, dy = mirror * (old @ p.a), old @ p.b
        dx, dy = c * dx - s * dy, s * dx + c * dy
        return {n: np.linalg.lstsq(new, d, rcond=None)[0] for n, d in (("a", dx), ("b", dy))}

    return change


def _list(field, rng, plane, correction, sky, mag, k):
    """One exposure's star list; its WCS is 30 mas off, and its distortion a twentieth."""
    middle = rng.uniform(-6, 6, 2)
    u, v = ((c - m) * 1e3 / SCALE * s + 1023.5 for c, m, s in zip(sky, middle, (-1, 1), strict=True))
    x, y = correction.inverse(u, v)
    seen = (np.abs(x - 1023.5) < 1020) & (np.abs(y - 1023.5) < 1020) & (rng.random(x.size) < 0.97)
    x, y, mag = x[seen], y[seen], mag[seen]
    error = field.list_px * np.sqrt(1 + 10 ** (0.6 * (mag + 5.5)))
    wrong = np.where(rng.random(x.size) < field.blend, 10.0, 1.0)
    x, y = (c + rng.normal(0, np.hypot(error * wrong, field.extra_px)) for c in (x, y))
    wcs = bent(correction, lambda p: {"a": 0.95 * p.a, "b": 0.95 * p.b}).forward(x, y)
    off = rng.normal(0, 0.03, 2) + middle
    ra, dec = plane.to_sky(
        *(s * (c - 1023.5) * SCALE / 1e3 + o for s, c, o in zip((-1, 1), wcs, off, strict=True))
    )
    relative = 2 * error
    flux = 10 ** (-0.4 * mag) * (1 + rng.normal(0, 1, mag.size) * relative)
    meta = {
        "filename": f"jw01086{k + 1:03d}001_02101_00001_nis_cal.fits", "filter": "F200W", "pupil": "F200W",
        "instrument": "NIRISS", "detector": "NIS", "epoch": EPOCH + 3e-5 * k, "nx": SIZE, "ny": SIZE,
        "xstart": 1, "ystart": 1, "exposure_time": 300.0,
    }  # fmt: skip
    data = {
        "id": np.arange(x.size), "x": x, "y": y, "x_err": error, "y_err": error, "ra": ra, "dec": dec,
        "flux": flux, "flux_err": flux * relative, "mag": -2.5 * np.log10(flux), "mag_err": 1.0857 * relative,
        "qfit": np.maximum(relative, 0.012), "sky": np.full(x.size, 0.25), "flags": np.zeros(x.size, int),
    }  # fmt: skip
    return Table(data, meta=meta)


# what is made wrong, in place; or what is returned instead: a catalog, lists, or a distortion


def times(table, factor, columns, part=1.0):
    rows = np.random.default_rng(9).random(len(table)) < part
    for c in columns:
        table[c][rows] *= factor


def moved(catalog, sigma, part):
    rng = np.random.default_rng(8)
    angle, rows = rng.uniform(0, 2 * np.pi, len(catalog)), rng.random(len(catalog)) < part
    step = sigma * np.asarray(catalog["ra_error"]) * rows / 3.6e6
    catalog["ra"] += step * np.cos(angle) / _cos(catalog)
    catalog["dec"] += step * np.sin(angle)


def exchange(table, a, b):
    table[a], table[b] = table[b].copy(), table[a].copy()


def shuffle(table, *columns):
    order = np.random.default_rng(3).permutation(len(table))
    for c in columns:
        table[c] = table[c][order]


def about(column, factor):
    column[:] = np.median(column) + factor * (column - np.median(column))


def put(table, **columns):
    for name, value in columns.items():
        table[name] = value


def later(table, years):
    table.meta["epoch"] += years


def carried(catalog, years):
    """Positions of another epoch than the table says."""
    catalog["dec"] += np.asarray(catalog["pmdec"]) * years / 3.6e6
    catalog["ra"] += np.asarray(catalog["pmra"]) * years / 3.6e6 / _cos(catalog)


def _cos(table):
    return np.cos(np.deg2rad(np.asarray(table["dec"])))


def twice(catalog, sigma=0.0):
    again, rng = catalog[: len(catalog) * 3 // 10].copy(), np.random.default_rng(4)
    for c in ("ra", "dec"):
        again[c] += sigma * rng.normal(0, 1, len(again)) * np.asarray(again["ra_error"]) / 3.6e6
    return vstack([catalog, again], metadata_conflicts="silent")


def renamed(table):
    table = table.copy()
    table.meta["filename"] = "jw01086009001_02101_00009_nis_cal.fits"
    return table


def quarter(t):
    x, y = np.asarray(t["x"]), np.asarray(t["y"])
    put(t, x=2047 - y, y=x)


def rolled(t, degrees=1.0):
    x, y = (np.asarray(t[c] - np.median(t[c])) for c in ("ra", "dec"))
    x, cos = x * np.cos(np.deg2rad(np.median(t["dec"]))), np.cos(np.deg2rad(np.median(t["dec"])))
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    put(t, ra=np.median(t["ra"]) + (x * c - y * s) / cos, dec=np.median(t["dec"]) + x * s + y * c)


def of_filter(t):
    """Another filter's distortion and magnitudes."""
    x, y = np.asarray(t["x"]), np.asarray(t["y"])
    u, v = distortion(np.random.default_rng(99)).forward(x, y)
    put(t, x=x + 0.05 * (u - x), y=y + 0.05 * (v - y))
    t["mag"] += 0.3 * np.random.default_rng(1).normal(0, 1, x.size)


def stay(lists):
    """One pointing, measured anew."""
    rng = np.random.default_rng(2)
    for k in range(1, len(lists)):
        meta, lists[k] = lists[k].meta, lists[0].copy()
        lists[k].meta = meta
        for c in "xy":
            lists[k][c] += rng.normal(0, 1, len(lists[k])) * np.asarray(lists[k]["x_err"])


def sky(catalog, frame):
    """Positions in another frame, in columns that are named as before."""
    found = SkyCoord(catalog["ra"], catalog["dec"], unit="deg").transform_to(frame)
    lon, lat = list(found.get_representation_component_names().items())[:2]
    put(catalog, ra=getattr(found, lon[0]).deg, dec=getattr(found, lat[0]).deg)


def turned_motions(catalog, degrees):
    """Motions along other axes, as those of a rolled detector or of Galactic coordinates."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    a, b = (np.array(catalog[n]) for n in MOTIONS)
    put(catalog, pmra=c * a - s * b, pmdec=s * a + c * b)


def along(catalog, frame):
    """Motions along the axes of another frame, in columns that are named as before."""
    there = SkyCoord(
        np.asarray(catalog["ra"]) * u.deg, np.asarray(catalog["dec"]) * u.deg,
        **{f"pm_{n}": np.asarray(catalog[c]) * u.mas / u.yr
           for n, c in (("ra_cosdec", "pmra"), ("dec", "pmdec"))},
    )  # fmt: skip
    motion = there.transform_to(frame).proper_motion.to_value("mas/yr")
    put(catalog, pmra=motion[0], pmdec=motion[1])


def of_half(function):
    """Return a change of every second row, as where two catalogs are stacked."""

    def change(catalog):
        part = catalog[::2].copy()
        function(part)
        for name in catalog.colnames:
            catalog[name][::2] = part[name]

    return change


def in_unit(catalog, unit, *columns):
    """Numbers in another unit, which the columns state."""
    for c in columns:
        catalog[c] = (np.asarray(catalog[c]) * catalog[c].unit).to(unit)


def named_unit(catalog, unit, *columns):
    """The same numbers, in columns that state another unit."""
    for c in columns:
        catalog[c].unit = unit


def epochs_of_third(catalog, value):
    put(catalog, ref_epoch=np.full(len(catalog), FIRST))
    filled(catalog, value, "ref_epoch")


def inverted(correction):
    """Return the change of a polynomial to that of the way back."""
    u, v = (c.ravel() for c in np.meshgrid(*2 * [np.linspace(0, SIZE - 1, 12)]))
    x, y = correction.inverse(u, v)

    def change(p):
        terms = np.stack([((u - p.center[0]) / p.half_width) ** i * ((v - p.center[1]) / p.half_width) ** j
                          for i, j in polynomial_terms(p.degree, 1)], 1)  # fmt: skip
        return {n: np.linalg.lstsq(terms, d, rcond=None)[0] for n, d in (("a", x - u), ("b", y - v))}

    return change


def ghosts(catalog, mas, part=0.5):
    """A part of the stars a second time, off by so much."""
    again = catalog[: int(part * len(catalog))].copy()
    again["dec"] += mas / 3.6e6
    return vstack([catalog, again], metadata_conflicts="silent")


def more(table, number, *columns):
    """Rows that are no stars, drawn over the field."""
    rng = np.random.default_rng(11)
    rows = table[rng.integers(0, len(table), number)]
    for c in columns:
        rows[c] = rng.uniform(np.min(table[c]), np.max(table[c]), number)
    return vstack([table, rows], metadata_conflicts="silent")


def tiles(catalog, mas):
    """A mosaic whose tiles of 20 arcsec are off by so much each."""
    rng = np.random.default_rng(12)
    x, y = ((np.asarray(catalog[c]) - np.min(catalog[c])) * 180 for c in ("ra", "dec"))
    x, y = (v.astype(int) for v in (x * _cos(catalog), y))
    step = rng.normal(0, mas / 3.6e6, (2, x.max() + 1, y.max() + 1))
    put(catalog, ra=catalog["ra"] + step[0][x, y] / _cos(catalog), dec=catalog["dec"] + step[1][x, y])


def add(table, column, size, of):
    """What goes with another column, as charge-transfer losses go with magnitude."""
    table[column] += size * (np.asarray(of) - np.mean(of))


def scattered(t, pixels):
    t["x"] += np.random.default_rng(13).normal(0, pixels, len(t))


def degree(p, most):
    """A polynomial without its higher terms."""
    low = np.array([sum(k) for k in polynomial_terms(p.degree, 1)]) <= most
    return {"a": p.a * low, "b": p.b * low}


def every(function):
    """Return a change of all lists."""
    return lambda lists, catalog, correction: [function(t) for t in lists] and None


def filled(table, value, *columns, part=0.3):
    """Masked values that somebody filled."""
    rows = np.random.default_rng(6).random(len(table)) < part
    for c in columns:
        table[c][rows] = value


def at_random(catalog):
    """Motions of no star, drawn from their distribution."""
    rng = np.random.default_rng(7)
    put(catalog, **{c: rng.normal(np.median(catalog[c]), np.std(catalog[c]), len(catalog)) for c in MOTIONS})


def of_date(catalog):
    """Coordinates of the equinox of date."""
    sky = SkyCoord(catalog["ra"], catalog["dec"], unit="deg").transform_to(FK5(equinox="J2006.3"))
    put(catalog, ra=sky.ra.deg, dec=sky.dec.deg)


def half_carried(catalog, years):
    """Rows of two surveys, of which one has another epoch."""
    later_on, rows = catalog.copy(), np.random.default_rng(5).random(len(catalog)) < 0.5
    carried(later_on, years)
    for c in ("ra", "dec"):
        catalog[c][rows] = later_on[c][rows]


def as_strings(table, *columns):
    for c in columns:
        text = [f"{v:.10f}" for v in table[c]]
        table[c] = text


def of_another_field(t):
    """The list of another field, brought to this one's place."""
    other = simulate(Field(seed=900))[0][1]
    rows = slice(0, min(len(t), len(other)))
    for c in ("x", "y", "ra", "dec", "mag", "flux"):
        t[c][rows] = other[c][rows]


def of_one(lists, function):
    out = function(lists[1])
    lists[1] = out if isinstance(out, Table) else lists[1]


def cut(n, c, d, rows):
    n[1] = n[1][rows(n[1])]


def twice_corrected(t, correction):
    t["x"], t["y"] = correction.forward(np.asarray(t["x"]), np.asarray(t["y"]))


LOOK, AT_2000 = "look", "Right ascension at Epoch=J2000, proper motions taken into account"
SMALL, PART = ("too small",), ("errors of the catalog that are wrong for a part", "too small")
OTHERS, EPOCHS, BENT = ("other stars'",), ("epoch",), ("distortion",)
NONE = ("stars in common", "coinciding", "covers the field")
# name: (words of which one must be in the first cause or error, what is done to the catalog or a list);
# with None among the words the result is not off by one of its errors, and need not be called bad; with LOOK
# it is off by little more, and a "look" will do
CATALOGS = {
    "position_errors_tenth": (("positions that are too small",), lambda c: times(c, 0.1, POS)),
    "position_errors_third": ((LOOK, *SMALL, "positions"), lambda c: times(c, 1 / 3, POS)),
    "position_errors_ten": (("too large",), lambda c: times(c, 10, POS)),
    "motion_errors_tenth": (SMALL, lambda c: times(c, 0.1, PM)),
    "motion_errors_ten": (("too large",), lambda c: times(c, 10, PM)),
    "errors_tenth": (SMALL, lambda c: times(c, 0.1, POS + PM)),
    "errors_third": (SMALL, lambda c: times(c, 1 / 3, POS + PM)),
    "errors_ten": (("too large",), lambda c: times(c, 10, POS + PM)),
    "errors_ten_of_half": (PART, lambda c: times(c, 10, POS + PM, 0.5)),
    "errors_tenth_of_half": (PART, lambda c: times(c, 0.1, POS + PM, 0.5)),
    "errors_third_of_half": (PART, lambda c: times(c, 1 / 3, POS + PM, 0.5)),
    "errors_in_arcsec": (("unit",), lambda c: times(c, 1e-3, POS + PM)),
    "position_errors_in_arcsec": (("unit",), lambda c: times(c, 1e-3, POS)),
    "position_errors_in_degrees": (("unit",), lambda c: times(c, 1 / 3.6e6, POS)),
    "motions_in_arcsec": (("unit",), lambda c: times(c, 1e-3, MOTIONS + PM)),
    "motions_in_arcsec_with_errors_in_mas": (("unit",), lambda c: times(c, 1e-3, MOTIONS)),
    "motions_in_degrees": (("unit",), lambda c: times(c, 1 / 3.6e6, MOTIONS + PM)),
    "motions_a_century": (("unit",), lambda c: times(c, 100, MOTIONS + PM)),
    "half_off_by_ten": (("wrong positions",), lambda c: moved(c, 10, 0.5)),
    "half_off_by_four": (("wrong positions",), lambda c: moved(c, 4, 0.5)),
    "fifth_off_by_ten": (("wrong positions",), lambda c: moved(c, 10, 0.2)),
    **{f"epoch_{y:+d}": ((None, *EPOCHS) if abs(y) < 2 else EPOCHS, lambda c, y=y: later(c, y))
       for y in (-15, -10, -5, -3, -2, -1, 1, 2, 3, 5, 10, 15)},
    "positions_of_another_epoch": (EPOCHS, lambda c: carried(c, 9.7)),
    "motions_exchanged": (("pmra and pmdec of the catalog exchanged",), lambda c: exchange(c, *MOTIONS)),
    "pmra_sign": (("pmra of the catalog with the other sign",), lambda c: times(c, -1, MOTIONS[:1])),
    "pmdec_sign": (("pmdec of the catalog with the other sign",), lambda c: times(c, -1, MOTIONS[1:])),
    "both_signs": (("sign",), lambda c: times(c, -1, MOTIONS)),
    "cos_dec_missing": (("cos(dec)",), lambda c: put(c, pmra=c["pmra"] / _cos(c))),
    "cos_dec_twice": (("cos(dec)",), lambda c: put(c, pmra=c["pmra"] * _cos(c))),
    "motions_zero": (("all zero",), lambda c: put(c, pmra=0.0, pmdec=0.0)),
    "motions_shuffled": (OTHERS, lambda c: shuffle(c, *MOTIONS)),
    "pmra_sorted": (OTHERS, lambda c: put(c, pmra=np.sort(c["pmra"]))),
    "ra_shuffled": (NONE, lambda c: shuffle(c, "ra")),
    "ra_sorted": (NONE, lambda c: put(c, ra=np.sort(c["ra"]))),
    "ra_in_hours": (NONE, lambda c: times(c, 1 / 15, ("ra",))),
    "ra_mirrored": ((*NONE, "mirrored"), lambda c: about(c["ra"], -1)),
    "sky_scaled": (("scaled",), lambda c: [about(c[n], 1.004) for n in ("ra", "dec")] and None),
    "shifted": (("shifted",), lambda c: put(c, dec=c["dec"] + 3 / 3600)),
    "third_twice": (("twice",), lambda c: twice(c)),
    "third_measured_twice": (("twice",), lambda c: twice(c, 1.0)),
    "magnitudes_as_fluxes": (("fluxes",), lambda c: put(c, mag=10 ** (-0.4 * (np.asarray(c["mag"]) - 25)))),
    "magnitudes_shifted": ((None, "mag"), lambda c: put(c, mag=c["mag"] + 3)),
    "magnitudes_shuffled": (("magnitudes of other stars",), lambda c: shuffle(c, "mag")),
    "errors_zero": ((None, "errors without"), lambda c: times(c, 0, POS + PM)),
    "errors_negative": ((None, "errors without"), lambda c: times(c, -1, POS + PM)),
    "errors_nan": ((None, "errors without"), lambda c: times(c, np.nan, POS + PM)),
    "positions_nan": (("no row with a position",), lambda c: put(c, ra=np.nan)),
    "motions_nan": (("without values",), lambda c: put(c, pmra=np.nan)),
    "motions_nan_of_half": ((None,), lambda c: times(c, np.nan, MOTIONS, 0.5)),
}  # fmt: skip
CATALOGS |= {
    "motions_at_random": (OTHERS, at_random),
    "motions_zero_of_third": ((None,), lambda c: filled(c, 0.0, *MOTIONS)),
    "motions_99_of_third": ((None,), lambda c: filled(c, 99.0, *MOTIONS)),
    "motions_-999_of_third": ((None,), lambda c: filled(c, -999.0, *MOTIONS)),
    "errors_99_of_third": ((None, *PART), lambda c: filled(c, 99.0, *POS, *PM)),
    "errors_-999_of_third": ((None, "errors without"), lambda c: filled(c, -999.0, *POS, *PM)),
    "errors_zero_of_third": ((None, "errors without"), lambda c: filled(c, 0.0, *POS, *PM)),
    "positions_zero_of_third": ((None, "row"), lambda c: filled(c, 0.0, "ra", "dec")),
    "positions_-999_of_third": ((None, "row"), lambda c: filled(c, -999.0, "ra", "dec")),
    "ra_zero_of_third": ((None, "row"), lambda c: filled(c, 0.0, "ra")),
    "magnitudes_99_of_third": ((None, "mag"), lambda c: filled(c, 99.0, "mag")),
    "motion_errors_as_variances": (SMALL, lambda c: put(c, **{n: c[n] ** 2 for n in PM})),
    "errors_as_variances": ((*SMALL, "errors"), lambda c: put(c, **{n: c[n] ** 2 for n in POS + PM})),
    "errors_as_fwhm": (("too large",), lambda c: times(c, 2.355, POS + PM)),
    "positions_single": (("single precision",), lambda c: put(c, ra=c["ra"].astype("f4"))),
    "positions_rounded": (("digits",), lambda c: put(c, ra=np.round(c["ra"], 5), dec=np.round(c["dec"], 5))),
    "motions_rounded": (("digits",), lambda c: put(c, **{n: np.round(c[n]) for n in MOTIONS})),
    "ra_dec_exchanged": (NONE, lambda c: exchange(c, "ra", "dec")),
    "ra_negative": ((None, "row"), lambda c: put(c, ra=c["ra"] - 360)),
    "equinox_of_date": (("shifted", *NONE), of_date),
    "two_epochs_in_one": (("two epochs",), lambda c: half_carried(c, 9.7)),
    "epoch_mjd": (("epoch",), lambda c: c.meta.update(epoch=53844.0)),
    "epoch_of_dr2": ((None, *EPOCHS), lambda c: later(c, -0.5)),
    "magnitudes_other_system": ((None,), lambda c: put(c, mag=1.04 * c["mag"] - 0.8)),
    "bright_faint_exchanged": (("fluxes",), lambda c: put(c, mag=50 - c["mag"])),
    "half_of_the_field": ((None,), lambda c: c[np.argsort(c["ra"])[: len(c) // 2]]),
    "half_of_the_stars": ((None,), lambda c: c[::2]),
    "positions_as_strings": ((None, "column"), lambda c: as_strings(c, "ra", "dec")),
    "motions_as_strings": ((None, "column"), lambda c: as_strings(c, *MOTIONS, *PM)),
    "of_another_field": (NONE, lambda c: simulate(Field(seed=900))[1]),
}  # fmt: skip
HALF = ("a part", "two epochs")
CATALOGS |= {
    "motions_in_radians": (("unit",), lambda c: times(c, np.pi / 180 / 3.6e6, MOTIONS + PM)),
    "positions_in_radians": (NONE, lambda c: times(c, np.pi / 180, ("ra", "dec"))),
    "equinox_1950": (NONE, lambda c: sky(c, FK4(equinox="B1950"))),
    "galactic": (NONE, lambda c: sky(c, Galactic())),
    "ecliptic": (NONE, lambda c: sky(c, BarycentricTrueEcliptic())),
    "motions_turned_by_-60": (("turned",), lambda c: turned_motions(c, -60)),
    "motions_turned_by_38": (("turned",), lambda c: turned_motions(c, 38)),
    "motions_turned_by_150": (("turned",), lambda c: turned_motions(c, 150)),
    "motions_galactic": (("Galactic",), lambda c: along(c, Galactic())),
    "motions_turned_by_8": (("turned",), lambda c: turned_motions(c, 8)),
    "motions_of_next_row": (OTHERS, lambda c: put(c, **{n: np.roll(c[n], 1) for n in MOTIONS})),
    "motions_shrunk": (EPOCHS, lambda c: [about(c[n], 0.5) for n in MOTIONS] and None),
    "motions_all_the_mean": (("one constant",), lambda c: put(c, **{n: np.mean(c[n]) for n in MOTIONS})),
    "motions_relative": ((None,), lambda c: put(c, **{n: c[n] - np.mean(c[n]) for n in MOTIONS})),
    "errors_exchanged": (("error",), lambda c: [exchange(c, *n) for n in zip(POS, PM, strict=True)] and None),
    "exchanged_in_half": (HALF, of_half(lambda c: exchange(c, *MOTIONS))),
    "pmra_sign_in_half": (HALF, of_half(lambda c: times(c, -1, MOTIONS[:1]))),
    "cos_dec_missing_in_half": (HALF, of_half(lambda c: put(c, pmra=c["pmra"] / _cos(c)))),
    "unit_in_half": (HALF, of_half(lambda c: times(c, 1e-3, MOTIONS))),
    "shifted_in_half": (HALF, of_half(lambda c: put(c, dec=c["dec"] + 15 / 3.6e6))),
    "half_twice_20_mas_off": ((None, "twice", *HALF), lambda c: ghosts(c, 20)),
    "half_twice_100_mas_off": ((None, "twice", *HALF), lambda c: ghosts(c, 100)),
    "half_twice_500_mas_off": ((None, "twice", *HALF), lambda c: ghosts(c, 500)),
    "half_twice_at_another_epoch": (
        (None, "twice", *HALF),
        lambda c: [carried(again := c[::2].copy(), 9.7), vstack([c, again], metadata_conflicts="silent")][1],
    ),
    "no_stars_added": ((None,), lambda c: more(c, 3 * len(c), "ra", "dec")),
    "brightest_20": ((None, "stars"), lambda c: c[np.argsort(c["mag"])[:20]]),
    "one_axis_scaled": ((None, "scaled"), lambda c: about(c["ra"], 1.0005)),
    "bent": (BENT, lambda c: put(c, dec=c["dec"] + 10 / 3.6e6 * ((c["dec"] + 69.5) / 0.0217) ** 2)),
    "tiles_off": (("positions", *BENT), lambda c: tiles(c, 4)),
    "positions_with_magnitude": (("bright and faint",), lambda c: add(c, "dec", 2 / 3.6e6, c["mag"])),
    "epoch_jd": (EPOCHS, lambda c: c.meta.update(epoch=2453844.5)),
    "epoch_in_text": ((None, "epoch"), lambda c: c.meta.update(epoch="2006-04-20")),
    "epoch_missing": (EPOCHS, lambda c: c.meta.pop("epoch") and None),
}  # fmt: skip
CATALOGS |= {
    "motions_in_arcsec_with_their_unit": ((None,), lambda c: in_unit(c, u.arcsec / u.yr, *MOTIONS, *PM)),
    "motions_in_degrees_with_their_unit": ((None,), lambda c: in_unit(c, u.deg / u.yr, *MOTIONS, *PM)),
    "positions_in_radians_with_their_unit": ((None,), lambda c: in_unit(c, u.rad, "ra", "dec")),
    "motions_named_arcsec": (("unit",), lambda c: named_unit(c, "arcsec/yr", *MOTIONS, *PM)),
    "position_errors_named_arcsec": (("unit", "too large"), lambda c: named_unit(c, "arcsec", *POS)),
    "position_errors_named_degrees": (("unit",), lambda c: named_unit(c, "deg", *POS)),
    "position_errors_of_single_exposures": (("too large", LOOK), lambda c: times(c, 3, POS)),
    "positions_fk5": ((None,), lambda c: sky(c, FK5(equinox="J2000"))),
    "positions_of_the_exposures_epoch": (EPOCHS, lambda c: carried(c, EPOCH - FIRST)),
    "epoch_of_the_exposures": (EPOCHS, lambda c: later(c, EPOCH - FIRST)),
    "epoch_mjd_column": ((None, *EPOCHS), lambda c: put(c, ref_epoch=53844.0)),
    "epoch_bjd_text": ((None, *EPOCHS), lambda c: c.meta.update(epoch="2453844.5")),
    "epoch_besselian_text": ((None, *EPOCHS), lambda c: c.meta.update(epoch="B2006.3")),
    "epoch_julian_text": ((None, *EPOCHS), lambda c: c.meta.update(epoch="J2006.3")),
    "epoch_two_digits": (EPOCHS, lambda c: c.meta.update(epoch=6.3)),
    "epochs_zero_of_third": ((None, *EPOCHS), lambda c: epochs_of_third(c, 0.0)),
    "epochs_late_of_third": (("epoch", "a part"), lambda c: epochs_of_third(c, 2015.5)),
    "magnitudes_zero": ((None, "mag"), lambda c: put(c, mag=0.0)),
    "positions_at_j2000_by_vizier": (EPOCHS, lambda c: setattr(c["ra"], "description", AT_2000)),
}  # fmt: skip
LISTS = {
    "one_exchanged": (("x and y",), lambda t: exchange(t, "x", "y")),
    "one_mirrored": (("x and y",), lambda t: put(t, x=2047 - t["x"])),
    "one_turned": (("x and y", "turned"), quarter),
    "one_scaled": ((None, "scale"), lambda t: [about(t[c], 1.001) for c in "xy"] and None),
    "one_half_shifted": (("does not fit this exposure",), lambda t: put(t, x=t["x"] + 0.5 * (t["x"] > 1024))),
    "one_of_filter_named": (("F090W",), lambda t: t.meta.update(filter="F090W")),
    "one_of_filter": (("does not fit this exposure",), of_filter),
    "one_errors_tenth": (("errors of this list that are too small",), lambda t: times(t, 0.1, XY)),
    "one_errors_in_mas": (("errors of this list that are too large",), lambda t: times(t, SCALE, XY)),
    "one_errors_zero": (("errors",), lambda t: times(t, 0, XY)),
    "one_errors_negative": (("errors",), lambda t: times(t, -1, XY)),
    "one_errors_nan": (("errors",), lambda t: times(t, np.nan, XY)),
    "one_positions_nan": (("usable stars",), lambda t: put(t, x=np.nan)),
    "one_magnitudes_nan": (("usable stars",), lambda t: put(t, mag=np.nan)),
    "one_magnitudes_as_fluxes": (("fluxes",), lambda t: put(t, mag=t["flux"])),
    "one_zero_point": (("other units",), lambda t: put(t, mag=t["mag"] + 2)),
    "one_early": (("time",), lambda t: later(t, -5)),
    "one_rolled": (("roll",), rolled),
    "one_elsewhere": (("guide star",), lambda t: put(t, ra=t["ra"] + 12 / 3600)),
}
LISTS |= {
    "one_turned_by_180": (("x and y", "turned"), lambda t: put(t, x=2047 - t["x"], y=2047 - t["y"])),
    "one_of_another_field": (("stars", "does not fit"), of_another_field),
    "one_moved_by_200": (("does not fit this exposure",), lambda t: put(t, x=t["x"] + 200)),
    "one_from_1": ((None,), lambda t: put(t, x=t["x"] + 1, y=t["y"] + 1)),
    "one_binned": (("scale", "does not fit"), lambda t: put(t, x=t["x"] / 2, y=t["y"] / 2)),
    "one_errors_as_variances": (("errors of this list",), lambda t: put(t, **{c: t[c] ** 2 for c in XY})),
    "one_errors_-999_of_third": ((None, "errors"), lambda t: filled(t, -999.0, *XY)),
    "one_positions_-999_of_third": ((None, "stars"), lambda t: filled(t, -999.0, "x", "y")),
    "one_positions_-1_of_third": ((None, "stars"), lambda t: filled(t, -1.0, "x", "y")),
    "one_x_sorted": (("stars", "does not fit"), lambda t: put(t, x=np.sort(t["x"]))),
    "one_magnitudes_99_of_third": ((None, "mag"), lambda t: filled(t, 99.0, "mag")),
}
LISTS |= {
    "one_with_noise": (("noise", "stars"), lambda t: more(t, 4000, "x", "y")),
    "one_trailed": (("this exposure", "errors of this list"), lambda t: scattered(t, 0.1)),
    "one_rows_shuffled": (
        (None, "stars", "fit this exposure"),
        lambda t: put(t, x=np.where(np.arange(len(t)) % 10, t["x"], np.roll(t["x"], 1))),
    ),
    "one_magnitudes_of_next_row": (("magnitudes of this list",), lambda t: put(t, mag=np.roll(t["mag"], 1))),
    "one_half_a_year": ((None, "time"), lambda t: later(t, 0.5)),
    "one_skewed": ((None,), lambda t: put(t, x=t["x"] + 0.002 * (t["y"] - 1024))),
    "one_bent": ((None, "fit this exposure"), lambda t: put(t, x=t["x"] + 0.1 * (t["y"] / 1024 - 1) ** 2)),
    "one_with_magnitude": ((None, "bright and faint"), lambda t: add(t, "y", 0.02, t["mag"])),
}  # fmt: skip
LISTS |= {
    "one_errors_tenth_of_half": ((LOOK, None, "errors of this list"), lambda t: times(t, 0.1, XY, 0.5)),
    "one_magnitudes_zero": ((None, "mag", "usable"), lambda t: put(t, mag=0.0)),
    "one_epoch_mjd": (EPOCHS, lambda t: t.meta.update(epoch=59700.0)),
    "one_quantized": ((None, "rounded"), lambda t: put(t, x=np.round(t["x"] * 64) / 64)),
    "one_from_the_corner": ((None,), lambda t: put(t, x=t["x"] + 0.5, y=t["y"] + 0.5)),
    "one_cut_by_60": (("guide star", "does not fit", None), lambda t: put(t, x=t["x"] - 60)),
}  # fmt: skip
RUNS = {
    **{name: (words, lambda n, c, d, f=f: f(c)) for name, (words, f) in CATALOGS.items()},
    **{f"list_{name}": (words, lambda n, c, d, f=f: of_one(n, f)) for name, (words, f) in LISTS.items()},
    "lists_exchanged": (("x and y",), every(lambda t: exchange(t, "x", "y"))),
    "lists_errors_tenth": (("star lists that are too small",), every(lambda t: times(t, 0.1, XY))),
    "lists_errors_third": (("star lists that are too small",), every(lambda t: times(t, 1 / 3, XY))),
    "lists_errors_ten": (("star lists that are too large",), every(lambda t: times(t, 10, XY))),
    "lists_errors_in_mas": (("star lists that are too large",), every(lambda t: times(t, SCALE, XY))),
    "lists_errors_equal": (("one and the same",), every(lambda t: put(t, x_err=0.02, y_err=0.02))),
    "lists_fluxes": (("fluxes",), every(lambda t: put(t, mag=t["flux"]))),
    "lists_early": (EPOCHS, every(lambda t: later(t, -3))),
    "lists_rounded": (("rounded",), every(lambda t: put(t, **{c: np.round(t[c], 1) for c in "xy"}))),
    "lists_phase": (("ePSF",), every(lambda t: put(t, x=t["x"] + 0.1 * np.sin(2 * np.pi * t["x"])))),
    "lists_rows_twice": (("list has twice",), lambda n, c, d: [vstack([t, t[::3]]) for t in n]),
    "list_twice": (("same stars",), lambda n, c, d: [*n, renamed(n[0])]),
    "list_for_another": (("same stars",), lambda n, c, d: [*n[:-1], renamed(n[0])]),
    "list_alone": (("one exposure alone",), lambda n, c, d: n[:1]),
    "no_dithers": (("not dithered",), lambda n, c, d: stay(n)),
    "list_half_of_its_stars": ((None,), lambda n, c, d: cut(n, c, d, lambda t: slice(None, None, 2))),
    "list_half_of_the_field": ((None,), lambda n, c, d: cut(n, c, d, lambda t: np.asarray(t["x"]) < 1024)),
    "list_without_bright": ((None,), lambda n, c, d: cut(n, c, d, lambda t: np.asarray(t["mag"]) > -6)),
    "lists_binned": ((*BENT, "scale"), every(lambda t: put(t, x=t["x"] / 2, y=t["y"] / 2))),
    "lists_from_1": ((None,), every(lambda t: put(t, x=t["x"] + 1, y=t["y"] + 1))),
    "lists_single": (
        (None,),
        every(lambda t: put(t, **{c: t[c].astype("f4") for c in (*"xy", "ra", "dec")})),
    ),
    "lists_errors_as_variances": (("star lists",), every(lambda t: put(t, **{c: t[c] ** 2 for c in XY}))),
    "epochs_exchanged": (
        ("epoch", "sign"),
        lambda n, c, d: [later(t, s * (EPOCH - FIRST)) for t, s in [(c, 1), *((t, -1) for t in n)]] and None,
    ),
    "distortion_twice": (BENT, lambda n, c, d: [twice_corrected(t, d) for t in n] and None),
    "distortion_twice_in_one": (("does not fit this exposure",), lambda n, c, d: twice_corrected(n[1], d)),
    "no_distortion": (BENT, lambda n, c, d: "none"),
    "distortion_identity": (BENT, lambda n, c, d: bent(d, lambda p: {"a": 0 * p.a, "b": 0 * p.b})),
    "distortion_of_another": (BENT, lambda n, c, d: distortion(np.random.default_rng(98))),
    "distortion_mirrored": (BENT, lambda n, c, d: bent(d, turned(0, -1))),
    "distortion_sign": (BENT, lambda n, c, d: bent(d, lambda p: {"a": -p.a, "b": -p.b})),
    "distortion_exchanged": (BENT, lambda n, c, d: bent(d, lambda p: {"a": p.b, "b": p.a})),
    "distortion_half": (BENT, lambda n, c, d: bent(d, lambda p: {"a": p.a / 2, "b": p.b / 2})),
    "distortion_98_percent": (BENT, lambda n, c, d: bent(d, lambda p: {"a": 0.98 * p.a, "b": 0.98 * p.b})),
    "distortion_degree_2": (BENT, lambda n, c, d: bent(d, lambda p: degree(p, 2))),
    "distortion_inverse": (BENT, lambda n, c, d: bent(d, inverted(d))),
    "lists_epoch_mjd": (EPOCHS, every(lambda t: t.meta.update(epoch=59700.0))),
    "distortion_off_center": (BENT, lambda n, c, d: bent(d, lambda p: {"center": p.center + 500.0})),
    "lists_with_magnitude": (("bright and faint",), every(lambda t: add(t, "y", 0.02, t["mag"]))),
    "lists_integer": (("rounded",), every(lambda t: put(t, **{c: np.round(t[c]) for c in "xy"}))),
    "lists_rolled": (("rotated", "roll"), every(lambda t: rolled(t, 0.5))),
    "lists_wcs_mirrored": (("x and y", "mirror", "in common"), every(lambda t: about(t["ra"], -1))),
    "lists_two_half_a_year": ((None, "time"), lambda n, c, d: [later(t, 0.5) for t in n[:2]] and None),
    "lists_two_of_filter_named": (
        ("F090W",),
        lambda n, c, d: [t.meta.update(filter="F090W") for t in n[:2]] and None,
    ),
    "lists_with_noise": ((None, "noise"), lambda n, c, d: [more(t, 4000, "x", "y") for t in n]),
    "lists_wcs_of_one": (("guide star", "WCS", LOOK), lambda n, c, d: put(n[1], ra=n[1]["ra"] + 4 / 3600)),
    **{f"distortion_turned_{90 * k}": (BENT, lambda n, c, d, k=k: bent(d, turned(k))) for k in (1, 2, 3)},
}


def motions_off(field, motions, catalog):
    """Robust scatter of the brighter half of the motions about the truth, and over their errors."""
    true = true_stars(field, np.random.default_rng(field.seed))[3]
    rows = np.argsort(np.asarray(motions["mag"]))[: max(len(motions) // 2, 1)]
    number = np.asarray(catalog["number"], int)[np.asarray(motions["first_epoch_row"], int)[rows]]
    d, e = (np.stack([np.asarray(motions[c + s], float)[rows] for c in MOTIONS]) for s in ("", "_error"))
    d = d - true[:, number]
    d -= np.nanmedian(d, axis=1)[:, None]
    if not np.isfinite(d / e).all(0).sum() > LEAST:
        return "none"
    return " ".join(f"{1.4826 * np.nanmedian(np.abs(v)):.3f}" for v in (d, d / e))


def run(field, name=None, keep=None):
    """Run the last Steps on a field, spoiled or not.

    Returns the checks, the error where there was one, and what the motions are off by.
    """
    from jwst_hpastrom.steps import MasterFrameStep, ProperMotionStep

    lists, catalog, correction = simulate(field)
    if name:
        out = RUNS[name][1](lists, catalog, correction)
        catalog = out if isinstance(out, Table) else catalog
        lists = out if isinstance(out, list) else lists
        correction = out if isinstance(out, DistortionCorrection | str) else correction
    with tempfile.TemporaryDirectory() as folder:
        folder, error, checks, more, off = Path(keep or folder), None, [], {}, ""
        members = [str(folder / t.meta["filename"].replace("_cal.fits", "_stars.ecsv")) for t in lists]
        for table, path in zip((*lists, catalog), (*members, folder / "catalog.ecsv"), strict=True):
            table.write(path, overwrite=True)
        given = str(folder / "catalog.ecsv")
        if correction != "none":
            plane = LinearTransform(SCALE / 1e3 * np.eye(2), np.zeros(2), np.zeros(2))
            place, meta = FramePlacement(plane, 0.0, 0.0), lists[0].meta
            more["distortion_file"] = write_distortion(folder / "given.asdf", correction, place, meta)
        try:
            MasterFrameStep(reference_catalog=given, output_dir=str(folder), **more).run(*members)
            master = str(next(folder.glob("*_master.ecsv")))
            ProperMotionStep(first_epoch=given, output_dir=str(folder)).run(master)
        except HPAstromError as err:
            error = f"{type(err).__name__}: {err}"
        if list(folder.glob("*_checks.ecsv")):
            checks = check_folder(folder)
        for path in folder.glob("*_pm.ecsv"):
            off = motions_off(field, Table.read(path), catalog)
        return checks, error, off


GAIA_PM = ("pmra_error", "pmdec_error")
REFERENCE = ("reference catalog",)
# the same of many epochs: (words, what is done to the lists and Gaia's table)
GAIA = {
    "cos_dec_missing": (("without the factor cos(dec)",), lambda n, g: put(g, pmra=g["pmra"] / _cos(g))),
    "cos_dec_twice": (("cos(dec) twice",), lambda n, g: put(g, pmra=g["pmra"] * _cos(g))),
    "exchanged": (("exchanged",), lambda n, g: exchange(g, *MOTIONS)),
    "pmra_sign": (("sign",), lambda n, g: times(g, -1, MOTIONS[:1])),
    "pmdec_sign": (("sign",), lambda n, g: times(g, -1, MOTIONS[1:])),
    "errors_third": (REFERENCE, lambda n, g: times(g, 1 / 3, POS + PM)),
    "errors_ten": (("too large",), lambda n, g: times(g, 10, POS + PM)),
    "errors_in_arcsec": (("unit", "reference catalog"), lambda n, g: times(g, 1e-3, POS + PM)),
    "motions_in_arcsec": (("reference stars",), lambda n, g: times(g, 1e-3, MOTIONS + PM)),
    "motions_shuffled": (("reference stars",), lambda n, g: shuffle(g, *MOTIONS)),
    "epoch_late": (("epoch",), lambda n, g: put(g, ref_epoch=np.asarray(g["ref_epoch"]) + 3)),
    "lists_late": (("epoch",), lambda n, g: [later(t, 3) for t in n]),
    "one_late": (("epoch",), lambda n, g: later(n[3], 1.5)),
    "lists_errors_third": (("lists that are too small",), lambda n, g: [times(t, 1 / 3, XY) for t in n]),
    "lists_errors_three": (("lists that are too large",), lambda n, g: [times(t, 3, XY) for t in n]),
    "one_errors_third": (("errors of this list",), lambda n, g: times(n[3], 1 / 3, XY)),
    "one_exchanged": (("x and y", "mirror", "usable", "common"), lambda n, g: exchange(n[3], "x", "y")),
}  # fmt: skip


def run_gaia(seed, name=None, dec=-24.0, stars=500):
    """Fit the motions of many epochs, spoiled or not; return checks and error."""
    epochs = (2011.2, 2012.8, 2014.5, 2016.4, 2018.1, 2020.2, 2022.5)
    sky = simulate_epochs(n_stars=stars, n_gaia=60, epochs=epochs, seed=seed, target=(266.4, dec))
    lists, gaia = [t.copy() for t in sky.lists], sky.gaia.copy()
    try:
        if name:
            GAIA[name][1](lists, gaia)
        out = fit_epochs(lists, gaia, models="linear")
    except HPAstromError as err:
        return [], f"{type(err).__name__}: {err}", ""
    evidence = Evidence(motions=out.table, epochs=out.epoch_quality(), references=out.timed_references())
    return run_checks(evidence), None, ""


def judged(name, words, checks, error):
    """Return whether a run was judged as it must be, and a line that says how."""
    noted = condense([c for c in checks if c.verdict != "ok"])
    word = "error" if error else overall(checks)
    first = error or (noted[0].causes[0] if noted else "")
    right = any(w and w in first for w in words)
    good = right and word in ("error", "bad")
    if None in words:
        good |= right or not noted
    if LOOK in words:
        good |= right
    if not words:  # a good run
        good = not error and word != "bad" and len(noted) <= 1
    told = first if error or not noted else f"{noted[0].name} {noted[0].value:.3g}: {first}"
    return good, f"{'    ' if good else 'FAIL'} {name:40s} {word:5s} {told[:170]}"


def run_all(runs, every):
    """Make all runs, which return what `judged` does and their checks; print a line for each.

    Returns 1 where one was not judged as it must be. ``every``: print all that is not ok.
    """
    failed = 0
    for make in runs:
        start = time.process_time()
        good, text, checks = make()
        failed += not good
        print(f"{text}  [{time.process_time() - start:.1f} s]", flush=True)
        for check in condense([c for c in checks if c.verdict != "ok"]) if every else ():
            print(f"         {check}"[:230])
    print(f"{failed} of {len(runs)} were not judged as they must be")
    return int(failed > 0)


def good_fields(n, seed):
    """Fields of other seeds, numbers of stars and exposures, places and qualities."""
    for k in range(n):
        rng = np.random.default_rng([77, seed, k])
        sky = (float(rng.uniform(0, 360)), float(rng.uniform(-80, 80)))
        numbers = int(10 ** rng.uniform(2.3, 3.7)), int(rng.integers(3, 9))
        sizes = (float(10 ** rng.uniform(*r)) for r in ((-1.2, 0.5), (-1, 0.3), (-1.7, -0.5), (-2.6, -1.7)))
        yield Field(1000 * seed + k, *numbers, sky, *sizes)


def main(argv=None):
    """Run cases, print a line for each; return 1 where one was not judged as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--gaia", action="store_true")
    parser.add_argument("--good", type=int, default=0, metavar="N")
    parser.add_argument("--all", action="store_true", help="show all that is not ok")
    for name, default in (("seed", 1), ("stars", 0), ("dec", None)):
        parser.add_argument(f"--{name}", type=type(default or 0), default=default)
    args = parser.parse_args(argv)
    os.environ["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    dec = float(args.dec if args.dec is not None else -24.0 if args.gaia else -69.5)
    if args.gaia:
        names = [f"good {args.seed + k}" for k in range(args.good)] or args.cases or list(GAIA)
        todo = [
            (
                n,
                GAIA.get(n, ((),))[0],
                lambda n=n, k=k: run_gaia(
                    args.seed + k * bool(args.good), n if n in GAIA else None, dec, args.stars or 500
                ),
            )
            for k, n in enumerate(names)
        ]
    elif args.good:
        todo = [
            (f"good {f.seed}: {f.stars} stars, {f.exposures} exposures", (), lambda f=f: run(f))
            for f in good_fields(args.good, args.seed)
        ]
    else:
        field = Field(args.seed, args.stars or 1500, target=(80.5, dec))
        todo = [(n, RUNS[n][0], lambda n=n: run(field, n)) for n in args.cases or RUNS]

    def run_judged(name, words, make):
        checks, error, off = make()
        right, text = judged(name, words, checks, error)
        return right, f"{text}  [{off}]" if off else text, checks

    return run_all([lambda row=row: run_judged(*row) for row in todo], args.all)


if __name__ == "__main__":
    sys.exit(main())
