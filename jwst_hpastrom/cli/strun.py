"""Run a pipeline of ``strun`` with its output in a log file."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jwst_hpastrom.errors import BadFileError, HPAstromError

__all__ = ["run_pipeline"]

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
    """
    from tqdm.auto import tqdm

    program = Path(sys.executable).with_name(command[0])
    program = str(program) if program.exists() else shutil.which(command[0])
    if program is None:
        raise BadFileError("no program strun", "the JWST pipeline's", "pip install jwst", command[0])
    environment = dict(os.environ, STPIPE_DISABLE_CRDS_STEPPARS="true", PYTHONUNBUFFERED="1")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.setdefault(name, "1")
    last = ""
    with (
        open(log, "w", encoding="utf-8") as out,
        tqdm(total=PIPELINE_RUNS, desc="strun", unit="Step", disable=None) as bar,
        subprocess.Popen(
            [program, *command[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout:
            out.write(line)
            last = line.strip() or last
            step = re.search(r"Step (hp_\w+) (running|done)", line)
            if step and step.group(2) == "running":
                bar.set_description(step.group(1))
            elif step:
                bar.update()
    if process.returncode:
        raise HPAstromError(
            f"exit status {process.returncode} ({last})", "0", f"see {log}", f"strun {command[1]}"
        )
