"""Whether exposures were calibrated alike."""

import logging

__all__ = ["warn_of_calibrations"]

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
