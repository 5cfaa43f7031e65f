"""Run a pipeline of ``strun`` with its output in a log file."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from jwst_hpastrom.errors import BadFileError, HPAstromError

__all__ = ["run_pipeline"]

#: seconds that an interrupted pipeline has to end by itself: the terminal sends Ctrl-C to all
PATIENCE = 10
#: times that calwebb_hpastrom runs a Step, for the progress bar
PIPELINE_RUNS = 8


def run_pipeline(command, log):
    """Run a strun command with its output in a log file, and a progress bar of its Steps.

    Parameters
    ----------
    command : list of str
        ``strun`` and its arguments.

    log : path-like

    Raises
    ------
    HPAstromError
        It failed; the message has the last line of its output.

    BadFileError
        There is no such program, it does not start, or the log cannot be written.
    """
    program = Path(sys.executable).with_name(command[0])
    program = str(program) if program.exists() else shutil.which(command[0])
    if program is None:
        raise BadFileError("no program strun", "the JWST pipeline's", "pip install jwst", command[0])
    environment = dict(os.environ, STPIPE_DISABLE_CRDS_STEPPARS="true", PYTHONUNBUFFERED="1")
    environment["PYTHONIOENCODING"] = "utf-8:replace"  # of the log, whatever the terminal has
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.setdefault(name, "1")
    try:
        code, last = _logged([program, *command[1:]], environment, log)
    except OSError as err:
        what = "a program that does not start" if err.filename == program else "a log that cannot be written"
        needed = "one that does" if err.filename == program else "room on the disk, and leave to write there"
        raise BadFileError(f"{what} ({err.strerror})", needed, "", err.filename or log) from err
    if code:
        raise HPAstromError(f"exit status {code} ({last})", "0", f"see {log}", f"strun {command[1]}")


def _logged(command, environment, log):
    """Run a command with its output in a log; its exit status and the last line that says something."""
    from tqdm.auto import tqdm

    last = ""
    with (
        open(log, "w", encoding="utf-8", buffering=1) as out,
        tqdm(total=PIPELINE_RUNS, desc="strun", unit="Step", disable=None) as bar,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            encoding="utf-8",
            errors="replace",
        ) as process,
        _ends_with_us(process),
    ):
        for line in process.stdout:
            out.write(line)
            last = line.strip() or last
            step = re.search(r"Step (hp_\w+) (running|done)", line)
            if step and step.group(2) == "running":
                bar.set_description(step.group(1))
            elif step:
                bar.update()
    return process.returncode, last


@contextmanager
def _ends_with_us(process):
    """End a process where the block is left before its end: by Ctrl-C, SIGTERM, or a terminal that closed."""

    def leave(number, frame):
        sys.exit(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP) if ours}
    try:
        yield
    except BaseException as err:
        if isinstance(err, KeyboardInterrupt):
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        process.terminate()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
