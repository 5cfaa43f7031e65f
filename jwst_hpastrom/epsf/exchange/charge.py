"""Charge of an exposure's pixels at the end of their ramps."""

import numpy as np

__all__ = ["ramp_charge"]

MANY = 512  # rows, and columns, of the pixels that tell the sky: to 0.25 % of its noise
SATURATED = 2  # the DQ bit
SURFACE = ("MJy/sr", "MJY/SR", "MJysr-1")  # units that the conversion makes of DN/s
BRIGHT = 10.0  # times the sky: pixels whose variance tells how many groups were used


def ramp_charge(groups, time, conversion, unit, data, dq, bad, variance):
    """Charge at the end of each pixel's ramp, DN per unit of data: a number, or an image; None if not known.

    Saturation and charge migration leave late groups out, and of the latter DQ may say nothing. But the
    Poisson variance is the rate over the time between the first and the last group that was used.

    ``groups`` and the ``time`` of one, seconds, are those of a ramp; ``conversion`` is MJy/sr for a DN/s.
    """
    if str(unit).replace(" ", "") not in SURFACE:  # mJy are no MJy
        conversion = 1.0 if "DN/S" in str(unit).upper() else None
    if not (groups and time and conversion):
        return None
    full = groups * time / conversion
    if variance is None or np.shape(variance) != data.shape or groups < 3:
        return full
    some = tuple(slice(None, None, -(-n // MANY)) for n in data.shape)
    sky = data[some][~bad[some]]
    sky = np.median(sky if sky.size else data[~bad], overwrite_input=True)
    bright = np.nonzero(~bad & (data > BRIGHT * max(sky, 0.0)))
    known = variance[bright] > 0
    bright = tuple(k[known] for k in bright)
    ratio = data[bright] / variance[bright]
    if not ratio.size:
        return full
    saturated = (dq[bright] & SATURATED) > 0
    whole = np.median(ratio if saturated.all() else ratio[~saturated])
    used = 1 + np.rint((groups - 1) * np.clip(ratio / whole, 0, 1))
    if not (used < groups).any():
        return full
    out = np.full(data.shape, full, np.float32)
    out[bright] *= used / groups
    return out
