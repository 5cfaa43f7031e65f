"""The ePSF library against the analytic ePSF, scipy's spline and differences."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from jwst_hpastrom.epsf import EPSFLibrary, Image, fit_stars
from jwst_hpastrom.epsf.library import WING_OUTWARD
from jwst_hpastrom.errors import BadReferenceFileError, ParameterError
from tests.epsf.conftest import NODES, make_library, psi, width


def obvious(library, dx, dy, x, y):
    """Slow twin: scipy's cubic spline of each node's ePSF, weighted by hand."""
    gx, gy = library.x, library.y
    xc, yc = np.clip(x, gx[0], gx[-1]), np.clip(y, gy[0], gy[-1])
    total = 0.0
    for k, one in enumerate(library.data):
        hat = np.eye(gx.size)[k % gx.size], np.eye(gy.size)[k // gx.size]
        w = np.interp(xc, gx, hat[0]) * np.interp(yc, gy, hat[1])
        c = one.shape[0] // 2
        where = [[c + library.oversampling * dy], [c + library.oversampling * dx]]
        total += w * map_coordinates(one, where, order=3, mode="mirror")[0]
    return total


def test_against_the_slow_twin(library):
    rng = np.random.default_rng(1)
    dx, dy = rng.uniform(-12.5, 12.5, (2, 50))
    x, y = rng.uniform(-10, 140, (2, 50))
    twin = [obvious(library, *p) for p in zip(dx, dy, x, y, strict=True)]
    np.testing.assert_allclose(library.evaluate(dx, dy, x, y), twin, atol=1e-14)


def test_against_the_analytic_epsf(library):
    rng = np.random.default_rng(2)
    dx, dy = rng.uniform(-3, 3, (2, 500))
    x, y = rng.uniform(0, 127, (2, 500))
    value, by_dx, by_dy = library.evaluate(dx, dy, x, y, gradient=True)
    # bilinear interpolation of Gaussians is not the Gaussian between the nodes: second order in the width
    true = psi(dx, dy, width(x, y))
    assert np.abs(value - true).max() < 2e-3 * true.max()
    h = 1e-4
    for got, a, b in ((by_dx, h, 0), (by_dy, 0, h)):
        difference = library.evaluate(dx + a, dy + b, x, y) - library.evaluate(dx - a, dy - b, x, y)
        np.testing.assert_allclose(got, difference / (2 * h), atol=1e-7)


def test_at_the_nodes_the_samples_come_back(library):
    k = 40
    offset = (k - 50) / 4
    for n, (y, x) in enumerate((b, a) for b in NODES for a in NODES):
        assert library.evaluate(offset, 0.25, x, y) == pytest.approx(library.data[n, 51, k], abs=1e-15)
        np.testing.assert_allclose(library.at(x, y), library.data[n], atol=1e-16)


def test_beyond_the_grid_and_the_field(library):
    assert library.evaluate(12.6, 0, 60, 60) == 0
    assert np.isfinite(library.evaluate(12.5, -12.5, 60, 60))
    assert library.evaluate(0.3, 0.2, -50, 500) == library.evaluate(0.3, 0.2, 0, 127)
    assert library.half_width == 12.5


def test_normalization(library):
    doubled = EPSFLibrary(2 * library.data, library.x, library.y)
    np.testing.assert_allclose(doubled.normalized().volumes(), 1, rtol=1e-14)
    np.testing.assert_allclose(library.volumes(), 1, rtol=1e-3)


def test_single_epsf_serves_the_whole_field():
    one = make_library(sigma=0.8, nodes=np.array([64.0]))
    assert one.central_value(0, 0) == one.central_value(127, 127)
    assert one.central_value(0, 0) == pytest.approx(one.data[0, 50, 50], rel=1e-14)


def test_borrowed_near(library):
    marked = EPSFLibrary(library.data, library.x, library.y, borrowed=np.arange(9) == 0)
    near = marked.borrowed_near(np.array([0.0, 32, 63.9, 70, 0]), np.array([0.0, 32, 0, 0, 63.9]))
    assert near.tolist() == [True, True, False, False, False]


def test_shifted_is_the_same_field_from_another_origin(library):
    sub = library.shifted(-40, -30)
    assert sub.evaluate(0.3, -0.4, 10, 20) == pytest.approx(library.evaluate(0.3, -0.4, 50, 50), abs=1e-16)
    assert library.shifted(0, 0) is library


@pytest.mark.parametrize(
    ("data", "x", "kwargs", "message"),
    [
        (np.ones((4, 5, 5)), [0, 1, 2], {}, "shape"),
        (np.ones((3, 5, 7)), [0, 1, 2], {}, "odd side"),
        (np.ones((3, 6, 6)), [0, 1, 2], {}, "odd side"),
        (np.ones((3, 5, 5)), [0, 2, 1], {}, "ascending"),
        (np.full((3, 5, 5), np.nan), [0, 1, 2], {}, "not finite"),
        (np.ones((3, 5, 5)), [0, 1, 2], {"oversampling": 2.5}, "oversampling 2.5"),
        (np.ones((3, 5, 5)), [0, 1, 2], {"borrowed": [True]}, "borrowed"),
    ],
)
def test_what_is_no_library_is_refused(data, x, kwargs, message):
    with pytest.raises(ParameterError, match=message):
        EPSFLibrary(data, x, [0.0], **kwargs)


@pytest.mark.parametrize(
    ("made_for", "other", "text"),
    [
        ({"filter": "F150W"}, {"filter": "F200W"}, "an ePSF of F150W for exposures in F200W"),
        ({"detector": "NRCB1"}, {"detector": "NRCB2"}, "an ePSF of NRCB1 for exposures on NRCB2"),
        (
            {"detector": "NIRISS"},
            {"instrument": "NIRCAM", "detector": "NRCB2"},
            "NIRISS for exposures on NRCB2",
        ),
        ({"detector": "NIRCAM"}, {"instrument": "NIRISS", "detector": "NIS"}, "NIRCAM for exposures on NIS"),
        (
            {"instrument": "NIRCAM"},
            {"instrument": "NIRISS", "detector": "NIS"},
            "NIRCAM for exposures on NIS",
        ),
    ],
)
def test_what_a_library_is_made_for(made_for, other, text):
    library = library_of(made_for)
    with pytest.raises(BadReferenceFileError, match=text):
        library.check_made_for(other)
    for same in (made_for, {}, {"detector": "unknown"}):
        library.check_made_for(same)
    library_of({"filter": "f150w"}).check_made_for({"filter": "F150W"})
    library_of({"detector": "NRCB5"}).check_made_for({"instrument": "NIRCAM", "detector": "NRCBLONG"})


def library_of(meta):
    return EPSFLibrary(np.ones((1, 5, 5)), np.zeros(1), np.zeros(1), 4, meta=meta)


BRIGHT = 20.0


def spiky(offset_x, offset_y, core=0.8, wings=0.02):
    """A Gaussian, and around it light that falls as a diffraction pattern's, with spikes and rings."""
    r, angle = np.hypot(offset_x, offset_y), np.arctan2(offset_y, offset_x)
    speckles = 1 + 0.6 * np.cos(6 * angle) + 0.6 * np.cos(2 * np.pi * r / 3.0)
    return psi(offset_x, offset_y, core) + wings * speckles * r**6 / (r**2 + 4) ** 4.5


