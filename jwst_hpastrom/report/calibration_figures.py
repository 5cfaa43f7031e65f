"""Figures of calibrations side by side (L23 Fig. 7, 8, 17-19)."""

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.distortion import average_corrections
from jwst_hpastrom.errors import MixedExposuresError
from jwst_hpastrom.plot.drawing import new_figure
from jwst_hpastrom.report.distortion_figures import filter_maps, scale_history

__all__ = ["central_values", "filter_solutions", "qfit_by_exposure", "shear_history", "study_contents"]


def _kinds(calibrations):
    return list(dict.fromkeys(c.kind for c in calibrations))


def _days(calibrations):
    """First epoch, to count days from."""
    known = [c.epoch for c in calibrations if np.isfinite(c.epoch)]
    return np.floor(min(known) * 100) / 100 if known else 0.0


def central_values(calibrations):
    """Central value of the ePSF against time, over each filter's median; L23 Fig. 7.

    Parameters
    ----------
    calibrations : sequence of `~jwst_hpastrom.io.calibrations.found.Calibration`
        Exposures where they have perturbed ePSFs, else libraries.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(7, 4)
    axis, start = axes[0][0], _days(calibrations)
    for n, kind in enumerate(_kinds(calibrations)):
        epochs, value = [], []
        for c in calibrations:
            if c.kind != kind:
                continue
            if c.fits is not None and "central_after" in c.fits.colnames:
                epochs += list(values(c.fits, "epoch"))
                value += list(values(c.fits, "central_after"))
            elif c.library is not None:
                middle = (0.5 * (c.library.x[0] + c.library.x[-1]), 0.5 * (c.library.y[0] + c.library.y[-1]))
                epochs.append(c.epoch)
                value.append(float(c.library.central_value(*middle)))
        if value:
            level = np.nanmedian(value)
            days = (np.array(epochs) - start) * 365.25
            axis.plot(
                days, 100 * (np.array(value) / level - 1), "o", color=f"C{n}", label=f"{kind}: {level:.4f}"
            )
    axis.axhline(0, color="0.5", ls="--", lw=1)
    axis.set_xlabel(f"days since {start:.2f}")
    axis.set_ylabel("central value over its median − 1 (%)")
    axis.legend(fontsize=8)
    return figure


def qfit_by_exposure(calibrations):
    """Median QFIT of the exposures, with the library and with perturbed ePSFs; as L23 Fig. 8.

    Parameters
    ----------
    calibrations : sequence of `~jwst_hpastrom.io.calibrations.found.Calibration`

    Returns
    -------
    `~matplotlib.figure.Figure` or None
    """
    chosen = [c for c in calibrations if c.fits is not None]
    if not chosen:
        return None
    figure, axes = new_figure(7, 4)
    axis, start = axes[0][0], _days(calibrations)
    for n, kind in enumerate(_kinds(chosen)):
        tables = [c.fits for c in chosen if c.kind == kind]
        for column, mark, label in (
            ("qfit_before", "x", "library"),
            ("qfit_after", "o", "perturbed"),
            ("qfit", "s", ""),
        ):
            known = [t for t in tables if column in t.colnames and (label or "qfit_after" not in t.colnames)]
            if known:
                days = np.concatenate([(values(t, "epoch") - start) * 365.25 for t in known])
                value = np.concatenate([values(t, column) for t in known])
                axis.plot(days, value, mark, color=f"C{n}", ms=4, label=f"{kind} {label}".strip())
    axis.set_xlabel(f"days since {start:.2f}")
    axis.set_ylabel("median QFIT of the bright stars")
    axis.legend(fontsize=8)
    return figure


def shear_history(tables, labels):
    """Skew and stretch of the exposures against time.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`
        Of `~jwst_hpastrom.distortion.pixel_scale`.

    labels : sequence of str

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    figure, axes = new_figure(11, 4.2, 1, 2, sharex=True)
    for axis, name in zip(axes[0], ("skew", "stretch"), strict=True):
        for n, label in enumerate(dict.fromkeys(labels)):
            parts = [t for t, k in zip(tables, labels, strict=True) if k == label and name in t.colnames]
            if not parts:
                continue
            epoch, value, error = (
                np.concatenate([values(t, c) for t in parts]) for c in ("epoch", name, "shear_error")
            )
            mean = np.average(value, weights=error**-2.0)
            days = (epoch - np.floor(epoch.min() * 100) / 100) * 365.25
            axis.errorbar(days, 1e6 * (value - mean), 1e6 * error, fmt="o", color=f"C{n}", ms=4, label=label)
        axis.axhline(0, color="k", lw=1)
        axis.set_ylabel(f"{name} − the filter's mean (1e-6)")
        axis.set_xlabel("days")
    axes[0][0].legend(fontsize=8)
    return figure


def filter_solutions(calibrations):
    """Each filter's distortion, averaged over dates where the solutions have the same parts.

    Parameters
    ----------
    calibrations : sequence of `~jwst_hpastrom.io.calibrations.found.Calibration`
        Of one detector.

    Returns
    -------
    dict of str to `~jwst_hpastrom.distortion.DistortionCorrection`
        The first date's where they do not fit each other.
    """
    by_filter = {}
    for c in calibrations:
        if c.correction is not None:
            by_filter.setdefault(c.filter, []).append(c.correction)
    out = {}
    for name, found in by_filter.items():
        try:
            out[name] = average_corrections(found) if len(found) > 1 else found[0]
        except (MixedExposuresError, AttributeError):
            out[name] = found[0]
    return out


def study_contents(calibrations, tables, lines):
    """Text, tables and figures of a comparison of calibrations.

    Parameters
    ----------
    calibrations : sequence of `~jwst_hpastrom.io.calibrations.found.Calibration`

    tables : dict of str to `~astropy.table.Table`
        ``fields``, ``changes``, and what there is of ``scales``, ``filters``.

    lines : list of str
        Verdicts.

    Returns
    -------
    list of (str, list)
        Sections of a page.
    """
    first = [*lines, tables["fields"]]
    if len(tables["changes"]):
        first += ["Changes from date to date:", tables["changes"]]
    found = [("Stability", first)]
    chosen = [c for c in calibrations if c.scale is not None]
    if chosen:
        figure, _ = scale_history([c.scale for c in chosen])
        scales = [tables["scales"], (figure, "pixel scale against time (L23 Fig. 18, 19)")]
        shears = shear_history([c.scale for c in chosen], [c.kind for c in chosen])
        found.append(("Pixel scale (L23 Table 1)", [*scales, (shears, "skew and stretch against time")]))
    if any(c.library is not None for c in calibrations):
        contents = [(central_values(calibrations), "ePSF against time (L23 Fig. 7)")]
        if (figure := qfit_by_exposure(calibrations)) is not None:
            contents.append((figure, "QFIT against time (L23 Fig. 8)"))
        found.append(("Effective PSF", contents))
    for detector in dict.fromkeys(c.detector for c in calibrations):
        solutions = filter_solutions([c for c in calibrations if c.detector == detector])
        if len(solutions) > 1:
            figure, table = filter_maps(solutions)
            found.append(
                (
                    f"Filters {detector}".strip(),
                    [(figure, "each filter minus the average of all (L23 Fig. 17)"), table],
                )
            )
    return found
