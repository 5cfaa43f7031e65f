"""Residuals of two kinds and of one."""

import numpy as np
import pytest

from jwst_hpastrom.geometry.wrong_pairs import larger_kind


@pytest.mark.parametrize("n", [0, 1])
def test_next_to_no_pairs_are_of_no_two_kinds(n):
    assert larger_kind(np.zeros((2, n)), np.ones(n, bool), 1e-12) == (None, True)


def test_kinds_that_overlap_are_cut_in_the_middle():
    z = np.random.default_rng(2).normal(size=(2, 1000))
    assert larger_kind(z, z[0] < 2.0, 1e-9) == (None, True)
    z[0, :300] += 5.0
    good, sure = larger_kind(z, z[0] < 2.0, 1e-9)
    assert sure
    assert good[:300].mean() < 0.03
    assert good[300:].mean() > 0.97