def test_wing_shift_is_what_an_unsubtracted_star_does():
    offset = (np.arange(101) - 50) / 4
    library = EPSFLibrary(spiky(offset, offset[:, None])[None], [50.0], [50.0], 4)
    jj, ii = np.mgrid[:101, :101]
    shifts, none = [], np.zeros((101, 101), bool)
    rng = np.random.default_rng(4)
    for angle in np.arange(0, 2 * np.pi, 0.52):
        x, y = 50 + rng.uniform(-0.5, 0.5, 2)
        one = spiky(ii - x, jj - y)
        for r in (7.0, 8.0, 9.0):
            # so bright that fits, which end below 1e-4 pixel, show it
            both = one + BRIGHT * spiky(ii - x - r * np.cos(angle), jj - y - r * np.sin(angle))
            for err in (np.ones_like(one), np.sqrt(one + 0.01)):
                images = (Image(100 * data, err, none, none.copy(), "made") for data in (both, one))
                fits = [fit_stars(image, library, [x], [y])[0] for image in images]
                shifts += [(fits[0][c] - fits[1][c]) * (r / 10) ** 3 / BRIGHT for c in ("x", "y")]
    there = np.sqrt(np.mean(np.square(shifts)))
    assert library.wing_shift() / WING_OUTWARD == pytest.approx(there, rel=0.15)
    assert np.isnan(EPSFLibrary(library.data[:, 18:-18, 18:-18], [50.0], [50.0], 4).wing_shift())


@pytest.mark.parametrize("x", [[5000.0, 7047.0], [-60.0, 60.0]], ids=["off the detector", "arcsec"])
def test_field_positions_off_the_detector(x):
    library = EPSFLibrary(np.ones((2, 21, 21)), x, [1023.0])
    library.check_made_for({})
    with pytest.raises(BadReferenceFileError, match="pixels of a detector of 2048 x 2048"):
        library.check_made_for({"instrument": "NIRISS", "detector": "NIS"})
