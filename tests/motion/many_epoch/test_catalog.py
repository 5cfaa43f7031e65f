"""Flags of motions of many epochs."""

from types import SimpleNamespace

import numpy as np

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.motion.many_epoch.catalog import _flags


def test_stars_with_fewer_than_half_of_their_epochs_left_are_ambiguous():
    """Seven of eleven were rejected, the wrong ones kept, and the motion off by 97 errors without a flag."""
    n, epochs = 3, np.linspace(2010.0, 2024.0, 11)
    none, all_ = np.zeros(n, bool), np.ones((n, 11), bool)
    links = SimpleNamespace(index=np.zeros((n, 11), int), usable=all_, fast=none)
    sky = SimpleNamespace(links=links, one_time=none, epochs=epochs)
    fitted = SimpleNamespace(
        inconsistent=none, bad=SimpleNamespace(ambiguous=none), error=np.ones((2, n, 11)),
        fits=SimpleNamespace(coefficients=np.zeros((n, 4)), model=np.zeros(n, int)),
    )  # fmt: skip
    flags = _flags(sky, SimpleNamespace(star=np.zeros(0, int)), fitted, np.array([4, 6, 11]))
    assert (flags & int(Flag.AMBIGUOUS) != 0).tolist() == [True, False, False]
    assert (flags & int(Flag.REJECTED_EPOCHS) != 0).tolist() == [True, True, False]
