"""Bits of DQ by their names."""

import numpy as np
from astropy.nddata.bitmask import extend_bit_flag_map, interpret_bit_flags
from stdatamodels.jwst.datamodels import dqflags

from jwst_hpastrom.errors import ParameterError

__all__ = ["BAD_BITS", "bad_pixels", "dq_bits"]

#: DQ bits that take a pixel's weight away, by their names. JUMP_DET and SATURATED say that some group was
#: left out of the ramp's fit: with a slope such a pixel is a measurement, and ERR knows how good a one.
BAD_BITS = "DO_NOT_USE+NON_SCIENCE"
JWST_DQ = extend_bit_flag_map("JWST_DQ", **{name: bit for name, bit in dqflags.pixel.items() if bit})


def dq_bits(flags: str | int | None) -> int:
    """Bits of DQ from their names, as ``"DO_NOT_USE+NON_SCIENCE"``, or from a number.

    Parameters
    ----------
    flags : str, int or None
        As `astropy.nddata.bitmask.interpret_bit_flags` takes them: names or numbers joined by ``+`` or
        ``,``; a leading ``~`` for all but those. None, an empty string and 0 are no bits.

    Returns
    -------
    int

    Raises
    ------
    ParameterError
        Something that names no bits.

    Examples
    --------
    >>> from jwst_hpastrom.io import dq_bits
    >>> dq_bits("DO_NOT_USE+JUMP_DET")
    5
    """
    try:
        if not isinstance(flags, str | None) and flags < 0:
            raise ValueError
        bits = interpret_bit_flags(flags or None, flag_name_map=JWST_DQ)
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise ParameterError(
            f"bad_bits={flags!r}", "names of JWST's DQ bits joined by +, as DO_NOT_USE+JUMP_DET, or a number"
        ) from err
    return (bits or 0) & 0xFFFFFFFF


def bad_pixels(data, err, dq, bits, mask=False):
    """Which pixels have no weight, and which belong to saturated cores; a pixel is one of them at most.

    Parameters
    ----------
    data, err, dq : ndarray, shape (ny, nx)
        SCI, ERR and DQ.

    bits : int
        From `dq_bits`.

    mask : ndarray of bool, shape (ny, nx), or bool
        More pixels without weight.

    Returns
    -------
    bad, saturated : ndarray of bool, shape (ny, nx)
    """
    bad = ((dq & bits) > 0) | ~np.isfinite(data) | ~np.isfinite(err) | ~(err > 0)
    saturated = bad & ((dq & dqflags.pixel["SATURATED"]) > 0)
    return (bad | mask) & ~saturated, saturated
