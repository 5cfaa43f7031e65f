"""What a run did, in ten lines: numbers with units and errors, products, verdict, what to do next."""

import numpy as np

from jwst_hpastrom.checks import check_products, overall
from jwst_hpastrom.columns import values
from jwst_hpastrom.io.products import find_products
from jwst_hpastrom.report.page.header import precision

__all__ = ["ending", "story"]

PRODUCTS = ("epsf.fits", "epsf.asdf", "distortion.asdf", "stdgdc.fits", "gdc.fits", "master.ecsv", "pm.ecsv")


def _quality(products, step):
    return products.quality.get(f"{products.name}_{step}_quality.ecsv")


def _range(numbers, form):
    numbers = np.asarray(numbers, float)
    low, high = (format(v, form) for v in (np.nanmin(numbers), np.nanmax(numbers)))
    return low if low == high else f"{low} to {high}"


def _epsf(table):
    last = table[-1]
    text = f"{last['grid']} x {last['grid']} ePSFs from {last['n_stars']} measurements"
    phase = [abs(float(last[c])) for c in ("x_phase", "y_phase") if c in table.colnames]
    return text + (f", pixel-phase errors {max(phase):.4f} pixel" if phase else "")


def _lists(table):
    stars = _range(table["n_stars"], ".0f")
    return f"{len(table)} exposures, {stars} stars each, median QFIT {_range(table['qfit'], '.4f')}"


def _distortion(table):
    if "stage" not in table.colnames:  # few stars refined what was given
        meta = table.meta
        return (
            f"{meta.get('refined')}, refined by {meta.get('stars')} reference stars to degree "
            f"{meta.get('degree')}; stated error {meta.get('stated_error_px') or np.nan:.4f} pixel"
        )
    rms = [f"{row['stage']} {np.hypot(row['rms_x'], row['rms_y']) / np.sqrt(2):.4f}" for row in table]
    return f"residuals of held-out stars, pixel per axis: {', '.join(rms)}"


def _frame(products):
    master = products.master
    n = values(master, "n_used")
    text = f"{len(master)} stars, {_range(n, '.0f')} exposures each" if np.isfinite(n).any() else ""
    if tie := master.meta.get("tie_rms_mas"):
        text += f", tied to {master.meta.get('n_tie')} reference stars, RMS {tie:.2f} mas"
    return text or f"{len(master)} stars"


def _motions(products):
    meta = products.motions.meta
    text = f"{len(products.motions)} stars"
    if meta.get("n_reference") is not None:
        text += f", {meta['n_reference']} reference stars"
    zero = [meta.get(f"zero_point_{c}") for c in ("pmra", "pmra_error", "pmdec", "pmdec_error")]
    if None not in zero and np.isfinite(zero).all():
        text += ", zero point ({:.4f} ± {:.4f}, {:.4f} ± {:.4f}) mas/yr".format(*zero)
    return text


def story(folder, name=None):
    """Return what was measured, a line a Step.

    Parameters
    ----------
    folder : path-like
        With products.

    name : str, optional
        Product name.

    Returns
    -------
    list of str
    """
    products = find_products(folder, name, tables_only=True)
    lines = []
    for label, step, tell in (
        ("ePSF", "epsf_build", _epsf), ("star lists", "epsf_fit", _lists),
        ("distortion", "distortion_refine", _distortion),
    ):  # fmt: skip
        table = _quality(products, step)
        if table is not None and len(table):
            lines.append(f"{label}: {tell(table)}")
    scale = products.quality.get(f"{products.name}_scale_distortion_refine_quality.ecsv")
    if scale is not None and scale.meta.get("pixel_scale"):
        error = scale.meta.get("pixel_scale_error") or np.nan
        lines.append(f"pixel scale: {scale.meta['pixel_scale']:.4f} ± {error:.4f} mas")
    if products.master is not None and len(products.master):
        lines.append(f"master frame: {_frame(products)}")
    if products.motions is not None:
        lines.append(f"motions: {_motions(products)}")
    return lines


def ending(folder, name=None, page=None):
    """Return products, precision, verdict and the next command.

    Parameters
    ----------
    folder : path-like
        With products.

    name : str, optional
        Product name.

    page : path-like, optional
        The report, where there is one.

    Returns
    -------
    list of str
    """
    products = find_products(folder, name, tables_only=True)
    made = [n for n in PRODUCTS if (products.folder / f"{products.name}_{n}").exists()]
    lines = [f"products: {products.folder / products.name}_({' '.join(made)})"]
    if words := precision(products):
        lines.append(f"precision of the bright stars: {'; '.join(words)}")
    checks = check_products(products)
    verdict = overall(checks)
    bad = next((c for c in checks if c.verdict != "ok"), None)
    cause = f"; first: {bad.name}, likely {bad.causes[0]}" if bad is not None and bad.causes else ""
    lines.append(f"verdict: {verdict.upper()}, {len(checks)} checks{cause}")
    following = f"hpastrom check {folder}" if verdict != "ok" else f"open {page}" if page else ""
    lines.append(f"next: {following or f'hpastrom report {folder}'}")
    return lines
