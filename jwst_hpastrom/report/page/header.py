"""The head of the page: what field this is, how precise, what it was made from."""

import html
from datetime import UTC, datetime

import numpy as np

from jwst_hpastrom import __version__
from jwst_hpastrom.columns import row_epochs, values
from jwst_hpastrom.geometry import sky_middle
from jwst_hpastrom.instrument import nominal_scale
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.plot.drawing import bright_range, bright_rows

__all__ = ["facts", "facts_html", "precision"]


def _median_of_bright(table, *names):
    """Quadratic mean of columns, its median over the bright stars that have it."""
    mag = values(table, "mag")
    size = np.sqrt(np.mean([values(table, c) ** 2 for c in names], axis=0))
    known = np.isfinite(mag + size)
    low, high = bright_range(mag[known])
    inside = known & (mag >= low) & (mag <= high)
    return float(np.median(size[inside])) if inside.any() else np.nan


def pixel_scale(products):
    """Pixel scale of the detector in mas: measured, else nominal, else None."""
    for name, table in products.quality.items():
        if name.endswith("_scale_distortion_refine_quality.ecsv") and table.meta.get("pixel_scale"):
            return float(table.meta["pixel_scale"])
    metas = [s.meta for s in products.stars.values()]
    metas += [t.meta for t in (products.master,) if t is not None]
    scale = next((s for s in map(nominal_scale, metas) if s), None)
    return None if scale is None else 1e3 * scale


def precision(products):
    """Return sentences that say how precise positions and motions of the bright stars are.

    Parameters
    ----------
    products : `~jwst_hpastrom.io.products.Products`

    Returns
    -------
    list of str
    """
    out, scale = [], pixel_scale(products)
    master, single = products.master, np.nan
    if master is not None and {"x_rms", "y_rms"} <= set(master.colnames) and scale:
        # residuals about a mean of few are smaller than what a single position scatters
        single = _median_of_bright(master, "x_rms", "y_rms") / scale
        single *= float(master.meta.get("scale_mas") or 50.0)
    if not np.isfinite(single) and products.residuals is not None:
        r = products.residuals[bright_rows(products.residuals)]
        single = np.sqrt(0.5 * (robust_sigma(r["dx"]) ** 2 + robust_sigma(r["dy"]) ** 2))
    if np.isfinite(single):
        mas = f" = {single * scale:.2f} mas" if scale else ""
        out.append(f"single positions {single:.4f} pixel{mas} per axis (published: 0.01 pixel)")
    if master is not None and {"x_err", "y_err"} <= set(master.colnames):
        error = _median_of_bright(master, "x_err", "y_err")
        mas = error * float(master.meta.get("scale_mas") or 50.0)
        pixel = f" = {mas / scale:.4f} pixel" if scale else ""
        if np.isfinite(mas):
            out.append(f"mean positions {mas:.2f} mas{pixel} per axis")
    if products.motions is not None:
        error = _median_of_bright(products.motions, "pmra_error", "pmdec_error")
        years = products.motions.meta.get("baseline")
        over = f" over {years:.2f} yr" if years else ""
        if np.isfinite(error):
            out.append(f"motions {error:.4f} mas/yr per axis{over} (published: 0.013 mas/yr over 16 yr)")
    return out


def _span(epochs):
    epochs = np.asarray(epochs, float)
    epochs = epochs[np.isfinite(epochs)]
    if epochs.size == 0:
        return ""
    low, high = epochs.min(), epochs.max()
    return f"{low:.4f}" if high - low < 1e-3 else f"{low:.4f} to {high:.4f}"


def _epochs(products):
    if products.motions is not None and products.motions.meta.get("epochs") is not None:
        return _span(products.motions.meta["epochs"])
    found = [s.meta["epoch"] for s in products.stars.values() if s.meta.get("epoch")]
    tables = [t for t in (products.motions, products.master) if t is not None and len(t)]
    text = _span(found or (row_epochs(tables[0]) if tables else []))
    first = products.motions.meta.get("first_epoch") if products.motions is not None else None
    return f"{text}, first epoch {first:.4f}" if isinstance(first, float) else text


def _words(*items):
    """Different texts in their order."""
    return ", ".join(dict.fromkeys(str(i) for i in items if i))


def _inputs(products):
    lists, found = list(products.stars.values()), []
    found += [f"exposures {_words(*(s.meta.get('filename') for s in lists))}"] if lists else []
    for label, key in (("ePSF", "epsf_file"), ("distortion", "distortion_file")):
        if text := _words(*(s.meta.get(key) for s in lists)):
            found.append(f"{label} {text}")
    for table in (products.master, products.motions):
        for key in ("distortion", "reference_catalog", "catalog", "sky"):
            if table is not None and isinstance(value := table.meta.get(key), str):
                found.append(f"{key.replace('_', ' ')} {value}")
    return "; ".join(dict.fromkeys(found))


def _parameters(products):
    merged = {}
    for stars in products.stars.values():
        for key, value in (stars.meta.get("parameters") or {}).items():
            merged.setdefault(key, []).append(str(value))
    words = [f"{k}={'|'.join(dict.fromkeys(v))}" for k, v in sorted(merged.items())]
    meta = products.motions.meta if products.motions is not None else {}
    words += [f"{k}={meta[k]}" for k in ("transformation", "motions", "models", "seed") if k in meta]
    return " ".join(words)


def facts(products):
    """Return what the head of the page says, as (label, text); what is not known is left out.

    Parameters
    ----------
    products : `~jwst_hpastrom.io.products.Products`

    Returns
    -------
    list of (str, str)
    """
    tables = [t for t in (products.motions, products.master, *products.stars.values()) if t is not None]
    placed = next((t for t in tables if {"ra", "dec"} <= set(t.colnames) and len(t)), None)
    where = ""
    if placed is not None and np.isfinite(values(placed, "ra")).any():
        ra, dec = sky_middle(values(placed, "ra"), values(placed, "dec"))
        where = f"ra {ra:.5f}°, dec {dec:+.5f}°"
    metas = [t.meta for t in tables]
    cameras = {m.get("instrument"): m.get("detector") for m in metas if m.get("instrument")}
    cameras |= {m.get("instrument"): m["detector"] for m in metas if m.get("detector")}
    camera = _words(*(f"{name} {detector or ''}".strip() for name, detector in cameras.items()))
    counts = [f"{len(products.stars)} exposures"] if products.stars else []
    counts += [f"{len(products.master)} stars in the master frame"] if products.master is not None else []
    counts += [f"{len(products.motions)} motions"] if products.motions is not None else []
    versions = _words(*(m.get("version") for m in metas))
    rows = [
        ("Field", _words(products.name, where)),
        ("Camera, filters", _words(camera, *(m.get("filter") for m in metas))),
        ("Epochs", _epochs(products)),
        ("Number", ", ".join(counts)),
        ("Precision (bright stars)", "; ".join(precision(products))),
        ("Inputs", _inputs(products)),
        ("Parameters", _parameters(products)),
        ("Versions", f"made with jwst_hpastrom {versions or 'unknown'}, page by {__version__}"),
        ("Date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
    return [(label, text) for label, text in rows if text]


def facts_html(products):
    """Return the head of the page as an HTML table."""
    rows = (f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in facts(products))
    return f'<table class="facts">{"".join(rows)}</table>'
