"""What stpipe and asdf ask for by the package's entry points."""

from importlib import import_module
from importlib.metadata import entry_points

import asdf
import pytest

from jwst_hpastrom import steps
from jwst_hpastrom.integration import get_resource_mappings, get_steps


@pytest.mark.parametrize(("name", "alias", "is_pipeline"), get_steps())
def test_every_step_is_where_it_is_said_to_be(name, alias, is_pipeline):
    from jwst.stpipe import Pipeline

    module, _, cls = name.rpartition(".")
    step = getattr(import_module(module), cls)
    assert step.class_alias == alias
    assert issubclass(step, Pipeline) == is_pipeline


def test_all_steps_are_offered():
    assert {name.rpartition(".")[2] for name, *_ in get_steps()} == {
        n for n in steps.__all__ if n.endswith(("Step", "Pipeline"))
    }
    (point,) = entry_points(group="stpipe.steps", name="jwst_hpastrom")
    assert point.value == "jwst_hpastrom.integration:get_steps"


def test_schemas_are_found_by_their_names():
    (mapping,) = get_resource_mappings()
    names = list(mapping)
    assert names
    for name in names:
        assert asdf.schema.load_schema(name)["id"] == name
