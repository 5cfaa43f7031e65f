"""What exposures were taken with, from their headers alone: an association is divided before it is read."""

import warnings
from typing import Any

from astropy.io import fits

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.instrument import identify

__all__ = ["read_beam"]

KEYS = {
    "instrument": ("INSTRUME", "instrument.name"), "detector": ("DETECTOR", "instrument.detector"),
    "exp_type": ("EXP_TYPE", "exposure.type"), "wheel": ("FILTER", "instrument.filter"),
    "pupil": ("PUPIL", "instrument.pupil"),
}  # fmt: skip


def read_beam(source: Any, *, force: bool = False) -> dict[str, str]:
    """Return instrument, detector and filter of an exposure; nothing where the header does not tell.

    Whatever is wrong with the file is for `~jwst_hpastrom.io.read_exposure` to say.

    Parameters
    ----------
    source : path-like or data model

    force : bool
        As of `~jwst_hpastrom.instrument.identify`.

    Returns
    -------
    dict
        ``instrument``, ``detector``, ``filter``; empty where they are not known.
    """
    try:
        return identify(**_keywords(source), force=force)._asdict()
    except (HPAstromError, OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _keywords(source):
    if hasattr(source, "meta"):
        out = {}
        for key, (_, path) in KEYS.items():
            node = source.meta
            for part in path.split("."):
                node = getattr(node, part, None)
            out[key] = node
        return out
    if not str(source).lower().endswith((".fits", ".fits.gz", ".fit")):
        return dict.fromkeys(KEYS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.getheader(source, 0)
    return {key: header.get(keyword) for key, (keyword, _) in KEYS.items()}
