"""Reference stars' differences are judged by what as many epochs can show."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, run_checks


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


@pytest.mark.parametrize(("power", "cause"), [(1, "without the factor cos(dec)"), (-1, "cos(dec) twice")])
def test_a_missing_factor_is_bad_whatever_the_declination_makes_of_it(power, cause):
    meta = {"n_epochs": 7, "cos_dec_power": power}
    references = Table({"significance": np.full(40, 1.9), "kept": np.ones(40, bool)}, meta=meta)
    first = run_checks(Evidence(references=references))[0]
    assert first.verdict == "bad"
    assert cause in first.causes[0]
    few = run_checks(Evidence(references=references[:12]))
    assert not [c for c in few if c.verdict == "bad"]


def test_motions_of_other_stars_are_named():
    meta = {"n_epochs": 7} | dict.fromkeys(
        ("correlation_pmra", "correlation_pmdec", "crossed_pmra", "crossed_pmdec"), 0.05
    )
    references = Table({"significance": np.full(40, 2.6), "kept": np.ones(40, bool)}, meta=meta)
    first = run_checks(Evidence(references=references))[0]
    assert first.causes[0].startswith("motions of the reference catalog that are other stars'")


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
