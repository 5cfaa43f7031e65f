"""The wavefront of ePSFs that change over the field, found from them."""

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.epsf.build.smoothing import recenter
from jwst_hpastrom.epsf.wavefront import modes_of
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.epsf.wavefront.phase_retrieval import retrieve
from jwst_hpastrom.instrument import filter_of

PIXEL, SIDE = 0.0656, 700
OVER_FIELD = np.zeros((2, MODES))
OVER_FIELD[0, :4], OVER_FIELD[1, 1:5] = (18, 14, -12, 10), (18, 14, -12, 10)
WEAK = np.r_[16.6, -13.4, 6.8, 8.2, 13.5, 14.7, -10.7, 10.6, np.zeros(MODES - 8)]  # even terms
BASE = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]


def varying(middle, band="F090W", half_width=12.5):
    """Library of a wavefront that changes over the field, at 3 × 3 positions."""
    row = filter_of(band, "NIRISS")
    made = Optics(row.wavelength, row.width, PIXEL, half_width)
    data = [made.image(middle + np.array([u, v]) @ OVER_FIELD) for v in (-1, 0, 1) for u in (-1, 0, 1)]
    data, _ = recenter(np.array(data), 4)
    nodes = np.linspace(0, SIDE, 3)
    meta = {"instrument": "NIRISS", "detector": "NIS", "filter": band}
    return EPSFLibrary(data, nodes, nodes, 4, meta=meta).normalized()


@pytest.mark.parametrize("middle", [WEAK, BASE])
def test_change_over_the_field_is_found_where_even_terms_change_sign(middle):
    """From the middle's wavefront the search for a corner's ends in a valley of the other sign."""
    row = filter_of("F090W", "NIRISS")
    found = retrieve(varying(middle, half_width=6.0), row.wavelength, row.width, PIXEL)
    off = np.linalg.norm(found.nm - np.stack([middle, *OVER_FIELD]), axis=1)
    assert off.max() < 4.0  # nm


def test_a_far_change_of_a_wavefront_over_the_field_holds_in_its_middle():
    """It is not what its corners have in common: the ePSF is no linear function of the wavefront."""
    old, change = varying(BASE), np.r_[20.0, 18.0, 10.0, -16.0, 12.0, np.zeros(MODES - 5)]
    true = varying(BASE + change).at(SIDE / 2, SIDE / 2)
    new = modes_of(old).change(change, old).at(SIDE / 2, SIDE / 2)
    assert np.abs(new - true).max() < 0.04 * np.abs(old.at(SIDE / 2, SIDE / 2) - true).max()
