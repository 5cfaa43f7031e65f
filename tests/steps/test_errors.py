"""How errors leave a Step: as ours, naming the input and the cause, after the last progress bar."""

from concurrent.futures.process import BrokenProcessPool

import pytest
from astropy.table import Table
from tqdm import tqdm

from jwst_hpastrom.errors import BadCatalogError, UnexpectedError, WorkerLostError
from jwst_hpastrom.steps import MasterFrameStep
from jwst_hpastrom.steps._errors import errors_by_cause, no_bars_after


@pytest.mark.parametrize("cause", [BrokenProcessPool("died"), MemoryError()])
def test_a_dead_worker_is_named(cause):
    with (
        pytest.raises(WorkerLostError, match=r"^a_asn\.json: found .*fewer workers"),
        errors_by_cause("a_asn.json"),
    ):
        raise cause


def test_what_nobody_foresaw_is_named_too():
    with (
        pytest.raises(UnexpectedError, match=r"^a_cal\.fits: found ZeroDivisionError: division by zero"),
        errors_by_cause("a_cal.fits"),
    ):
        _ = 1 / 0


def test_bars_of_a_failed_block_are_closed_and_others_stay(tmp_path):
    with (tmp_path / "bars").open("w") as out, tqdm(total=2, file=out) as outer:
        with pytest.raises(KeyError), no_bars_after():
            inner = tqdm(total=2, file=out)
            raise KeyError
        assert inner not in tqdm._instances
        assert outer in tqdm._instances


@pytest.mark.parametrize("kind", ["list", "several lists"])
def test_tables_in_fits_are_inputs_by_call_too(tmp_path, kind):
    paths = [str(tmp_path / f"{k}_stars.fits") for k in "ab"[: 1 + (kind != "list")]]
    for path in paths:
        Table({"x": [1.0]}).write(path)
    with pytest.raises(BadCatalogError, match=r"a_stars.fits: found no column y"):
        MasterFrameStep.call(*paths, output_dir=str(tmp_path))


def test_several_files_are_named_by_the_first():
    assert MasterFrameStep.default_name(["b.ecsv", "a.ecsv"]) == "b.ecsv"
