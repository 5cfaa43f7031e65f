"""Workers end with their parent, in whatever way it ends; a worker that dies is named."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jwst_hpastrom.errors import WorkerLostError
from jwst_hpastrom.steps.execution.workers import worker_pool

MAIN = """
import ctypes, os, signal, sys, time
from jwst_hpastrom.steps.execution.workers import worker_pool

def busy(seconds, hold):
    os.write(1, b"%d\\n" % os.getpid())  # in one piece
    if hold:  # a C function that does not let go of the GIL
        ctypes.PyDLL(None).sleep(seconds)
    else:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sum(range(1000))

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs ignore it
    with worker_pool(2) as pool:
        for _ in range(6):
            job = pool.submit(busy, 60, sys.argv[1] == "hold")
        job.result()
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks at processes through /proc")
@pytest.mark.parametrize("kind", ["hold", "compute"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_parent(tmp_path, how, kind):
    script = tmp_path / "main.py"
    script.write_text(MAIN)
    with subprocess.Popen(
        [sys.executable, str(script), kind], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:  # fmt: skip
        pids = []
        try:
            while len(pids) < 2:
                line = run.stdout.readline()
                assert line.strip().isdigit(), run.stdout.read().decode()
                pids.append(int(line))
            assert all(map(alive, pids))
            run.send_signal(how)
            end = time.monotonic() + 5
            while time.monotonic() < end and (any(map(alive, pids)) or run.poll() is None):
                time.sleep(0.1)
            assert run.poll() not in (None, 0)
            assert not any(map(alive, pids))
        finally:
            for pid in [run.pid, *pids]:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_named():
    with pytest.raises(WorkerLostError, match="killed or crashed"), worker_pool(2) as pool:
        pool.submit(die).result()
