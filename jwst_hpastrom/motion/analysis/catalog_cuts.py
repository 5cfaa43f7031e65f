"""Which stars are good enough to be published or used as reference (H25 §4.1.1)."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.configuration import Configuration, configuration, configured, parameter

__all__ = ["CatalogCuts", "apply_quality_cuts", "cut_table", "quality_cuts"]


@configuration
class CatalogCuts(Configuration):
    """Which motions are good enough for a catalog (H25 §4.1.1)."""

    min_epochs: int = parameter(default=4, kind="int", text="Fewest epochs.")
    max_chi2_loo: float = parameter(
        default=5.0, kind="float", text="Largest leave-one-out chi-square, either axis."
    )
    min_position_error: float = parameter(
        default=0.01, kind="float", text="Smallest error of a position, mas: a smaller one is a failed fit's."
    )
    max_position_error: float = parameter(
        default=10.0, kind="float", text="Largest error of a position, mas."
    )
    min_motion_error: float = parameter(
        default=0.01,
        kind="float",
        text="Smallest error of a motion, mas/yr: a smaller one is a failed fit's.",
    )
    max_motion_error: float = parameter(default=2.0, kind="float", text="Largest error of a motion, mas/yr.")
    max_motion: float = parameter(default=15.0, kind="float", text="Largest motion, mas/yr.")
    max_mag: float = parameter(default=20.5, kind="float", text="Faintest magnitude; stars without one pass.")


@configured(CatalogCuts)
def quality_cuts(table: Table, *, config) -> dict[str, np.ndarray]:
    """Which stars fail which of the catalog cuts of H25.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`. Motions of two epochs have no ``n_epochs`` and
        ``chi2_loo_*``, and those cuts are not made.

    {options}

    Returns
    -------
    dict of str to ndarray of bool
        By the cut's name and limit: the stars that fail it, those without the value among them.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.motion import quality_cuts
    >>> table = Table({"mag": [18.0, 21.0], "pmra": [1.0, 1.0], "pmdec": [1.0, 1.0]})
    >>> table["pmra_error"] = table["pmdec_error"] = 0.1
    >>> table["ra_error"] = table["dec_error"] = 0.1
    >>> {name: failed.tolist() for name, failed in quality_cuts(table).items() if failed.any()}
    {'mag < 20.5': [False, True]}
    """
    failed = {}
    if "n_epochs" in table.colnames:
        failed[f"n_epochs >= {config.min_epochs}"] = ~(values(table, "n_epochs") >= config.min_epochs)
    with np.errstate(invalid="ignore"):
        if "chi2_loo_ra" in table.colnames:
            chi2 = _either(table, "chi2_loo_ra", "chi2_loo_dec")
            failed[f"chi2_loo < {config.max_chi2_loo:g}"] = ~(chi2 < config.max_chi2_loo).all(0)
        for kind, name, unit, low, high in (
            ("", "position", "mas", config.min_position_error, config.max_position_error),
            ("pm", "motion", "mas/yr", config.min_motion_error, config.max_motion_error),
        ):
            error = _either(table, f"{kind}ra_error", f"{kind}dec_error")
            failed[f"{name} error < {high:g} {unit}"] = ~(error < high).all(0)
            failed[f"{name} error > {low:g} {unit}"] = (error <= low).any(0)
        speed = np.hypot(values(table, "pmra"), values(table, "pmdec"))
        failed[f"motion < {config.max_motion:g} mas/yr"] = ~(speed < config.max_motion)
        failed[f"mag < {config.max_mag:g}"] = values(table, "mag") >= config.max_mag
    return failed


def _either(table, *names):
    return np.stack([values(table, n) for n in names])


def apply_quality_cuts(table: Table, **limits: Any) -> np.ndarray:
    """Flag stars that fail the catalog cuts as ``QUALITY_CUT``.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`; its ``flags`` are changed.

    **limits
        Of `quality_cuts`.

    Returns
    -------
    ndarray of bool
        Stars that pass.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.motion import apply_quality_cuts
    >>> table = Table({"mag": [17.0, 19.0], "pmra": [1.0, 1.0], "pmdec": [1.0, 1.0]})
    >>> table["pmra_error"] = table["pmdec_error"] = 0.1
    >>> table["ra_error"] = table["dec_error"] = 0.1
    >>> apply_quality_cuts(table, max_mag=18.0)
    array([ True, False])
    """
    keep = ~np.any(list(quality_cuts(table, **limits).values()), axis=0)
    flags = np.zeros(len(table), np.int64)
    if "flags" in table.colnames:
        flags = np.asarray(table["flags"], np.int64)
    table["flags"] = np.where(keep, flags & ~int(Flag.QUALITY_CUT), flags | int(Flag.QUALITY_CUT))
    return keep


def cut_table(failed):
    """How many stars each cut takes.

    Parameters
    ----------
    failed : dict of str to ndarray of bool
        Of `quality_cuts`.

    Returns
    -------
    `~astropy.table.Table`
        cut, n_failed, n_failed_alone (by this cut and no other); in the metadata n_stars and n_passed.
    """
    together = np.sum(list(failed.values()), axis=0)
    rows = [(name, int(bad.sum()), int((bad & (together == 1)).sum())) for name, bad in failed.items()]
    meta = {"n_stars": int(together.size), "n_passed": int((together == 0).sum())}
    return Table(rows=rows, names=("cut", "n_failed", "n_failed_alone"), meta=meta)
