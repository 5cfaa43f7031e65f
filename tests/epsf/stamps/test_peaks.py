"""Stars at first sight, on images whose stars are known."""

import numpy as np

from jwst_hpastrom.epsf.stamps.peaks import find_peaks, light_centers, out_of_wings, saturated_stars


def star(x, y, flux, shape=(40, 40), width=1.0):
    j, i = np.mgrid[: shape[0], : shape[1]]
    return flux * np.exp(-((i - x) ** 2 + (j - y) ** 2) / (2 * width**2)) / (2 * np.pi * width**2)


def test_peaks_and_their_light():
    image = star(12.0, 20.0, 100.0) + star(30.0, 9.0, 50.0)
    j, i = find_peaks(image, 0.1)
    assert sorted(zip(i, j, strict=True)) == [(12, 20), (30, 9)]
    x, y, flux = light_centers(image, j, i)
    np.testing.assert_allclose(np.sort(x), (12.0, 30.0), atol=1e-6)
    np.testing.assert_allclose(np.sort(y), (9.0, 20.0), atol=1e-6)
    assert (np.diff(np.sort(flux)) > 30).all()


def test_what_a_wrong_model_leaves_is_no_star():
    model = star(20.0, 20.0, 1000.0)
    left = 0.05 * star(21.0, 20.0, 1000.0)
    companion = star(31.0, 31.0, 30.0)
    j, i = find_peaks(left + companion, 0.1, model, 0.1)
    assert list(zip(i, j, strict=True)) == [(31, 31)]
    assert len(find_peaks(left + companion, 0.1)[0]) == 2


def test_a_group_of_saturated_pixels_is_a_star():
    image, saturated = star(15.0, 18.0, 1000.0), np.zeros((40, 40), bool)
    assert all(a.size == 0 for a in saturated_stars(saturated, image, np.zeros(1)))
    saturated[17:20, 14:17] = True
    x, y, flux, half = saturated_stars(saturated, image, np.zeros(1))
    assert (x[0], y[0], half[0]) == (15.0, 18.0, 5)
    assert flux[0] > 1000.0


def test_peaks_in_wings_are_left_out():
    x, y, flux = np.array([10.0, 14.0, 80.0]), np.array([10.0, 10.0, 80.0]), np.array([1e4, 50.0, 50.0])
    assert out_of_wings(x, y, flux, np.array([2e3, 20.0, 20.0])).tolist() == [True, False, True]
