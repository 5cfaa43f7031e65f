"""What checks are made of, and all of them in a row."""

from dataclasses import dataclass, fields, replace
from typing import Any

from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.checks import catalogs as ca
from jwst_hpastrom.checks import epochs as ep
from jwst_hpastrom.checks import exposures as ex
from jwst_hpastrom.checks import frame as fr
from jwst_hpastrom.checks import motions as mo
from jwst_hpastrom.checks import repeats as re
from jwst_hpastrom.checks import scatter as sc
from jwst_hpastrom.checks.verdict import Check, sort_checks
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.frame import MasterFrame
from jwst_hpastrom.frame.diagnostics.exposures import add_diagnostics
from jwst_hpastrom.io.products import find_products
from jwst_hpastrom.motion import TwoEpochMotions
from jwst_hpastrom.motion.analysis.catalog_check import compare_with_catalog
from jwst_hpastrom.motion.many_epoch.epoch_table import EpochMotions
from jwst_hpastrom.tables import as_star_lists

__all__ = ["Evidence", "check_folder", "check_products", "check_results", "run_checks"]


@dataclass
class Evidence(Displayed):
    """Tables that a field's products hold; None where a Step was not run.

    Attributes
    ----------
    build, fit, distortion, exposures : `~astropy.table.Table` or None
        Quality tables of hp_epsf_build, hp_epsf_fit, hp_distortion_refine and hp_master_frame.

    detectors, master, motions : `~astropy.table.Table` or None
        The products of these names.

    epochs, references : `~astropy.table.Table` or None
        Of many epochs: each list against the motions, and the reference stars.

    choices : `~astropy.table.Table` or None
        What the pipeline chose.
    """

    build: Table | None = None
    fit: Table | None = None
    distortion: Table | None = None
    exposures: Table | None = None
    detectors: Table | None = None
    master: Table | None = None
    motions: Table | None = None
    epochs: Table | None = None
    references: Table | None = None
    choices: Table | None = None


#: columns that tables of an earlier version, or of another origin, may lack: they are not judged
NEEDED = {
    "build": (), "fit": ("filename", "qfit", "n_stars"), "distortion": ("stage",),
    "exposures": ("exposure", "n_found", "n_matched"), "detectors": ("dv2", "dv3", "dv2_error", "dv3_error"),
    "master": ("mag", "n_used"), "motions": ("pmra", "pmdec"),
    "epochs": ("list", "time_error", "share_used", "scatter_over_error"), "references": (),
    "choices": (),
}  # fmt: skip
#: the evidence, and the checks that are made of it
CHECKS = {
    "build": (ex.build_phase, ex.epsf_borrowed, ex.brighter_fatter, ex.hot_pixels),
    "fit": (ex.bright_qfit, ex.bright_chi2, ex.all_chi2, ex.sky_noise, ex.filled, ex.light_noise,
            ex.light_error, ex.wing_light, ex.lost_cores, ex.lost_peaks, ex.saturated, ex.charge,
            ex.star_counts),
    "distortion": (fr.held_out, fr.borrowed_cells, fr.repeatability),
    "exposures": (fr.dithers, fr.pointing, fr.matched_share, fr.overlap, fr.frame_phase, re.used_share,
                  re.exposure_scatter, re.bright_stars, re.list_rows, re.doubles, re.exposure_errors,
                  re.twice, re.orientation, re.mirrored, re.exposure_epochs, re.rounding, re.zero_points),
    "detectors": (fr.place_errors, fr.place_changes),
    "master": (sc.list_errors, sc.bright_scatter),
    "motions": (
        mo.slope, mo.turn, mo.crossed, mo.correlation, mo.pull, mo.catalog_errors, mo.catalog_scatter,
        mo.own_scatter, mo.pattern, mo.linear, mo.clumps, mo.apart, mo.catalog_outliers, ca.no_motions,
        ca.catalog_twice, ca.magnitudes, ca.stated_errors, ca.roundings, ca.unknown, mo.magnitude_trend,
        mo.chi2_loo, mo.frame_bias, mo.unchecked,
    ),
    "epochs": (ep.list_times, ep.list_use, ep.list_parts, ep.list_errors),
    "references": (ep.all_times, ep.reference_columns, ep.reference_axes, ep.reference_units,
                   ep.reference_share, ep.reference_pulls),
    "choices": (fr.untied,),
}  # fmt: skip
QUALITY = {
    "build": "epsf_build", "fit": "epsf_fit", "distortion": "distortion_refine", "exposures": "master_frame",
    "epochs": "proper_motion_epochs", "references": "proper_motion",
    "choices": "choices",
}  # fmt: skip


