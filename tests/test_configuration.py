"""Configurations: parameters once, with ranges, help and signature, taken as keywords or together."""

import inspect
import pickle
from dataclasses import FrozenInstanceError

import astropy.units as u
import numpy as np
import pytest

from jwst_hpastrom.configuration import Configuration, configuration, configured, parameter
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion import (
    EpochsConfig,
    GaiaCuts,
    TwoEpochConfig,
    fit_epochs,
    fit_motions,
    two_epoch_motions,
)
from jwst_hpastrom.motion.gaia_frame.reference import select_gaia
from jwst_hpastrom.ranges import documented
from jwst_hpastrom.steps._spec import spec_from


@configuration
class Cuts(Configuration):
    """Which stars are taken."""

    clip: float = parameter(
        default=3.0, kind="float", text="Clipping, in standard\n    deviations. More of it."
    )
    mag_min: float | None = parameter(default=None, kind="float, optional", text="Bright limit.")
    mag_max: float | None = parameter(default=None, kind="float, optional", text="Faint limit.")


@configuration
class Counted(Configuration):
    """How many."""

    n: int = parameter(default=1, kind="int", text="Number.")


@configuration
class Whole(Configuration):
    """Everything."""

    cuts: Cuts = Cuts()
    models: str = parameter(default="a", kind='{"a", "b"} or sequence of str', text="Which models.")


@configured(Whole)
def work(stars, factor=2, *, config, rng=None):
    """Work.

    Parameters
    ----------
    stars : list

    {options}

    rng : object

    Returns
    -------
    Whole
    """
    return config


def test_keywords_and_configuration_are_one():
    assert work([]) == Whole()
    assert work([], clip=2.0, models="b") == Whole(Cuts(clip=2.0), models="b")
    assert work([], config=Whole(Cuts(mag_min=-5.0)), clip=2.0) == Whole(Cuts(2.0, -5.0))
    assert work([], models=("c", "d")).models == ("c", "d")
    assert pickle.loads(pickle.dumps(Whole(Cuts(2.0)))) == Whole(Cuts(2.0))
    with pytest.raises(FrozenInstanceError):
        Cuts().clip = 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": -1.0}, r"clip=-1.0, needed more than 0; see help\(work\)"),
        ({"models": "c"}, r"models='c', needed a or b; see help\(work\)"),
        ({"mag_min": -3.0, "mag_max": -7.0}, "mag_min below mag_max"),
    ],
)
def test_values_are_checked(options, message):
    with pytest.raises(ParameterError, match=message):
        work([], **options)
    with pytest.raises(ParameterError, match=message.split(";")[0]):
        Whole().given(**options)


def test_limits_of_keyword_and_configuration_are_checked_together():
    with pytest.raises(ParameterError, match="mag_min below mag_max"):
        work([], config=Whole(Cuts(mag_min=-3.0)), mag_max=-7.0)


def test_unknown_keywords_name_the_nearest():
    with pytest.raises(TypeError, match=r"work\(\) got an unexpected .*'cllp'; did you mean 'clip'"):
        work([], cllp=2.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'qqqq'$"):
        work([], qqqq=2.0)
    with pytest.raises(TypeError, match="'max_ruve'; did you mean 'max_ruwe'"):
        fit_epochs([], None, max_ruve=1.2)


def test_signature_and_help_are_the_fields():
    parameters = inspect.signature(work).parameters
    assert [*parameters] == ["stars", "factor", "clip", "mag_min", "mag_max", "models", "config", "rng"]
    assert parameters["clip"].default == 3.0
    known = documented(work)
    assert known["clip"] == ("float", "Clipping, in standard deviations")
    assert known["models"] == ('{"a", "b"} or sequence of str', "Which models")
    assert "rng" in known
    assert "clip = float(default=3.0)  # Clipping, in standard deviations\n" in spec_from(work)
    assert "config" not in spec_from(work)
    assert "Clipping, in standard deviations. More of it." in Cuts.__doc__
    assert "cuts : `Cuts`" in Whole.__doc__
    assert "models : {" in Whole.__doc__


@pytest.mark.parametrize(
    ("function", "config"),
    [(fit_epochs, EpochsConfig), (two_epoch_motions, TwoEpochConfig), (select_gaia, GaiaCuts)],
)
def test_public_functions_take_theirs(function, config):
    """No parameter is there twice, and each has its help."""
    shown = inspect.signature(function).parameters
    for name, (_, text) in documented(function).items():
        assert name in shown, name
        assert text or name in ("gaia", "progress"), name
    assert shown["config"].annotation == config | None


def test_arrays_are_taken():
    t = np.array([2010.0, 2012.0, 2014.0])
    x = np.ones((1, 3))
    fits = fit_motions(t, x, x, 0.1 * x, 0.1 * x, use=np.array([[True, True, True]]))
    assert fits.used.all()


def test_what_the_models_leave_open():
    config = EpochsConfig().resolved()
    assert (config.plates.transformation_errors, config.mixed) == ("joint", True)
    config = EpochsConfig().given(models="h25").resolved()
    assert (config.plates.transformation_errors, config.mixed) == ("bootstrap", False)
    with pytest.raises(ParameterError, match="reference_rule=mixture with formal errors"):
        EpochsConfig().given(reference_rule="mixture", transformation_errors="formal").resolved()


@pytest.mark.parametrize("given", [(5, 5), "5", 5 * u.pix, np.ones(2), 5.5, None])
def test_one_number_is_one_number(given):
    with pytest.raises(ParameterError, match="n=.*needed (one whole|a) number"):
        Counted(n=given)


@pytest.mark.parametrize("given", [(5, 5), "5", 5 * u.mag, np.ones(2)])
def test_one_number_is_one_number_of_functions(given):
    with pytest.raises(ParameterError, match="mag_max=.*needed one number"):
        two_epoch_motions(None, None, mag_max=given)


def test_a_whole_number_stays_one():
    assert type(Counted(n=7.0).n) is int
    assert type(Counted().given(n=np.float64(3)).n) is int
