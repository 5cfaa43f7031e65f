"""A distortion refined by few reference stars: terms they pay for, errors, pointings that are off."""

import numpy as np
import pytest

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.distortion.few_stars import UNSURE, refine_distortion, wcs_distortion
from jwst_hpastrom.distortion.solve import matching
from jwst_hpastrom.distortion.solve.matching import used_lists
from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.geometry import polynomial_terms


def sparse(tools, n, *, seed=3, **kwargs):
    """Four small dithers of a field with many stars, of which n are in the catalog, to 0.1 mas."""
    rng = np.random.default_rng(seed)
    lists, reference = tools.make_lists(
        rng, n_stars=900, n_side=2, dither=3.0, catalog_error=0.1, noise=0.004, **kwargs
    )
    seen = np.unique(np.concatenate([t["star"] for t in lists]))
    return lists, reference[np.sort(rng.choice(seen, n, replace=False))]


def true_terms(tools, degree, *, left_out=()):
    """The smooth part of the true distortion, without some terms."""
    size = tools.shape[0] / 2
    y, x = np.mgrid[0:512:8.0, 0:512:8.0]
    p, q = (x.ravel() - 255) / size, (y.ravel() - 255) / size
    design = np.stack([p**i * q**j for i, j in polynomial_terms(degree)], 1)
    terms = [np.linalg.lstsq(design, d.ravel(), rcond=None)[0][1:] for d in tools.true_delta(x, y)]
    for k, t in enumerate(polynomial_terms(degree, 1)):
        if t in left_out:
            terms[0][k] = terms[1][k] = 0.0
    return DistortionCorrection(
        PolynomialCorrection(degree, *terms, np.array([255.0, 255.0]), size), shape=tools.shape
    )


def test_what_the_given_one_lacks_is_found(tools):
    lists, reference = sparse(tools, 60)
    base = true_terms(tools, 5, left_out=[(2, 0), (1, 1), (0, 2)])
    refined = refine_distortion(lists, reference, base)
    assert refined.n_stars > 40
    assert refined.degree >= 2
    assert refined.terms.startswith("6 + 3")
    assert tools.true_rms(base) > 0.3
    assert tools.true_rms(refined.correction) < 0.05
    # the stated error is that of the wave, the bump and the terms themselves
    assert 0.5 < refined.error / tools.true_rms(refined.correction) < 1.6


def test_nothing_is_added_to_a_good_one(tools):
    lists, reference = sparse(tools, 40)
    base = true_terms(tools, 5)
    refined = refine_distortion(lists, reference, base)
    assert refined.degree <= 1
    assert tools.true_rms(refined.correction) < 1.1 * tools.true_rms(base) + 0.003


@pytest.mark.parametrize("n", [12, 9])
def test_few_stars_do_no_harm(tools, n):
    lists, reference = sparse(tools, n, known=1.0)
    base = true_terms(tools, 5)
    refined = refine_distortion(lists, reference, base)
    assert refined.degree <= 2
    assert tools.true_rms(refined.correction) < 2 * tools.true_rms(base)
    assert refined.error > 0


@pytest.mark.parametrize("n", [40, 9])
@pytest.mark.parametrize("off", [0.3, 3.0])
def test_pointings_that_are_off(tools, off, n):
    lists, reference = sparse(tools, n, known=1.0)
    for t in lists:
        t["dec"] += off / 3600
    refined = refine_distortion(lists, reference)
    assert [np.hypot(*s) for s in refined.pairs.shift] == pytest.approx([off] * 4, abs=0.02)
    if off > 1:
        with pytest.raises(NoOverlapError, match="give a larger max_shift"):
            refine_distortion(lists, reference, max_shift=0.5)


def test_a_star_that_is_elsewhere_is_left_out(tools):
    """The others' residuals about all of them scatter by 0.4 pixel: at first it is not far off."""
    lists, reference = sparse(tools, 40)
    base = true_terms(tools, 5, left_out=[(2, 0), (1, 1), (0, 2)])
    alone = refine_distortion(lists, reference, base)
    reference["dec"][reference["mag"].argmin()] += 0.04 / 3600
    with_it = refine_distortion(lists, reference, base)
    assert with_it.n_stars == alone.n_stars - 1
    assert tools.true_rms(with_it.correction) < 1.2 * tools.true_rms(alone.correction)