def run_checks(evidence: Evidence) -> list[Check]:
    """Make all checks that the evidence allows.

    Parameters
    ----------
    evidence : `Evidence`

    Returns
    -------
    list of `~jwst_hpastrom.checks.Check`
        The bad ones first, of those the one that sees its cause most directly.

    Examples
    --------
    >>> from jwst_hpastrom.checks import Evidence, overall, run_checks
    >>> overall(run_checks(Evidence()))
    'ok'
    """
    out = []
    for item in fields(evidence):
        table = getattr(evidence, item.name)
        if table is None or len(table) == 0 or not set(NEEDED[item.name]) <= set(table.colnames):
            continue
        for check in CHECKS[item.name]:
            out += [c for c in check(table) if c is not None]
    return sort_checks(out)


def check_results(*results: Any, lists: list[Table] | None = None) -> list[Check]:
    """Check what functions returned, as the Steps check their products.

    Parameters
    ----------
    *results : `~jwst_hpastrom.frame.MasterFrame`, `~jwst_hpastrom.motion.TwoEpochMotions` or EpochMotions
        Of `~jwst_hpastrom.frame.build_master`, `~jwst_hpastrom.motion.two_epoch_motions` and
        `~jwst_hpastrom.motion.fit_epochs`.

    lists : list of `~astropy.table.Table`, optional
        The star lists that a frame was built from: its exposures are judged, too.

    Returns
    -------
    list of `~jwst_hpastrom.checks.Check`

    Raises
    ------
    ParameterError
        Another result, lists without their frame, or others than its own.

    Examples
    --------
    ::

        for check in condense(check_results(frame, motions, lists=lists)):
            print(check)
    """
    found: dict[str, Table] = {}
    for result in results:
        if isinstance(result, MasterFrame):
            found["master"] = result.table
            if lists is not None:
                lists = as_star_lists(lists)
                if len(lists) != len(result.exposures):
                    needed = f"the {len(result.exposures)} lists that the frame was built from"
                    raise ParameterError(f"{len(lists)} star lists", needed)
                found["exposures"] = add_diagnostics(result.exposures, result, lists)
        elif isinstance(result, TwoEpochMotions):
            motions = found["motions"] = result.table.copy()
            motions.meta["against_catalog"] = compare_with_catalog(motions, *result.given)
        elif isinstance(result, EpochMotions):
            found |= {"motions": result.table, "epochs": result.epoch_quality()}
            found["references"] = result.timed_references()
        else:
            raise ParameterError(
                f"a {type(result).__name__}", "what build_master, two_epoch_motions or fit_epochs return"
            )
    if lists is not None and "exposures" not in found:
        raise ParameterError("lists without a frame", "the MasterFrame that was built from them")
    return run_checks(Evidence(**found))


def check_products(products: Any) -> list[Check]:
    """Check what was read from a folder, and what each detector and filter of several has of its own.

    Parameters
    ----------
    products : `~jwst_hpastrom.io.products.Products`

    Returns
    -------
    list of `~jwst_hpastrom.checks.Check`
    """
    whole = Evidence(
        **_tables(products, products.name), detectors=products.detectors, master=products.master,
        motions=products.motions,
    )  # fmt: skip
    found = run_checks(whole)
    for name in _groups(products):
        about = name.removeprefix(f"{products.name}_").replace("_", " ").upper()
        own = run_checks(Evidence(**_tables(products, name)))
        found += [replace(c, about=c.about or about) for c in own]
    return sort_checks(found)


def _tables(products, name):
    return {k: products.quality.get(f"{name}_{v}_quality.ecsv") for k, v in QUALITY.items()}


def _groups(products):
    """Products of single detectors and filters that a run of several has, with associations of their own."""
    known = (p.name.removesuffix("_asn.json") for p in products.folder.glob(f"{products.name}_*_asn.json"))
    return sorted(n for n in known if any(t is not None for t in _tables(products, n).values()))


def check_folder(folder: Any, name: str | None = None) -> list[Check]:
    """Check the products in a folder.

    Parameters
    ----------
    folder : path-like

    name : str, optional
        Product name; by default that of the furthest product there.

    Returns
    -------
    list of `~jwst_hpastrom.checks.Check`

    Raises
    ------
    BadFileError
        No folder, or nothing in it.
    """
    return check_products(find_products(folder, name, tables_only=True))
