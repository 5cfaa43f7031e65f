"""Do calibrations change in time (L23 §3.2, §4.6)? Changes from date to date, and a verdict."""

from itertools import pairwise

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.instrument import INSTRUMENTS

__all__ = ["calibration_changes", "calibration_table", "filter_average", "stability"]

#: errors beyond which a change is one
SIGNIFICANT = 3.0
#: nodes of a library that share stars and smoothing, and so noise
SHARED_NODES = 4.0
CHANGE = (
    "kind", "quantity", "unit", "from_epoch", "to_epoch", "from_field", "to_field", "change", "error",
    "significance", "verdict",
)  # fmt: skip


def calibration_table(calibrations):
    """One row a calibration: when, scale, skew, ePSF.

    Parameters
    ----------
    calibrations : sequence of `~jwst_hpastrom.io.calibrations.found.Calibration`

    Returns
    -------
    `~astropy.table.Table`
        field, kind, epoch, n_exposures; pixel_scale (mas per pixel), skew, stretch (1e-6) and errors;
        central_value of the library in the detector's middle; qfit of the exposures' bright stars. NaN where
        there is none.
    """
    rows = []
    for c in calibrations:
        meta = {} if c.scale is None else c.scale.meta
        n = next((len(t) for t in (c.scale, c.fits) if t is not None), 0)
        shear = [1e6 * float(meta.get(k, np.nan)) for k in ("skew", "skew_error", "stretch", "stretch_error")]
        middle = np.nan if c.library is None else float(c.library.central_value(*_middle(c.library)))
        qfit = np.nan if c.fits is None else float(np.nanmedian(values(c.fits, "qfit")))
        scale = [float(meta.get(k, np.nan)) for k in ("pixel_scale", "pixel_scale_error")]
        rows.append((c.name, c.kind, c.epoch, n, *scale, *shear, middle, qfit))
    names = ("field", "kind", "epoch", "n_exposures", "pixel_scale", "pixel_scale_error")
    names += ("skew", "skew_error", "stretch", "stretch_error", "central_value", "qfit")
    return Table(rows=rows, names=names)


def _middle(library):
    return 0.5 * (library.x[0] + library.x[-1]), 0.5 * (library.y[0] + library.y[-1])


def filter_average(summary):
    """Mean pixel scale of all filters; L23's 65.562 ± 0.003.

    Parameters
    ----------
    summary : `~astropy.table.Table`
        Of `~jwst_hpastrom.distortion.pixel_scale_history`, of one detector.

    Returns
    -------
    mean, error : float
        mas per pixel; the error is the filters' scatter over √n, that of the scale where there is one filter.
    """
    scale = np.asarray(summary["pixel_scale"], float)
    if scale.size == 1:
        return float(scale[0]), float(summary["pixel_scale_total_error"][0])
    return float(scale.mean()), float(scale.std(ddof=1) / np.sqrt(scale.size))


def calibration_changes(calibrations):
    """Changes of each filter's calibration from each date to the next.

    Parameters
    ----------
    calibrations : sequence of `~jwst_hpastrom.io.calibrations.found.Calibration`
        In the order of time.

    Returns
    -------
    `~astropy.table.Table`
        A row a filter, pair of dates and quantity: relative pixel scale, skew, stretch (1e-6), distortion
        (RMS per axis of the difference, a six-parameter transformation removed, pixels), central value of the
        ePSF (%), the wavefront error in nm that would make it (Maréchal: added in quadrature; negative for a
        sharper ePSF), QFIT of the bright stars; change, error, significance, and whether it is ``stable`` or
        ``changed``.
    """
    rows = []
    for kind in dict.fromkeys(c.kind for c in calibrations):
        for a, b in pairwise(c for c in calibrations if c.kind == kind):
            for quantity, unit, change, error in (*_scales(a, b), *_shapes(a, b), *_cores(a, b)):
                z = abs(change) / error if error > 0 else np.nan
                verdict = "unknown" if not np.isfinite(z) else "changed" if z > SIGNIFICANT else "stable"
                rows.append(
                    (kind, quantity, unit, a.epoch, b.epoch, a.name, b.name, change, error, z, verdict)
                )
    if not rows:
        return Table(names=CHANGE, dtype=[str] * 3 + [float] * 2 + [str] * 2 + [float] * 3 + [str])
    return Table(rows=rows, names=CHANGE)


def _scales(a, b):
    if a.scale is None or b.scale is None:
        return
    m, n = a.scale.meta, b.scale.meta
    mean = 0.5 * (m["pixel_scale"] + n["pixel_scale"])
    error = np.hypot(m["pixel_scale_error"], n["pixel_scale_error"])
    yield "pixel scale", "1e-6", 1e6 * (n["pixel_scale"] - m["pixel_scale"]) / mean, 1e6 * error / mean
    for name in ("skew", "stretch"):
        if name in m and name in n:
            error = np.hypot(m[f"{name}_error"], n[f"{name}_error"])
            yield name, "1e-6", 1e6 * (n[name] - m[name]), 1e6 * error


