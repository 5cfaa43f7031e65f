"""One run a folder, and what dead runs leave."""

import json
import os
import subprocess
import sys
import threading

import pytest

from jwst_hpastrom.errors import BadFileError, FolderInUseError
from jwst_hpastrom.io.files.folder import LOCK, one_run
from jwst_hpastrom.io.files.writing import atomic_path

OTHER = """
import sys
from jwst_hpastrom.io.files.folder import one_run
with one_run(sys.argv[1]):
    print("in", flush=True)
    sys.stdin.read()
"""


def other_run(folder):
    run = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert run.stdout.readline() == b"in\n"
    return run


def test_a_second_run_is_told_of_the_first(tmp_path):
    link = tmp_path / "link"
    (tmp_path / "out").mkdir()
    link.symlink_to(tmp_path / "out")
    with other_run(tmp_path / "out") as run:
        with pytest.raises(FolderInUseError, match=f"process {run.pid} on .*, since 20.*-c"), one_run(link):
            pass
        run.communicate()
    with one_run(link):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_a_dead_run_s_lock_is_taken_over(tmp_path):
    with other_run(tmp_path) as run:
        run.kill()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == run.pid
    with one_run(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_steps_in_a_step_share_the_folder_threads_do_not(tmp_path):
    found = []

    def second():
        try:
            with one_run(tmp_path):
                pass
        except FolderInUseError as err:
            found.append(err)

    with one_run(tmp_path):
        with one_run(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(found) == 1


def test_temporary_files_of_dead_runs_go(tmp_path):
    code = (
        "import os, sys; from jwst_hpastrom.io.files.writing import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t: t.write_text('half'); os._exit(9)"
    )
    for name in ("a_stars.ecsv", "b"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    (tmp_path / ".mine-hp-notes.txt").touch()
    assert len(list(tmp_path.iterdir())) == 3
    writer = subprocess.Popen(["sleep", "60"])
    alive = tmp_path / f".c-hp{writer.pid}-abcd1234.fits"
    alive.touch()
    try:
        with one_run(tmp_path):
            assert {p.name for p in tmp_path.iterdir()} == {LOCK, ".mine-hp-notes.txt", alive.name}
    finally:
        writer.kill()
        writer.wait()


def test_a_full_disk_is_named(tmp_path):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from jwst_hpastrom.io.files.writing import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t: t.write_bytes(bytes(5000))"
    )
    path = tmp_path / "a.fits"
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].startswith(
        f"BadFileError: {path}: found a product that cannot be written"
    )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadFileError, match="No space left"), atomic_path(path):
        raise OSError(28, "No space left on device")


SPILLS = """
import os, signal, sys
import numpy as np
from dataclasses import dataclass
from jwst_hpastrom.storage import Store
@dataclass
class Thing:
    a: np.ndarray
Store(0, sys.argv[1]).keep(Thing(np.ones(5)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_arrays_of_a_run_that_was_killed_go(tmp_path):
    subprocess.run([sys.executable, "-c", SPILLS, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert [p.stat().st_size for p in left.iterdir()] == [40]
    with one_run(tmp_path):
        assert not left.exists()


@pytest.mark.parametrize("new", [True, False])
def test_a_folder_that_is_moved_meanwhile_is_said(tmp_path, new):
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(BadFileError, match="found another folder than when the run began"), one_run(folder):
        folder.rename(tmp_path / "kept")
        if new:
            folder.mkdir()
    with pytest.raises(ZeroDivisionError), one_run(tmp_path / "kept"):  # the first error is the one to tell
        (tmp_path / "kept").rename(tmp_path / "gone")
        raise ZeroDivisionError
    assert not new or list(folder.iterdir()) == []
