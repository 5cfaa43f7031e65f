"""What the fits of an exposure's stars say of it in a few numbers."""

import logging
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.stats import spearmanr

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf.fit import Pixels
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.quality import lost_core, lost_peaks

__all__ = ["errors_follow_light", "summarize_fit"]

log = logging.getLogger("stpipe.hpastrom.epsf")

#: signal-to-noise ratio of bright stars
BRIGHT = 100.0
#: signal-to-noise ratio of pixels whose errors are their light's; the fewest that tell, the most that count
LIT, LEAST_LIT, MOST_LIT = 30.0, 200, 20_000
#: rank correlation of these pixels' light with their errors that is that of other errors
NOT_FOLLOWING = 0.3

#: pixels of one value, of those looked at, that are no chance
SAME = 10

#: what the fits themselves tell of errors and light, and its columns
TOLD = (
    "sky_noise_ratio", "err_follows_light", "light_error", "light_error_pixels", "wing_light",
    "wing_light_error",
)  # fmt: skip


def summarize_fit(stars: Table, image: Image, library: EPSFLibrary) -> dict[str, Any]:
    """Summarize the fits of an exposure's stars.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        Of `~jwst_hpastrom.epsf.measure_stars`, one or more.

    image : `~jwst_hpastrom.epsf.Image`

    library : `~jwst_hpastrom.epsf.EPSFLibrary`
        That they were fitted with.

    Returns
    -------
    dict
        Medians of QFIT, chi2 and sky, numbers of stars, of bright ones and of those that lack their cores,
        shares of bad pixels and of good ones that all have one value, the ePSF's central value, how the
        errors of dark and of lit pixels are, the light's own errors: columns of
        ``PRODUCT_epsf_fit_quality.ecsv``.
    """
    high, flags = np.asarray(stars["snr"]) > BRIGHT, np.asarray(stars["flags"])
    bright = high & (flags & ~int(Flag.SUBTRACTED) == 0)
    qfit = stars["qfit"]
    cores = stars[high & (flags & int(Flag.SATURATED) == 0)]
    middle = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    pixels = Pixels.of(image)
    n_peaks, n_lost_peaks = lost_peaks(stars, pixels.data, pixels.weight)
    return {
        "n_stars": len(stars), "qfit": float(np.nanmedian(qfit[bright] if bright.any() else qfit)),
        "n_bright": int(bright.sum()), "n_cores": len(cores), "n_high": int(high.sum()),
        "n_peaks": n_peaks, "n_lost_peaks": n_lost_peaks,
        "n_lost_core": int(lost_core(cores, pixels.weight).sum()),
        "bad_pixels": float(np.mean(pixels.weight <= 0)), "filled_pixels": _filled(pixels),
        "charge_unknown": bool(library.brighter_fatter and image.charge is None),
        "chi2_bright": float(np.median(stars["chi2"][bright])) if bright.any() else np.nan,
        "sky": float(np.median(stars["sky"])), "chi2": float(np.median(stars["chi2"])),
        "central_value": float(image.local(library).central_value(*middle)),
        **{name: float(stars.meta.get(name, np.nan)) for name in TOLD},
    }  # fmt: skip


def _filled(pixels: Pixels) -> float:
    """Share of the good pixels that have the commonest value; measured ones hardly ever have the same."""
    data = pixels.data[pixels.weight > 0]
    if data.size == 0:
        return np.nan
    count = np.unique(data[:: -(-data.size // MOST_LIT)], return_counts=True)[1]
    return float(count.max() / count.sum()) if count.max() > SAME else 0.0


def errors_follow_light(image: Image, stars: Table) -> float:
    """Rank correlation of the light of lit pixels with their errors; a warning of errors that are not theirs.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.Image`

    stars : `~astropy.table.Table`
        Its star list; ``sky_noise_ratio`` of the metadata is that of `~jwst_hpastrom.epsf.weights.sky_ratio`.

    Returns
    -------
    float
        0 of errors that are all alike, which is meant; NaN where too few pixels tell.
    """
    pixels = Pixels.of(image)
    good = pixels.weight > 0
    if not good.any():
        return np.nan
    data, err = pixels.data[good], 1 / np.sqrt(pixels.weight[good])
    light = data - float(np.median(stars["sky"] if len(stars) else data))
    ratio = np.nanmax([stars.meta.get("sky_noise_ratio", 1.0), 1.0])
    rows = np.flatnonzero(light > LIT * ratio * np.median(err))
    if rows.size < LEAST_LIT:
        return np.nan
    rows = rows[:: -(-rows.size // MOST_LIT)]
    if np.ptp(err[rows]) == 0:
        return 0.0
    found = float(spearmanr(light[rows], err[rows]).statistic)
    if found < NOT_FOLLOWING and image.name:
        log.warning(
            "%s: errors of bright pixels do not go with their light (rank correlation %.2f): are they this "
            "image's, as standard errors, and along the same axes?", image.name, found,
        )  # fmt: skip
    return found
