"""Compiling ahead: the list reads back as it was written; the process compiles it and ends with the run."""

import os
import subprocess
import sys
import time

import numba
import numpy as np
import pytest
from numba import types
from numba.core import event

from jwst_hpastrom.distortion.model import _kernels as distortion_kernels
from jwst_hpastrom.epsf.kernels.crowded import Counts, PSFGrid
from jwst_hpastrom.numerics.robust_kernels import median, select
from jwst_hpastrom.steps.execution import ahead
from jwst_hpastrom.steps.execution.ahead import compiling_ahead, kernel_of, line_of, listed

MEDIAN = "numerics.robust_kernels:median float64[::1], int64"


@pytest.mark.parametrize("line", listed(), ids=lambda line: line.split(" ")[0])
def test_every_kernel_of_the_list_is_there_and_takes_as_many_arguments(line):
    kernel, args = kernel_of(line)
    assert len(args) == kernel.py_func.__code__.co_argcount
    assert line_of(kernel, args) == line


def test_types_of_arguments_read_back_as_they_were():
    image, line = np.zeros((3, 3), np.float32), np.zeros(3)
    fixed = np.zeros((2, 3))
    fixed.flags.writeable = False
    polynomial = distortion_kernels.Polynomial(np.zeros((2, 3)), 0.0, 0.0, 1.0)
    grid = PSFGrid(np.zeros((1, 2, 2)), line, line, 4)
    args = [image, image[::2], fixed, np.zeros(2, bool), 1, 2.0, True, (1.0, 2.0), (1, line),
            Counts(image, image), grid, (polynomial, line)]  # fmt: skip
    kinds = tuple(map(numba.typeof, args))
    assert kernel_of(line_of(median, kinds)) == (median, kinds)


@pytest.fixture
def process(monkeypatch):
    """The processes that were started."""
    started, real = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(real(*a, **k)) or started[-1])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    return started


def test_what_is_not_compiled_is_compiled_in_another_process_that_ends(process, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "listed", lambda: [MEDIAN])
    monkeypatch.setattr(ahead, "_compiled", lambda line: False)
    with compiling_ahead():
        deadline = time.monotonic() + 100
        while not (made := list(tmp_path.rglob("robust_kernels.median-*.nbc"))):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert len(made) == len(process) == 1
    assert process[0].returncode is not None


def test_it_ends_before_it_is_done_where_the_run_does(process, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "_compiled", lambda line: False)
    with pytest.raises(KeyError), compiling_ahead():
        raise KeyError
    assert process[0].returncode is not None
    assert not list(tmp_path.rglob("*.nbc"))


def test_it_ends_though_another_process_holds_its_input_open(process, monkeypatch):
    monkeypatch.setattr(ahead, "_compiled", lambda line: False)
    monkeypatch.setattr(ahead, "PROGRAM", "import sys; sys.stdin.read()")
    with compiling_ahead():
        wait = [sys.executable, "-c", "import time; time.sleep(20)"]
        holder = subprocess.Popen(wait, pass_fds=[process[0].stdin.fileno()])
    assert process[0].returncode is not None
    assert holder.poll() is None
    holder.kill()
    holder.wait()


@pytest.mark.parametrize("lines", [[], [MEDIAN]])
def test_the_log_names_kernels_that_the_list_lacks(process, monkeypatch, caplog, lines):
    monkeypatch.setattr(ahead, "listed", lambda: lines)
    monkeypatch.setattr(ahead, "_compiled", lambda line: True)
    trigger = {"dispatcher": median, "args": (types.float64[::1], types.int64)}
    inner = {"dispatcher": select, "args": (types.float64[::1], types.int64, types.int64)}
    with (
        caplog.at_level("DEBUG", ahead.log.name),
        compiling_ahead(),
        event.trigger_event("numba:compile", trigger),
        event.trigger_event("numba:compile", inner),
    ):
        pass
    expected = [] if lines else [f"1 kernels compiled that kernels.txt lacks: {MEDIAN}"]
    assert [r.message for r in caplog.records] == expected


def test_nothing_is_started_where_all_is_compiled_or_no_core_is_idle(process, monkeypatch):
    kernel_of(MEDIAN)[0].compile((types.float64[::1], types.int64))
    monkeypatch.setattr(ahead, "listed", lambda: [MEDIAN])
    with compiling_ahead():
        pass
    monkeypatch.setattr(ahead, "_compiled", lambda line: False)
    with compiling_ahead(workers=2):
        pass
    assert not process


def test_a_process_that_cannot_start_is_done_without(process, monkeypatch):
    monkeypatch.setattr(ahead, "_compiled", lambda line: False)
    monkeypatch.setattr(ahead, "PROGRAM", "raise SystemExit(1)")
    with compiling_ahead():
        process[0].wait()
    assert process[0].returncode == 1
