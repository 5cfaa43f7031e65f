"""What a master frame tells of its exposures: pointing and pixel phase."""

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.geometry import sky_middle

__all__ = ["add_diagnostics"]

#: fewest stars of an exposure to judge it by
LEAST = 50


def add_diagnostics(exposures, frame, star_lists):
    """Add columns on pointing and pixel phase to the table of exposures, in place.

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
        The same, with ``ra dec`` (deg, median of the stars), ``pointing_xi_arcsec``,
        ``pointing_eta_arcsec`` and ``pointing_arcsec`` (frame minus WCS), ``phase_pix`` and
        ``phase_error_pix`` (amplitude of the residuals' first harmonic over the pixel, the larger of the two
        axes, detector pixels); NaN where unknown.
    """
    names = ("ra", "dec", "pointing_xi_arcsec", "pointing_eta_arcsec", "pointing_arcsec", "phase_pix",
             "phase_error_pix")  # fmt: skip
    rows = [_exposure(frame, stars, k) for k, stars in enumerate(star_lists)]
    for name, column in zip(names, np.array(rows).T, strict=True):
        exposures[name] = column
    return exposures


def _exposure(frame, stars, k):
    m, master = frame.measurements, frame.table
    mine = (np.asarray(m["exposure"]) == k) & np.asarray(m["used"], bool)
    row, star = np.asarray(m["row"])[mine], np.asarray(m["star"])[mine]
    ra, dec = values(stars, "ra")[row], values(stars, "dec")[row]
    seen = np.isfinite(ra + dec)
    out = [np.nan] * 5
    if seen.any() and "xi" in master.colnames:
        xi, eta = frame.plane.from_sky(ra[seen], dec[seen])
        shift = [
            float(np.median(values(master, c)[star[seen]] - own)) for c, own in (("xi", xi), ("eta", eta))
        ]
        out = [*sky_middle(ra[seen], dec[seen]), *shift, float(np.hypot(*shift))]
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
        keep = np.abs(value - np.median(value)) <= 4 * 1.4826 * np.median(np.abs(value - np.median(value)))
        c, *_ = np.linalg.lstsq(design[keep], value[keep], rcond=None)
        left = value[keep] - design[keep] @ c
        found = float(np.hypot(*c[1:])), float(left.std() * np.sqrt(2 / keep.sum()))
        best = max(best, found)
    return best