def test_good_ones_of_a_dozen_stay(tools):
    """So few tell badly how far stars scatter; by the scatter of many, two of these fields lost one."""
    base, off, unsure = true_terms(tools, 5, left_out=[(2, 0), (1, 1), (0, 2), (3, 0)]), [], 0
    for seed in range(20, 30):
        refined = refine_distortion(*sparse(tools, 12, seed=seed), base)
        unsure += refined.sure < UNSURE  # which is warned of, and all choices count
        assert refined.n_stars == np.unique(refined.pairs.star).size or refined.sure < UNSURE
        off.append(tools.true_rms(refined.correction) / refined.error)
    assert unsure <= 2
    assert np.sqrt(np.mean(np.square(off))) < 1.0


def test_stars_of_some_exposures_do_not_bend_the_terms(tools):
    """Wide dithers of quadratic terms of a pixel and more: exposures would take their slopes for scales."""
    base, off = true_terms(tools, 5, left_out=[(2, 0), (1, 1), (0, 2)]), []
    for seed in (4, 5, 6):
        lists, reference = sparse(tools, 60, seed=seed)
        refined = refine_distortion(lists, reference, base)
        assert refined.degree == 2
        assert refined.trials["rms"][2] < 0.02
        off.append(tools.true_rms(refined.correction))
    assert np.sqrt(np.mean(np.square(off))) < 0.02  # 12 fields: 0.0198


def test_the_wcs_as_a_distortion(tools):
    lists, _ = sparse(tools, 40, known=1.0)
    assert tools.true_rms(wcs_distortion(lists)) < 0.06  # the wave is 0.02


def test_a_subarray_is_as_sure_as_its_own_stars(tools):
    """Where the rest of the detector lies, of which no star tells, does not count."""
    lists, reference = sparse(tools, 150)
    for t in lists:
        t.meta |= {"xstart": 769, "ystart": 769}  # of 2048 pixels
    refined = refine_distortion(lists, reference)
    assert refined.correction.shape == (2048, 2048)
    middle = np.sqrt(refined.correction.uncertainty.variance[:, 8, 8])
    assert (middle < 0.1).all()  # pixels; the documented WCS lacks 0.05
    assert (np.sqrt(refined.correction.uncertainty.variance[:, 0, 0]) > 0.3).all()


@pytest.mark.parametrize("what", ["a wrong pointing", "another field", "trailed"])
def test_a_bad_exposure_is_left_out_and_named(tools, what, caplog, monkeypatch):
    lists, reference = sparse(tools, 15, known=1.0)
    good = refine_distortion([lists[0], *lists[2:]], reference)
    bad, rng = lists[1], np.random.default_rng(1)
    if what == "a wrong pointing":
        bad["ra"] += 40 / 3600
    elif what == "another field":
        bad["ra"], bad["dec"] = (rng.uniform(bad[c].min(), bad[c].max(), len(bad)) for c in ("ra", "dec"))
    else:
        bad["qfit"] = 0.5
    calls, match_one = [], matching._match_one
    monkeypatch.setattr(matching, "_match_one", lambda *args: calls.append(1) or match_one(*args))
    refined = refine_distortion(lists, reference)
    assert len(calls) == len(lists) + 1  # the bad one again, with half of the stars needed
    (said,) = [m for m in caplog.messages if "left out of the distortion" in m]
    assert bad.meta["filename"] in said
    assert used_lists(lists, refined.pairs) == [lists[0], *lists[2:]]
    x, y = np.random.default_rng(2).uniform(0, 511, (2, 50))
    np.testing.assert_allclose(refined.correction.forward(x, y), good.correction.forward(x, y), atol=1e-9)
    with pytest.raises(NoOverlapError, match=str(bad.meta["filename"])):
        refine_distortion(lists[:2], reference)
