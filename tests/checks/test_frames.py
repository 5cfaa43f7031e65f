"""Checks that go with the number of stars and with where exposures look."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, run_checks


def frame(n=4, **columns):
    table = {"exposure": [f"e{k}" for k in range(n)], "n_found": [1000] * n, "n_matched": [400] * n}
    table |= {"ra": np.zeros(n), "dec": np.arange(n) / 600, "overlap": [0.5] * n, "parity": [1] * n}
    return Table(table | columns)


def notes(**tables):
    return [c for c in run_checks(Evidence(**tables)) if c.verdict != "ok"]


def test_stars_of_little_overlap_are_counted_where_others_look():
    assert not notes(exposures=frame())
    assert [c.causes[0][:5] for c in notes(exposures=frame(overlap=[1.0] * 4))] == ["noise"] * 4
    first = notes(exposures=frame(overlap=[0.5, 0.5, 0.5, 0.03], n_matched=[400, 400, 400, 20]))[0]
    assert (first.verdict, first.about) == ("bad", "e3")
    assert first.causes == ("little overlap with the other exposures",)


def test_a_mirrored_list():
    found = notes(exposures=frame(parity=[-1] * 4))
    assert {c.verdict for c in found} == {"bad"}
    assert found[0].causes[0].startswith("x and y of this list exchanged")
    # without a sky the others tell
    alone = {"ra": np.full(4, np.nan), "dec": np.full(4, np.nan)}
    assert not notes(exposures=frame(parity=[-1] * 4, **alone))
    assert [c.about for c in notes(exposures=frame(parity=[-1, -1, -1, 1], **alone))] == ["e3"]


@pytest.mark.parametrize(
    ("pairs", "borrowed", "verdict"),
    [(1500, 0.86, "ok"), (2500, 0.63, "ok"), (12000, 0.5, "look"), (1000, 0.97, "bad"), (12000, 0.02, "ok")],
)
def test_borrowed_cells_are_those_that_so_few_stars_leave(pairs, borrowed, verdict):
    meta = {"borrowed_cells": borrowed, "pairs": pairs, "parameters": {"table_cells": 32, "held_out": 0.2}}
    (check,) = run_checks(Evidence(distortion=Table({"stage": ["table"]}, meta=meta)))
    assert check.verdict == verdict


def test_an_exposure_in_other_units():
    found = notes(exposures=frame(zero_point=[0.01, -7.5, 0.0, -0.01]))
    assert [(c.verdict, c.about) for c in found] == [("bad", "e1")]
    assert found[0].causes[0].startswith("fluxes of this exposure")
    assert not notes(exposures=frame(zero_point=[0.01, -0.02, 0.0, -0.01]))


@pytest.mark.parametrize(("n", "verdict"), [(0, "ok"), (12, "look"), (400, "bad")])
def test_a_catalog_that_nothing_could_be_tied_to(n, verdict):
    (check,) = run_checks(Evidence(choices=Table({"part": ["frame"]}, meta={"untied_stars": n})))
    assert check.verdict == verdict
    assert verdict == "ok" or check.causes[0].startswith("a catalog of another field")
    assert run_checks(Evidence(choices=Table({"part": ["frame"]}))) == []


def test_a_catalog_that_is_mirrored_against_the_exposures():
    meta = {"untied_stars": 12, "untied_because": "the same stars mirrored against the catalog"}
    (check,) = run_checks(Evidence(choices=Table({"part": ["frame"]}, meta=meta)))
    assert check.verdict == "bad"
    assert check.causes[0].startswith("the same stars mirrored")


@pytest.mark.parametrize(("bad", "lost", "cause"), [(0.4, 290, "pixels without"), (0.01, 290, "jumps")])
def test_cores_that_are_lost_like_all_pixels(bad, lost, cause):
    fit = {"filename": ["a"], "n_stars": [900], "qfit": [0.015], "n_cores": [300]}
    found = notes(fit=Table(fit | {"n_lost_core": [lost], "bad_pixels": [bad]}))
    assert found[0].causes[0].startswith(cause)


def fitted(**columns):
    fit = {"filename": ["a"], "n_stars": [900], "qfit": [0.015], "n_bright": [250], "chi2_bright": [1.0]}
    return notes(fit=Table(fit | {"chi2": [1.0], "n_peaks": [130], "n_lost_peaks": [2]} | columns))


def test_an_epsf_that_no_star_is_like_is_seen_by_the_stars_that_are_lost():
    assert fitted() == []
    lost = fitted(n_stars=[46], n_bright=[0], chi2_bright=[np.nan], qfit=[0.64], n_lost_peaks=[128])
    assert [c.verdict for c in lost] == ["bad"]
    assert lost[0].causes[0].startswith("the ePSF does not fit these stars")
    assert fitted(n_peaks=[6], n_lost_peaks=[6]) == []  # too few to tell


@pytest.mark.parametrize(("chi2", "verdict"), [(13.0, "bad"), (1.2, "look")])
def test_misfit_is_told_from_noise(chi2, verdict):
    first = fitted(qfit=[0.051], chi2_bright=[chi2])[0]
    assert (first.name, first.verdict) == ("QFIT of bright stars", verdict)


@pytest.mark.parametrize(("chi2", "cause"), [(0.01, "the errors of the pixels are too large"),
                                             (100.0, "the errors of the pixels are too small")])  # fmt: skip
def test_errors_of_the_pixels(chi2, cause):
    first = fitted(chi2=[chi2], n_bright=[0], chi2_bright=[np.nan])[0]
    assert first.verdict == "bad"
    assert first.causes[0] == cause


@pytest.mark.parametrize(
    ("column", "value", "verdict", "cause"),
    [
        ("sky_noise_ratio", 1.2, "ok", ""),
        ("sky_noise_ratio", 2.1, "look", "the errors of the pixels are too small"),
        ("sky_noise_ratio", 10.0, "bad", "the errors of the pixels are too small"),
        ("sky_noise_ratio", 0.33, "bad", "the errors of the pixels are too large"),
        ("sky_noise_ratio", 0.0, "bad", "pixels of one and the same value"),
        ("wing_light", 0.98, "ok", ""),
        ("wing_light", 0.83, "look", "a sky that was subtracted with starlight"),
        ("wing_light", 0.53, "bad", "a sky that was subtracted with starlight"),
        ("err_follows_light", 0.99, "ok", ""),
        ("err_follows_light", 0.01, "bad", "errors of the pixels that are not of this exposure"),
        ("err_follows_light", np.nan, "ok", ""),
    ],
)
def test_pixel_errors_against_what_pixels_show(column, value, verdict, cause):
    found = fitted(**{column: [value]})
    assert [c.verdict for c in found] == [verdict] * (verdict != "ok")
    assert all(c.causes[0].startswith(cause) for c in found)


@pytest.mark.parametrize(("error", "verdict"), [(0.05, "ok"), (0.004, "look")])
def test_wings_that_few_stars_tell_are_no_verdict(error, verdict):
    found = fitted(wing_light=[0.85], wing_light_error=[error])
    assert [c.verdict for c in found] == [verdict] * (verdict != "ok")


def test_wings_of_another_filter_are_no_sky():
    first = fitted(wing_light=[0.55], qfit=[0.17], chi2_bright=[30.0])[0]
    assert first.causes[0].startswith("the ePSF does not fit these stars")


@pytest.mark.parametrize(
    ("error", "pixels", "sky", "verdict", "cause"),
    [
        (0.006, 0.006, 1.05, "ok", ""),
        (0.021, 0.020, 1.05, "look", "a flat field"),
        (0.050, 0.050, 1.05, "bad", "a flat field"),
        (0.050, 0.050, np.nan, "ok", ""),  # the light of unseen neighbors
        (0.021, 0.005, 1.05, "ok", ""),
        (0.050, 0.010, 1.05, "look", "the ePSF does not fit"),
        (0.090, 0.030, np.nan, "bad", "the ePSF does not fit"),
        (np.nan, np.nan, 1.05, "ok", ""),
    ],
)
def test_errors_in_proportion_to_the_light(error, pixels, sky, verdict, cause):
    found = fitted(light_error=[error], light_error_pixels=[pixels], sky_noise_ratio=[sky])
    assert [c.verdict for c in found] == [verdict] * (verdict != "ok")
    assert all(c.causes[0].startswith(cause) for c in found)


def test_one_exposure_whose_pixels_are_off_has_cosmic_rays():
    one = [0.005, 0.005, 0.02, 0.006]
    more = {"filename": list("abcd"), "n_stars": [900] * 4, "qfit": [0.015] * 4, "sky_noise_ratio": [1.0] * 4}
    (check,) = notes(fit=Table(more | {"light_error": one, "light_error_pixels": one}))
    assert (check.verdict, check.about) == ("look", "c")
    assert check.causes[0].startswith("cosmic rays")


def test_saturated_stars_alone():
    assert fitted(n_high=[300], n_cores=[260], n_lost_core=[3]) == []
    first = fitted(n_high=[300], n_cores=[20], n_lost_core=[1])[0]
    assert first.verdict == "bad"
    assert "saturated" in first.causes[0]


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "ok"), (0.01, "look"), (0.05, "bad")])
def test_pixels_that_were_filled_with_a_number(share, verdict):
    found = fitted(filled_pixels=[share])
    assert [(c.verdict, c.causes[0][:32]) for c in found] == (
        [] if verdict == "ok" else [(verdict, "pixels of one and the same value")]
    )


def test_photon_noise_stated_twice_too_large_is_told():
    assert fitted(chi2_bright=[0.92]) == []
    first = fitted(chi2_bright=[0.53])[0]  # as measured of a field with twice its photon variance
    assert (first.name, first.verdict) == ("chi-square of bright stars", "look")
    assert "another gain" in first.causes[0]
