"""Whether exposures were calibrated alike, and what their flux calibrations differ by."""

import logging

import numpy as np

__all__ = ["calibrated_zeros", "warn_of_calibrations"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: what may differ between exposures of one detector and filter: keyword, and how much of it. Reference files
#: of other versions make more; a sensitivity that changes with time makes less in a season
CALIBRATIONS = {"mjsr_per_dns": ("PHOTMJSR", 0.02), "pixel_area_sr": ("PIXAR_SR", 1e-3)}


def warn_of_calibrations(metas):
    """Warn where exposures of one detector and filter have another flux calibration or pixel area each.

    Parameters
    ----------
    metas : sequence of mapping
        Metadata of star lists; those that do not tell are left out.

    Examples
    --------
    >>> from jwst_hpastrom.frame.calibrations import warn_of_calibrations
    >>> warn_of_calibrations([{"detector": "NIS", "mjsr_per_dns": 0.28}, {"detector": "NIS"}])
    """
    for key, (keyword, most) in CALIBRATIONS.items():
        alike = {}
        for meta in metas:
            if meta.get(key):
                beam = tuple(str(meta.get(k) or "") for k in ("detector", "filter"))
                alike.setdefault(beam, []).append((float(meta[key]), str(meta.get("filename"))))
        for beam, found in alike.items():
            (low, first), (high, last) = min(found), max(found)
            if high - low > most * abs(low):
                log.warning(
                    "%s: %s is %.5g in %s and %.5g in %s: calibrated with other versions? Zero points "
                    "bring magnitudes to those of the central exposure; calibrate all with one context",
                    " ".join(beam), keyword, low, first, high, last,
                )  # fmt: skip


def calibrated_zeros(metas):
    """Magnitudes that make exposures' sums of surface brightness comparable: by the areas of their pixels.

    Parameters
    ----------
    metas : sequence of mapping
        Metadata of star lists: ``pixel_area_sr`` and ``unit``.

    Returns
    -------
    ndarray
        -2.5 log10 of the areas in units of the first one's; zeros where one is not known, or fluxes are no
        sums of surface brightness.

    Examples
    --------
    >>> from jwst_hpastrom.frame.calibrations import calibrated_zeros
    >>> calibrated_zeros([{"pixel_area_sr": 2.2e-14}, {"pixel_area_sr": 2.3e-14}]).round(3) + 0.0
    array([ 0.   , -0.048])
    """
    areas = np.array([float(meta.get("pixel_area_sr") or np.nan) for meta in metas])
    surface = all(str(meta.get("unit") or "MJy/sr").endswith("/sr") for meta in metas)
    if not (surface and (areas > 0).all()):
        return np.zeros(areas.size)
    return -2.5 * np.log10(areas / areas[0])
