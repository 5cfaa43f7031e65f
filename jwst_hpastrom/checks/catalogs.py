"""Checks of a first epoch's catalog by its columns alone: units, what it has twice, what it lacks."""

import numpy as np

from jwst_hpastrom.checks.verdict import judge

__all__ = [
    "against_catalog",
    "axes_ratios",
    "catalog_twice",
    "magnitudes",
    "no_motions",
    "roundings",
    "stated_errors",
    "unknown",
]

MOTION = "hp_proper_motion"
UNITS = "errors of the catalog in other units: arcsec or degrees as mas, or the reverse"
#: medians of stated errors that catalogs have (mas, mas/yr): the best of Gaia and VLBI to photographic plates
USUAL = {"position_error_mas": (0.005, 500.0), "motion_error_mas_yr": (0.001, 100.0)}
#: factor beyond these that no instrument makes
FAR = 2.0
#: ratios of errors along the axes of the sky that catalogs have over a field, and that only other units make
AXES, FAR_AXES = (0.45, 2.2), (0.2, 5.0)
FLUXES = "fluxes, or magnitudes with another sign, as the catalog's magnitudes"
#: stars from which on a missing correlation of magnitudes is no chance
ENOUGH = 3.0


def against_catalog(motions):
    """Numbers of the comparison with the catalog, by name."""
    return motions.meta.get("against_catalog") or {}


def stated_errors(motions):
    """Median errors that the catalog states, mas and mas/yr."""
    found = against_catalog(motions)
    for name, what in (("position_error_mas", "positions, mas"), ("motion_error_mas_yr", "motions, mas/yr")):
        low, high = USUAL[name]
        yield judge(
            MOTION, f"median error that the catalog states of its {what}", found.get(name, np.nan),
            (low, high), (low / FAR, high * FAR), rank=2 if name.startswith("position") else 5,
            causes=(UNITS,),
            remedy="give the columns their units, or convert them to mas and mas/yr",
        )  # fmt: skip
    yield from axes_ratios(found, "catalog")


def axes_ratios(found, of):
    """Median errors along right ascension that a catalog states, over those along declination.

    Parameters
    ----------
    found : mapping
        With position_errors_ratio and motion_errors_ratio, where known.

    of : str
        What to call the catalog.
    """
    for what in ("position", "motion"):
        value = found.get(f"{what}_errors_ratio", np.nan)
        yield judge(
            MOTION, f"errors of the {of}'s {what}s along right ascension over those along declination",
            value, AXES, FAR_AXES, rank=6,
            causes=(f"errors of the {of}'s {what}s in another unit along one axis, or without cos(dec)",),
            remedy="give both in mas or mas/yr on the sky: that of ra with the factor cos(dec)",
        )  # fmt: skip


def roundings(motions):
    """Errors that the catalog's rounded numbers make, over those that it states."""
    found = against_catalog(motions)
    for what in ("positions", "motions"):
        yield judge(
            MOTION, f"rounding of the catalog's {what} over their stated errors",
            found.get(f"{what[:-1]}_rounding", np.nan), (None, 0.5), (None, 1.0), rank=1,
            causes=(f"{what} of the catalog with too few digits",),
            remedy="write ra and dec with 9 digits after the point, motions with 3, or more",
        )  # fmt: skip


def unknown(motions):
    """Shares of the catalog's rows with errors of their positions, and with motions; where it has columns."""
    found = against_catalog(motions)
    yield judge(
        MOTION, "share of the catalog's rows that state errors of their positions",
        found.get("with_errors", np.nan), (0.1, None), (None, None), rank=28,
        causes=("columns of errors without positive values: the scatter of the stars stands in",),
        remedy="give ra_error and dec_error, mas",
    )  # fmt: skip
    yield judge(
        MOTION, "share of the catalog's rows with motions, where it has columns of them",
        found.get("with_motions", np.nan), (0.1, None), (0.0 if found.get("with_motions") else 0.01, None),
        rank=2, causes=("columns pmra and pmdec without values: the motions measured are relative",),
        remedy="fill the columns, or leave them out",
    )  # fmt: skip


def no_motions(motions):
    """Share of the catalog's motions that are one and the same: zeros that stand for unknown ones."""
    yield judge(
        MOTION, "share of the catalog's motions that are one and the same",
        against_catalog(motions).get("alike", np.nan), (None, 0.1), (None, 0.5), rank=2,
        causes=("a catalog whose motions are all zero, or one constant",),
        remedy="leave the columns of motions out: relative motions are measured then",
    )  # fmt: skip


def catalog_twice(motions):
    """Share of the catalog's rows that lie where another one does."""
    yield judge(
        MOTION, "share of the catalog's rows at the place of another",
        against_catalog(motions).get("twice", np.nan), (None, 0.01), (None, 0.1), rank=2,
        causes=("stars that the catalog has twice",), remedy="take each star once",
    )  # fmt: skip


def magnitudes(motions):
    """Correlation of the ranks of the catalog's and the exposures' magnitudes."""
    found = against_catalog(motions)
    value = found.get("mag_correlation", np.nan)
    chance = ENOUGH / np.sqrt(found.get("n_mag", 1))
    other = "magnitudes of other stars: a column that was sorted or shuffled"
    yield judge(
        MOTION, "correlation with the catalog's magnitudes", value, (0.4, None),
        (max(0.3 - chance, 0.0), None), rank=7, causes=(FLUXES, other) if value < -0.3 else (other, FLUXES),
        remedy="give magnitudes; motions do not need them, selections by magnitude and close pairs do",
    )  # fmt: skip
