"""A Dask cluster: the same bytes as without, small tasks, and ends that are named."""

import gc
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from jwst_hpastrom.distortion.pixelmap.pixel_map import build_pixel_map
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import ParameterError, WorkerLostError
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.simulation.optics import OpticsConfig
from jwst_hpastrom.steps import EPSFBuildStep, EPSFFitStep, MasterFrameStep
from jwst_hpastrom.steps.execution.cluster import CONNECT, ClusterExecutor, cluster

distributed = pytest.importorskip("distributed")
LoopRunner = distributed.utils.LoopRunner

QUICK = {
    "n_iterations": 2, "n_global": 1, "n_fitted": 1, "grid": 2, "choose_grid": False, "mesh": 50,
}  # fmt: skip
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # of distributed's sockets
]


@pytest.fixture(scope="module")
def address():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=":0"
    ) as made:
        yield made.scheduler_address


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    sky = simulate_field(
        size=200, n_exposures=3, n_stars=130, mag_faint=-4.0, filter="F200W", seed=3,
        optics=OpticsConfig(n_field=2, n_wavelengths=1),
    )  # fmt: skip
    write_field(sky, folder)
    write_epsf_reference(
        EPSFLibrary(*sky.epsf.sampled(), meta={"filter": "F200W"}).normalized(), folder / "true_epsf.asdf"
    )
    return folder


@pytest.fixture
def largest(monkeypatch):
    """Bytes of the largest task, at the end of each cluster's use."""
    found, init = [], ClusterExecutor.__init__
    monkeypatch.setattr(
        ClusterExecutor, "__init__", lambda self, client: found.append(self) or init(self, client)
    )
    return lambda: [e.largest for e in found]


def test_steps_give_the_same_bytes(address, folder, tmp_path, monkeypatch, largest):
    """With relative paths, which the workers, elsewhere, could not find."""
    monkeypatch.chdir(folder)
    asn = "field_asn.json"
    for name, how in (("one", {}), ("dask", {"scheduler": address})):
        out = {"output_dir": os.path.relpath(tmp_path / name), **how}
        EPSFBuildStep(**out, **QUICK).run(asn)
        EPSFFitStep(**out, epsf_file="true_epsf.asdf").run(asn)
        MasterFrameStep(**out, epsf_file="true_epsf.asdf", mode="many").run(asn)
    one, dask = tmp_path / "one", tmp_path / "dask"
    names = {p.name for p in one.iterdir()}
    assert names == {p.name for p in dask.iterdir()}
    assert {f"{p.name[:-9]}_stars.ecsv" for p in folder.glob("*_cal.fits")} <= names
    for name in names:
        if name.endswith(".ecsv"):
            assert (one / name).read_bytes() == (dask / name).read_bytes(), name
    np.testing.assert_array_equal(*(read_epsf(d / "field_epsf.fits").data for d in (one, dask)))
    assert len(largest()) == 3
    assert max(largest()) <= 1 << 20


def test_the_pixel_map_is_the_same(address):
    rng = np.random.default_rng(1)
    data = [*rng.uniform(0, 128, (2, 4000)), *rng.normal(0, 0.01, (2, 4000))]
    with cluster(address) as executor:
        there = build_pixel_map(*data, n_nearest=20, shape=(128, 128), executor=executor)
    assert there == build_pixel_map(*data, n_nearest=20, shape=(128, 128))


def twice(a):
    a *= 2
    return a


def test_large_arrays_go_once(address):
    large = np.ones(1 << 18)
    with cluster(address) as executor:
        jobs = [executor.submit(twice, large) for _ in range(4)]
        for job in jobs:
            np.testing.assert_array_equal(job.result(), 2.0)
        assert executor.arrays == large.nbytes
        assert executor.largest < 1 << 12
    np.testing.assert_array_equal(large, 1.0)


def total(arrays):
    arrays[3] *= 2
    return [float(a.sum()) for a in arrays]


def test_many_small_arrays_are_a_large_one(address):
    arrays = [np.full(4000 * (k % 2) + 3, k, float) for k in range(80)] + [np.ones(1 << 14)]
    with cluster(address) as executor:
        jobs = [executor.submit(total, arrays) for _ in range(2)]
        sums = [float(a.sum()) * (2 if k == 3 else 1) for k, a in enumerate(arrays)]
        assert [job.result() for job in jobs] == [sums, sums]
        assert executor.largest <= 1 << 20
        assert executor.arrays < 2 * sum(a.nbytes for a in arrays)  # both tasks have the same


def fail(text):
    raise ParameterError(text, "another")


def die_once(path, large):
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return float(large.sum())


def test_an_error_is_the_task_s_and_a_lost_worker_is_made_good(address, tmp_path):
    with cluster(address) as executor:
        with pytest.raises(ParameterError, match="found nothing"):
            executor.submit(fail, "nothing").result()
        assert executor.submit(die_once, str(tmp_path / "died"), np.ones(1 << 17)).result() == 1 << 17


def test_wrong_addresses_are_said_soon_and_leave_nothing(monkeypatch):
    """A client left half made closes when it is collected: where another one starts, both wait for ever."""
    real = LoopRunner._start_unlocked
    monkeypatch.setattr(LoopRunner, "_start_unlocked", lambda self: (gc.collect() and False) or real(self))
    assert CONNECT < 10
    monkeypatch.setattr("jwst_hpastrom.steps.execution.cluster.CONNECT", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense", "of://host:1", "nohost.invalid:8786"):
        with pytest.raises(ParameterError, match="the address of a Dask scheduler"), cluster(address):
            pass


def test_a_scheduler_that_is_gone_is_named(address):
    gone = pytest.raises(WorkerLostError, match="no Dask scheduler any more")
    with gone, cluster(address):
        raise distributed.comm.CommClosedError("Stream is closed")


def test_no_workers_are_an_error(monkeypatch):
    monkeypatch.setattr("jwst_hpastrom.steps.execution.cluster.PATIENCE", 0.5)
    monkeypatch.setattr("jwst_hpastrom.steps.execution.cluster.POLL", 0.2)
    with (
        distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0") as made,
        cluster(made.scheduler_address) as executor,
        pytest.raises(WorkerLostError, match="no Dask worker"),
    ):
        executor.submit(time.sleep, 0).result()
