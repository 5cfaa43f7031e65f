"""Maps of the full detector's pixels for positions in a window (sub-array) of it."""

import numpy as np

from jwst_hpastrom.geometry.mapping import CompositeMapping
from jwst_hpastrom.geometry.transform import LinearTransform

__all__ = ["on_window"]


class _OnWindow(CompositeMapping):
    def __init__(self, mapping, x0, y0):
        self.origin = LinearTransform(offset=np.array([x0, y0], float))
        self.full = mapping
        super().__init__([self.origin, mapping])

    def mean_error(self, x, y, *args, **kwargs):
        """Of the map's own error model, which knows how errors correlate."""
        return self.full.mean_error(*self.origin.forward(x, y), *args, **kwargs)


def on_window(mapping, x0, y0):
    """Return a map of the full detector's pixels as one of a window's own pixels.

    Parameters
    ----------
    mapping : `~jwst_hpastrom.geometry.Mapping`

    x0, y0 : int
        The window's first pixel on the detector, from 0.

    Returns
    -------
    `~jwst_hpastrom.geometry.Mapping`
        ``mapping`` itself where the window begins with the detector.
    """
    return _OnWindow(mapping, x0, y0) if x0 or y0 else mapping