def _shapes(a, b, n_grid=48):
    """RMS difference of the corrections beyond what their stated errors explain."""
    if a.correction is None or b.correction is None or a.correction.shape != b.correction.shape:
        return
    ny, nx = a.correction.shape
    x, y = (v.ravel() for v in np.meshgrid(*[(np.arange(n_grid) + 0.5) * n / n_grid - 0.5 for n in (nx, ny)]))
    d = np.stack(b.correction.delta(x, y)) - np.stack(a.correction.delta(x, y))
    q, _ = np.linalg.qr(np.stack([np.ones(x.size), x / nx, y / ny], 1))
    d = d - (d @ q) @ q.T
    stated = [np.mean(np.square(c.correction.error(x, y))) for c in (a, b)]
    error = float(np.sqrt(np.sum(stated)))
    yield "distortion", "pix", float(np.sqrt(np.mean(d**2))), error if error > 0 else np.nan


def _cores(a, b):
    """Central value and QFIT."""
    found = _perturbed(a, b) or _libraries(a, b)
    if found is not None:
        relative, error = found
        yield "central value", "%", 100 * relative, 100 * error
        yield ("wavefront", "nm", *_wavefront(relative, error, a.filter, a.instrument or "NIRISS"))
    qfit = [values(c.fits, "qfit") if c.fits is not None else np.array([]) for c in (a, b)]
    if all(q.size > 1 for q in qfit):
        error = np.sqrt(np.sum([np.var(q, ddof=1) / q.size for q in qfit]))
        yield "QFIT", "", float(np.mean(qfit[1]) - np.mean(qfit[0])), float(error)


def _perturbed(a, b):
    """From one library perturbed to the exposures of both dates (L23 Fig. 7)."""
    tables = [c.fits for c in (a, b)]
    if any(t is None or "central_after" not in t.colnames or len(t) < 2 for t in tables):
        return None
    before, after = ([values(t, f"central_{w}") for t in tables] for w in ("before", "after"))
    if abs(np.mean(before[0]) / np.mean(before[1]) - 1) > 1e-6:  # another library each
        return None
    mean = [float(np.mean(v)) for v in after]
    error = np.sqrt(np.sum([np.var(v, ddof=1) / v.size / m**2 for v, m in zip(after, mean, strict=True)]))
    return mean[1] / mean[0] - 1, float(error)


def _libraries(a, b):
    """From the libraries themselves: the mean over the detector; its error is from the scatter about it."""
    if a.library is None or b.library is None:
        return None
    nodes = np.meshgrid(b.library.x, b.library.y)
    ratio = np.array([
        float(b.library.central_value(x, y)) / float(a.library.central_value(x, y)) - 1
        for x, y in zip(*(n.ravel() for n in nodes), strict=True)
    ])  # fmt: skip
    if ratio.size < 2 or not np.any(ratio):
        return None
    return float(ratio.mean()), float(ratio.std(ddof=1) / np.sqrt(max(ratio.size / SHARED_NODES, 1.0)))


def _wavefront(relative, error, name, instrument):
    """Wavefront error in nm whose loss of light from the core is the change (Maréchal)."""
    filters = INSTRUMENTS[instrument].filters if instrument in INSTRUMENTS else {}
    if name not in filters:
        return np.nan, np.nan
    per_nm = 2 * np.pi / (1e3 * filters[name].wavelength)
    loss = -np.log1p(relative)
    size = np.sqrt(abs(loss)) / per_nm
    # near nothing the root has no slope: the error is that of the variance
    error = min(error / (2 * max(size, 1e-9) * per_nm**2), np.sqrt(error) / per_nm)
    return float(np.copysign(size, loss)), float(error)


def stability(changes):
    """Sum the changes up in one line a filter.

    Parameters
    ----------
    changes : `~astropy.table.Table`
        Of `calibration_changes`.

    Returns
    -------
    list of str
    """
    lines = []
    for kind in dict.fromkeys(str(k) for k in changes["kind"]):
        rows = changes[np.asarray(changes["kind"]).astype(str) == kind]
        moved = rows[np.asarray(rows["verdict"]).astype(str) == "changed"]
        what = "; ".join(
            f"{r['quantity']} by {r['change']:.3g} ± {r['error']:.2g} {r['unit']} ({r['from_epoch']:.3f} to "
            f"{r['to_epoch']:.3f})" for r in moved
        )  # fmt: skip
        lines.append(f"{kind}: " + (f"changed: {what}" if what else "stable within 3 sigma"))
    return lines
