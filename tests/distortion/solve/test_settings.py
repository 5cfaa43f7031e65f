"""The settings that stages hand on are the parameters of the public functions, with their defaults."""

import inspect
from dataclasses import fields

import pytest

from jwst_hpastrom.distortion import match_reference, solve_distortion
from jwst_hpastrom.distortion.solve.settings import Model, PairMatching


@pytest.mark.parametrize(
    ("settings", "function"),
    [(PairMatching, match_reference), (PairMatching, solve_distortion), (Model, solve_distortion)],
)
def test_names_and_defaults_are_the_functions(settings, function):
    parameters = inspect.signature(function).parameters
    for field in fields(settings):
        assert parameters[field.name].default == field.default, field.name
    assert settings().keywords() == {field.name: field.default for field in fields(settings)}
