"""Reference stars' differences are judged by what as many epochs can show."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, run_checks
from jwst_hpastrom.motion.star_fits.reference_columns import stated_errors


@pytest.mark.parametrize(
    ("typical", "n_epochs", "expected"),
    [(1.2, 14, "ok"), (2.7, 14, "bad"), (2.7, 3, "ok"), (1.2, 3, "ok"), (3.8, 4, "look"), (9.0, 3, "bad")],
)
def test_few_epochs_do_not_show_what_errors_of_lists_lack(typical, n_epochs, expected):
    references = Table(
        {"significance": np.full(40, typical), "kept": np.ones(40, bool)}, meta={"n_epochs": n_epochs}
    )
    checks = run_checks(Evidence(references=references))
    (found,) = (c for c in checks if c.name.startswith("reference stars' median"))
    assert found.verdict == expected
    if expected != "ok":
        assert any("star lists" in c for c in found.causes) == (n_epochs < 5)


@pytest.mark.parametrize(
    ("scatter", "cause"), [(1.1, "errors of the reference"), (2.2, "errors of the star")]
)
def test_lists_with_too_small_errors_are_named_first(scatter, cause):
    table = references(list_scatter=scatter)
    table["significance"] = 3.2
    first = run_checks(Evidence(references=table))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause)


def references(**meta):
    columns = {"significance": np.full(40, 1.9), "kept": np.ones(40, bool)}
    return Table(columns, meta={"n_epochs": 7} | meta)


@pytest.mark.parametrize(
    ("name", "cause"),
    [("cos_dec", "without the factor cos(dec)"), ("cos_dec_twice", "cos(dec) twice"),
     ("others", "other stars'"), ("turned", "turned"), ("units", "other units"), ("signs", "other sign")],
)  # fmt: skip
def test_wrong_columns_are_bad_whatever_becomes_of_the_stars(name, cause):
    table = references(columns=name, columns_chi2=60.0, time_error=3.0, time_error_error=0.1)
    first = run_checks(Evidence(references=table))[0]
    assert first.verdict == "bad"
    assert cause in first.causes[0]


@pytest.mark.parametrize(
    ("angle", "frame", "verdict"), [(0.3, "", "ok"), (60.0, "Galactic", "bad"), (60.0, "", "look")]
)
def test_axes_of_the_reference_catalog(angle, frame, verdict):
    found = run_checks(Evidence(references=references(axes_deg=angle, axes_of=frame)))
    (check,) = (c for c in found if c.name.startswith("angle of the reference catalog"))
    assert check.verdict == verdict
    assert not frame or check.causes[0].startswith(frame)


@pytest.mark.parametrize(("position", "motion", "bad"), [(0.15, 0.12, 0), (4e-8, 0.12, 1), (0.15, 1e-5, 1)])
def test_errors_of_the_reference_catalog_in_other_units(position, motion, bad):
    table = references(position_error_mas=position, motion_error_mas_yr=motion)
    found = [c for c in run_checks(Evidence(references=table)) if c.verdict == "bad"]
    assert len(found) == bad
    assert all("units" in c.causes[0] for c in found)


@pytest.mark.parametrize(("ratio", "verdict"), [(0.8, "ok"), (2.8, "look"), (1e-3, "bad")])
def test_errors_of_the_reference_catalog_along_one_axis(ratio, verdict):
    stars = SimpleNamespace(
        covariance=np.diag([ratio**2, 1.0, 1.0, 1.0])[None].repeat(30, 0), epoch=np.full(30, 2016.0)
    )
    found = run_checks(Evidence(references=references(**stated_errors(stars))))
    (check,) = (c for c in found if "positions along right ascension" in c.name)
    assert check.verdict == verdict


@pytest.mark.parametrize(
    ("time", "share", "loo", "verdict", "cause"),
    [
        (0.05, 0.99, 1.0, "ok", ""),
        (-3.0, 0.92, 1.39, "bad", "a wrong epoch of this list"),
        (-12.0, 0.91, 1.44, "bad", "a wrong epoch of this list"),
        (7.7, 0.55, 1.8, "bad", "positions of this list that are wrong"),
        (10.8, 0.86, 1.37, "bad", "positions of this list that are wrong"),
        (0.15, 0.94, 1.56, "look", "errors of this list that are too small"),
    ],
)
def test_what_makes_a_list_look_late(time, share, loo, verdict, cause):
    n, k = 6, 3
    columns = {"time_error": np.zeros(n), "share_used": np.full(n, 0.99), "loo_pull": np.ones(n)}
    for name, value in zip(columns, (time, share, loo), strict=True):
        columns[name][k] = value
    columns |= {"time_error_error": np.full(n, 0.02), "scatter_over_error": np.ones(n)}
    names = [f"visit{i}" for i in range(n)]
    checks = run_checks(Evidence(epochs=Table({"list": names} | columns)))
    found = [c for c in checks if c.verdict != "ok"]
    assert [c.verdict for c in found[:1]] == [verdict] * (verdict != "ok")
    assert all(c.about == "visit3" for c in found)
    assert all(c.causes[0].startswith(cause) for c in found[:1])
