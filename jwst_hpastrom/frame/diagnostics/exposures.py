"""What a master frame tells of its exposures: pointing, pixel phase, errors."""

import numpy as np

from jwst_hpastrom.columns import epoch_of, values
from jwst_hpastrom.frame.diagnostics.footprints import correction_error, middles, overlaps, parities
from jwst_hpastrom.frame.diagnostics.lists import (
    bright_residuals,
    double_shares,
    error_ranges,
    twice_shares,
)
from jwst_hpastrom.frame.diagnostics.repeats import error_factors, pair_ratios
from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.numerics import robust_sigma

__all__ = ["add_diagnostics"]

#: fewest stars of an exposure to judge it by
LEAST = 50
#: pixels that positions may have been rounded to
STEPS = (1.0, 0.5, 0.1, 0.05, 0.01)


def add_diagnostics(exposures, frame, star_lists):
    """Add columns on pointing, pixel phase and errors to the table of exposures, in place.

    Parameters
    ----------
    exposures : `~astropy.table.Table`
        ``frame.exposures``.

    frame : `~jwst_hpastrom.frame.MasterFrame`

    star_lists : sequence of `~astropy.table.Table`
        What it was built from, in the same order.

    Returns
    -------
    `~astropy.table.Table`
        The same, with ``epoch``, ``rounding_pix`` (step of the list's positions, 0 for none that matters),
        ``twice_share`` (rows at the pixels of another), ``double_share`` (stars with a second image),
        ``error_range`` (large over small stated errors), ``bright_residual_pix`` (scatter of its bright stars
        about the frame), ``ra dec`` (deg, where its middle looks), ``pointing_xi_arcsec``,
        ``pointing_eta_arcsec`` and ``pointing_arcsec`` (frame minus WCS), ``pointing_rotation_deg`` and
        ``pointing_scale`` (frame over WCS), ``phase_pix`` and ``phase_error_pix`` (amplitude of the
        residuals' first harmonic over the pixel, the larger of the two axes, detector pixels);
        ``error_factor``, by which the differences from the other exposures exceed faint stars' errors, and
        ``alike``, the scatter over errors of the pair of exposures that agrees best; ``overlap``, the share
        of its stars that enough exposures look at for the frame; ``parity``, -1 for one that is mirrored;
        ``correction_error_pix``, the distortion correction's stated error. NaN where unknown.
    """
    names = ("pointing_xi_arcsec", "pointing_eta_arcsec", "pointing_arcsec",
             "pointing_rotation_deg", "pointing_scale", "phase_pix", "phase_error_pix")  # fmt: skip
    exposures["epoch"] = [epoch_of(t) for t in star_lists]
    exposures["rounding_pix"] = [_rounding(stars) for stars in star_lists]
    exposures["twice_share"], exposures["error_range"] = twice_shares(star_lists), error_ranges(star_lists)
    exposures["double_share"] = double_shares(star_lists)
    exposures["bright_residual_pix"] = bright_residuals(frame, len(star_lists))
    exposures["error_factor"], exposures["alike"] = error_factors(*pair_ratios(frame, star_lists))
    exposures["ra"], exposures["dec"] = middles(frame, star_lists)
    exposures["overlap"] = overlaps(frame, star_lists, int(frame.table.meta.get("min_exposures", 2)))
    exposures["parity"] = parities(frame.transforms)
    exposures["correction_error_pix"] = [
        correction_error(c, stars) for c, stars in zip(frame.corrections, star_lists, strict=True)
    ]
    bounds = np.searchsorted(frame.measurements["exposure"], np.arange(len(star_lists) + 1))
    rows = [_exposure(frame, stars, k, slice(*bounds[k : k + 2])) for k, stars in enumerate(star_lists)]
    for name, column in zip(names, np.array(rows).T, strict=True):
        exposures[name] = column
    return exposures


def _rounding(stars):
    """Largest step that all positions of a list are multiples of."""
    x = np.r_[values(stars, "x"), values(stars, "y")]
    x = x[np.isfinite(x)]
    steps = (s for s in STEPS if x.size > LEAST and np.all(np.abs(x / s - np.round(x / s)) < 1e-6))
    return next(steps, 0.0)


def _exposure(frame, stars, k, rows):
    m, master = frame.measurements, frame.table
    mine = rows.start + np.flatnonzero(m["used"][rows])
    row, star = np.asarray(m["row"])[mine], np.asarray(m["star"])[mine]
    ra, dec = values(stars, "ra")[row], values(stars, "dec")[row]
    seen = np.isfinite(ra + dec)
    out = [np.nan] * 5
    if seen.any() and "xi" in master.colnames:
        xi, eta = frame.plane.from_sky(ra[seen], dec[seen])
        shift = [
            float(np.median(values(master, c)[star[seen]] - own)) for c, own in (("xi", xi), ("eta", eta))
        ]
        turn = [np.nan] * 2
        if seen.sum() >= 10:
            place = (values(master, c)[star[seen]] for c in ("xi", "eta"))
            t = fit_linear(xi, eta, *place, parameters=4).transform
            turn = [t.rotation, t.scale]
        out = [*shift, float(np.hypot(*shift)), *turn]
    return [*out, *_phase(frame, stars, k, mine, row)]


def _phase(frame, stars, k, mine, row):
    m, turn = frame.measurements, np.linalg.inv(frame.transforms[k].matrix)
    n = np.asarray(frame.table["n_used"])[np.asarray(m["star"])[mine]]
    good = (n >= 3) & ~(values(stars, "qfit")[row] > 0.2)
    if good.sum() < LEAST:
        return np.nan, np.nan
    d = turn @ np.stack([values(m, c)[mine][good] for c in ("dx", "dy")])
    d = d * np.sqrt(n[good] / (n[good] - 1.0))  # the mean has its share of each
    best = (0.0, np.nan)
    for value, name in zip(d, "xy", strict=True):
        angle = 2 * np.pi * values(stars, name)[row][good]
        design = np.stack([np.ones_like(angle), np.sin(angle), np.cos(angle)], 1)
        keep = np.abs(value - np.median(value)) <= 4 * robust_sigma(value)
        c, *_ = np.linalg.lstsq(design[keep], value[keep], rcond=None)
        left = value[keep] - design[keep] @ c
        found = float(np.hypot(*c[1:])), float(left.std() * np.sqrt(2 / keep.sum()))
        best = max(best, found)
    return best
