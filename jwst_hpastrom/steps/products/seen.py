"""What a build of ePSFs needs of its exposures beside their pixels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from jwst_hpastrom.errors import ONE_UNIT, MixedExposuresError
from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.io.files.checkpoint import fingerprint
from jwst_hpastrom.io.files.unchanged import file_state, once
from jwst_hpastrom.io.identity import exposure_entry

__all__ = ["Seen", "common_meta", "look"]


@dataclass(frozen=True)
class Seen:
    """What is kept of an exposure.

    Attributes
    ----------
    name, content : str
        Its name, and the hash of what its pixels, WCS and metadata are.

    meta : dict

    shape : tuple of int

    entry : tuple
        In manifests.

    grid, sky : tuple of ndarray
        Pixels, and where its WCS has them.

    image : callable or None
        Returns the pixels.
    """

    name: str
    content: str
    meta: dict
    shape: tuple
    entry: tuple
    grid: tuple
    sky: tuple
    image: Callable | None = None

    @classmethod
    def of(cls, exposure, image=None):
        """Look at an exposure that was read with ``parts``."""
        ny, nx = exposure.image.shape
        y, x = (a.ravel() for a in np.mgrid[0 : ny - 1 : 25j, 0 : nx - 1 : 25j])
        return cls(
            exposure.name, fingerprint(exposure.parts), exposure.meta, (ny, nx), exposure_entry(exposure),
            (x, y), exposure.to_sky(x, y), image,
        )  # fmt: skip

    @property
    def corners(self):
        """Right ascension and declination of its corner pixels, in turn."""
        return tuple(s[[0, 24, -1, -25]] for s in self.sky)


def look(path, reading):
    """Look at an exposure in a file; one that did not change since the last time is not read again.

    Parameters
    ----------
    path : path-like

    reading : dict
        Parameters of `~jwst_hpastrom.io.read_exposure`.

    Returns
    -------
    `Seen`
    """

    def see():
        return Seen.of(read_exposure(path, need_wcs=True, parts=True, **reading))

    seen = once(path, file_state(path), ("look", *sorted(reading.items())), see)
    return replace(seen, meta=dict(seen.meta))


def common_meta(exposures):
    """Return the metadata shared by all exposures, and their names.

    Parameters
    ----------
    exposures : sequence of `Seen`

    Raises
    ------
    MixedExposuresError
        They differ in unit, instrument, detector, filter, origin or shape.
    """
    metas = [e.meta | {"shape": e.shape} for e in exposures]
    MixedExposuresError.unless_same(metas, "unit", do=ONE_UNIT)
    MixedExposuresError.unless_same(metas, "instrument", "detector", "filter", "xstart", "ystart", "shape")
    epochs = [e.meta["epoch"] for e in exposures if e.meta["epoch"] is not None]
    first = exposures[0].meta
    return {
        "instrument": first["instrument"],
        "detector": first["detector"],
        "filter": first["filter"],
        "epoch": float(np.mean(epochs)) if epochs else None,
        "exposures": [e.name for e in exposures],
    }
