"""What all Steps share: specs, inputs, names of products, failures, workers."""

import os
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.table import Table
from stdatamodels.jwst.datamodels import ImageModel

from jwst_hpastrom.errors import MissingDataError, NotEnoughStarsError, ParameterError, UnexpectedError
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._spec import spec_from
from jwst_hpastrom.steps._star_lists import StarLists
from jwst_hpastrom.steps.execution import resources
from jwst_hpastrom.storage import Store


def science(
    image,
    *,
    mode="fast",
    radius=2.5,
    n_stars=3,
    clip=True,
    label=None,
    limit=None,
    executor=None,
    progress=False,
):
    """Do something.

    Parameters
    ----------
    image : ndarray
        Not a keyword.

    mode : {'fast', 'slow'}
        How to do it. There is more to say.

    radius : float
        How far; in pixels.

    n_stars, clip : int, bool
        Shared words.

    label : str, optional
        A name.

    limit : float, optional
        A limit.

    Returns
    -------
    ndarray
    """


def test_a_spec_is_made_from_the_signature():
    lines = spec_from(science).splitlines()
    assert lines == [
        "mode = option('fast', 'slow', default='fast')  # How to do it. There is more to say",
        "radius = float(default=2.5)  # How far",
        "n_stars = integer(default=3)  # Shared words",
        "clip = boolean(default=True)  # Shared words",
        "label = string(default=None)  # A name",
        "limit = float(default=None)  # A limit",
    ]


class ToyStep(StarLists, HPStep):
    class_alias = "hp_toy"
    spec = spec_from(science)
    trouble = None

    def run_step(self, inputs):
        if self.trouble:
            raise self.trouble
        self.seen = inputs


def make_association(tmp_path):
    (tmp_path / "jw1_nis_cal.fits").touch()
    path = tmp_path / "a_asn.json"
    path.write_text('{"products": [{"name": "field", "members": [{"expname": "jw1_nis_cal.fits"}]}]}')
    return str(path)


def test_paths_and_parameters(tmp_path):
    step = ToyStep(radius=4.0)
    assert step.run(make_association(tmp_path)) is None
    assert step.seen.product == "field"
    assert not step.seen.in_memory
    assert step.parameters_of(science) == {
        "mode": "fast",
        "radius": 4.0,
        "n_stars": 3,
        "clip": True,
        "label": None,
        "limit": None,
    }


@pytest.mark.parametrize("data", [None, 3, {}, ["a_cal.fits"], np.zeros(3), Table(), [Table()]])
def test_what_is_no_input(data):
    with pytest.raises(ParameterError, match="needed a path, an association, or data models"):
        ToyStep().run(data)


def test_models_need_names():
    with ImageModel((9, 9)) as model, pytest.raises(MissingDataError, match="meta.filename"):
        step = ToyStep()
        step.run(model)
        list(step.each_member(step.seen))


def test_errors_name_the_input_and_have_our_type(tmp_path):
    step, path = ToyStep(), make_association(tmp_path)
    step.trouble = NotEnoughStarsError("2", "3")
    with pytest.raises(NotEnoughStarsError, match="a_asn.json: found 2, needed 3"):
        step.run(path)
    step.trouble = NotEnoughStarsError("2", "3", file="x_cal.fits")
    with pytest.raises(NotEnoughStarsError, match="^x_cal.fits"):
        step.run(path)
    step.trouble = ZeroDivisionError("division")
    with pytest.raises(UnexpectedError, match="ZeroDivisionError: division"):
        step.run(path)


def test_failures_stop_or_are_skipped(caplog):
    error = NotEnoughStarsError("2", "3", file="x")
    with pytest.raises(NotEnoughStarsError):
        ToyStep().failed(error)
    step = ToyStep(on_error="skip")
    step.failed(error)
    assert "skipped: NotEnoughStarsError: x: found 2" in caplog.text


def test_products_go_to_the_outermost_output_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", str(tmp_path))
    parent = ToyStep(output_dir="$HERE/out")
    child = ToyStep(parent=parent)
    assert child.output_path("r", "stars", "ecsv") == tmp_path / "out" / "r_stars.ecsv"
    assert ToyStep().output_path("r", "stars", "ecsv").parent == type(tmp_path)(".")


def test_a_missing_star_list_is_named(tmp_path):
    step = ToyStep(output_dir=str(tmp_path))
    step.run(make_association(tmp_path))
    with pytest.raises(MissingDataError, match="jw1_nis_cal.fits: found no star list"):
        step.star_lists(step.seen, columns=("x", "y"), store=Store())


def test_own_suffixes_are_stripped():
    step = ToyStep()
    assert step.remove_suffix("jw1_nis_stars") == ("jw1_nis", "_")
    assert step.remove_suffix("jw1_nis_cal")[0] == "jw1_nis"
    assert step.remove_suffix("field_other")[0] == "field_other"


def square(x):
    return os.getpid(), x * x


@pytest.mark.parametrize("workers", [1, 2])
def test_workers(workers):
    with ToyStep(workers=workers).executor() as pool:
        if workers == 1:
            assert pool is None
            return
        results = list(pool.map(square, range(4)))
    assert [r[1] for r in results] == [0, 1, 4, 9]
    assert all(r[0] != os.getpid() for r in results)


@pytest.mark.parametrize("value", ["medium", "12"])
def test_a_parameter_that_makes_no_sense(value):
    with pytest.raises(ParameterError, match="mode"):
        ToyStep.from_config_section(ToyStep.load_spec_file().__class__({"mode": value}))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError, match="file/below: found no folder"):
        ToyStep(output_dir=str(tmp_path / "file" / "below")).run(make_association(tmp_path))


def test_a_scheduler_that_is_not_there():
    """With or without the package that would call it."""
    soon = nullcontext()
    if find_spec("distributed"):
        soon = import_module("dask.config").set({"distributed.comm.timeouts.connect": "0.1s"})
    step = ToyStep(scheduler="tcp://127.0.0.1:1")
    with soon, pytest.raises(ParameterError, match=r"127\.0\.0\.1:1"), step.executor():
        pass


def test_two_models_of_one_exposure():
    models = [ImageModel((8, 8)) for _ in range(2)]
    for model, name in zip(models, ("a_cal.fits", "a_crf.fits"), strict=True):
        model.meta.filename = name
    with pytest.raises(ParameterError, match="more than one model of a"):
        HPStep().open_inputs(models)


def test_several_files_for_one_step():
    with pytest.raises(ParameterError, match="2 inputs"):
        ToyStep().run("a_cal.fits", "b_cal.fits")


@pytest.mark.parametrize(
    ("workers", "memory", "said"), [(2, "4GB", False), (8, "4GB", True), (8, "9GB", False)]
)
def test_more_processes_than_memory_are_said(tmp_path, caplog, monkeypatch, workers, memory, said):
    monkeypatch.setattr(resources, "worker_pool", lambda n: nullcontext(n))
    step = ToyStep(output_dir=str(tmp_path), workers=workers, memory=memory)
    with step.executor() as pool:
        assert pool == workers
    assert (f"{workers} workers and this process may take up to 9 GB" in caplog.text) == said


def test_rounding_is_no_error_whatever_the_caller_says(tmp_path):
    class Rounds(ToyStep):
        def run_step(self, inputs):
            self.least = np.exp(np.array([-800.0]))[0]

    step = Rounds()
    with np.errstate(all="raise"):
        step.run(make_association(tmp_path))
        assert np.geterr()["under"] == "raise"
    assert step.least == 0
