"""What is wrong with a reference catalog's columns is named by its stars' measured motions."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, Galactic, SkyCoord
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, overall, run_checks
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.motion.star_fits.reference_columns import named_axes, north_in, reference_motions
from tests.motion.jwst_epochs import simulate, visits

COS_DEC = 0.6
ERROR = 0.12


def turned(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def told(matrix=None, seed=1, n=60, dispersion=0.3, bent=0.0, others=False, errors=ERROR):
    """What is found of motions whose catalog has them times a matrix, in a frame that is bent."""
    rng = np.random.default_rng(seed)
    place, true = rng.uniform(-1, 1, (n, 2)), rng.normal(0, dispersion, (n, 2))
    theirs = (rng.permutation(true) if others else true) @ (np.eye(2) if matrix is None else matrix).T
    theirs = theirs + rng.normal(0, errors, theirs.shape)
    bend = bent * np.stack([place[:, 0] * place[:, 1], place[:, 0] ** 2], 1)
    ours = true + bend + rng.normal(0, 0.03, true.shape)
    return reference_motions(ours - theirs, ours, COS_DEC, np.hypot(errors, 0.03), place)


SPOILED = {
    "exchanged": np.eye(2)[::-1],
    "pmra_sign": np.diag([-1.0, 1.0]),
    "pmdec_sign": np.diag([1.0, -1.0]),
    "signs": -np.eye(2),
    "cos_dec": np.diag([1 / COS_DEC, 1.0]),
    "cos_dec_twice": np.diag([COS_DEC, 1.0]),
    "turned": turned(60.0),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bent", [0.0, 1.0])
@pytest.mark.parametrize("name", SPOILED)
def test_what_is_wrong_is_named(name, bent, seed):
    found = told(SPOILED[name], seed, dispersion=0.8, bent=bent)
    assert found["columns"] == name
    if name == "turned":
        assert found["turn_deg"] == pytest.approx(60.0, abs=4 * found["turn_error_deg"])


@pytest.mark.parametrize("degrees", [60.0, -75.0, 140.0])
def test_a_turn_is_told_where_errors_are_as_large_as_the_dispersion(degrees):
    found = [told(turned(degrees), seed, dispersion=0.15) for seed in range(4)]
    assert [f["columns"] for f in found].count("turned") >= 3
    assert all(f["columns"] in ("turned", "signs", "others") for f in found)


@pytest.mark.parametrize("dispersion", [0.03, 0.15, 1.0, 5.0])
@pytest.mark.parametrize("errors", [0.05, 0.15])
def test_right_columns(dispersion, errors):
    for seed in range(8):
        found = told(seed=seed, dispersion=dispersion, errors=errors, bent=0.2, n=(12, 31, 80)[seed % 3])
        assert found["columns"] == "", found


@pytest.mark.parametrize("seed", range(4))
def test_motions_of_other_stars(seed):
    assert told(seed=seed, dispersion=0.4, others=True)["columns"] == "others"


def test_motions_in_arcsec():
    found = told(1e-3 * np.eye(2), errors=1e-4)
    assert found["columns"] == "units"


@pytest.mark.parametrize("seed", range(4))
def test_wrong_measured_motions_are_no_other_stars(seed):
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 0.15, (36, 2))
    theirs = true + rng.normal(0, ERROR, true.shape)
    ours = true + np.where(rng.uniform(size=(36, 1)) < 0.25, rng.normal(0, 3.0, true.shape), 0.0)
    assert reference_motions(ours - theirs, ours, COS_DEC, ERROR)["columns"] == ""


def test_few_stars_tell_nothing():
    found = told(SPOILED["exchanged"], n=9, dispersion=3.0)
    assert found["columns"] == ""
    assert np.isnan(found["correlation_pmra"])


@pytest.mark.parametrize(
    ("name", "frame"), [("Galactic", Galactic()), ("ecliptic", BarycentricMeanEcliptic())]
)
@pytest.mark.parametrize(("ra", "dec"), [(80.5, -69.5), (266.4, -29.0), (10.0, 41.0)])
def test_axes_of_frames(name, frame, ra, dec):
    star = SkyCoord(
        ra * u.deg, dec * u.deg, pm_ra_cosdec=0.5 * u.mas / u.yr, pm_dec=2.0 * u.mas / u.yr
    ).transform_to(frame)
    motion = star.proper_motion.to_value("mas/yr")
    np.testing.assert_allclose(turned(north_in(ra, dec)[name]) @ [0.5, 2.0], motion, atol=1e-6)
    turn = north_in(ra, dec)[name]
    assert named_axes(turn + 0.5, ra, dec) == name
    lon, lat = star.spherical.lon.deg, star.spherical.lat.deg
    assert named_axes(turn - 0.5, lon, lat, given=False) == name
    assert named_axes(turn + 3.0, ra, dec) == ""
    assert named_axes(turn, ra, dec, within=20.0) == ""


def spoiled_run(spoil, seed=72):
    lists, gaia, _ = simulate(seed, n=300, n_gaia=49, when=visits(5))
    spoil(gaia)
    out = fit_epochs(lists, gaia)
    return run_checks(Evidence(references=out.timed_references()))


def test_galactic_coordinates_are_named():
    def spoil(gaia):
        there = SkyCoord(gaia["ra"], gaia["dec"], unit="deg").galactic
        gaia["ra"], gaia["dec"] = there.l.deg, there.b.deg

    first = spoiled_run(spoil)[0]
    assert (first.verdict, first.causes[0][:8]) == ("bad", "Galactic")


def test_position_errors_in_degrees_are_named():
    def spoil(gaia):
        for c in ("ra_error", "dec_error"):
            gaia[c] /= 3.6e6

    first = spoiled_run(spoil)[0]
    assert first.verdict == "bad"
    assert "units" in first.causes[0]


def test_a_good_catalog():
    assert overall(spoiled_run(lambda gaia: None)) == "ok"


def test_rows_of_two_epochs_are_named():
    epochs = 2016.0 - 6.0 * (np.arange(49) % 2)
    first = spoiled_run(lambda gaia: gaia.replace_column("ref_epoch", epochs))[0]
    assert first.verdict == "bad"
    assert "ref_epoch" in first.causes[0]
    lists, gaia, _ = simulate(71, n=500, when=visits(6))
    gaia["ref_epoch"] = epochs
    with pytest.raises(NotEnoughStarsError, match="2010.*2016"):
        fit_epochs(lists, gaia)


def references(scale=1.0, **changes):
    """A table of reference stars as `EpochMotions.timed_references` makes it."""
    significance = np.abs(np.random.default_rng(2).normal(0, 1, (40, 4))).max(1) * scale
    table = Table({"significance": significance, "kept": significance < 4})
    table.meta |= told(dispersion=1.0) | changes
    return table


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        ({"scale": 3.0}, "errors of the reference catalog that are too small"),
        ({"scale": 1 / 3}, "errors of the reference catalog that are too large"),
        *(
            ({"scale": 3.0} | told(m, dispersion=1.0), cause)
            for m, cause in (
                (SPOILED["exchanged"], "pmra and pmdec of the reference catalog exchanged"),
                (SPOILED["pmra_sign"], "pmra of the reference catalog with the other sign"),
                (SPOILED["cos_dec"], "pmra of the reference catalog without the factor cos(dec)"),
                (SPOILED["turned"], "motions of the reference catalog that are turned"),
            )
        ),
    ],
)
def test_causes(spoil, cause):
    first = run_checks(Evidence(references=references(**spoil)))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause)


def test_good_references():
    assert overall(run_checks(Evidence(references=references()))) == "ok"


@pytest.mark.parametrize(
    ("turn", "cause"),
    [(0.0, "motions of the catalog along Galactic"), (25.0, "motions of the catalog that are turned")],
)
def test_axes_of_a_first_epoch_catalog_are_named(turn, cause):
    found = {"turn_deg": -(north_in(80.5, -69.5)["Galactic"] + turn), "turn_error_deg": 0.3}
    motions = Table({"ra": [80.4, 80.6], "dec": [-69.5, -69.5], "pmra": [0.0, 1.0], "pmdec": [0.0, 1.0]})
    motions.meta["against_catalog"] = found
    first = run_checks(Evidence(motions=motions))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause)
