"""Runs that are ended from outside: which processes are left after ten seconds.

Claims: none, ten seconds after SIGTERM, SIGKILL of the parent, or Ctrl-C of a run with two workers, at
whatever moment of the build or of many-exposure measurement; and none after the death of the Dask scheduler
that a run works with, which is an error that says so.

    python benchmarks/ends.py [--moments 2] [--seed 1]
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_cluster import make_field
from many_exposures import family

WAIT = 10  # seconds that processes have
LONGEST = 300  # seconds for workers to begin
COMMANDS = {
    "build": ["hp_epsf_build", "field_asn.json", "--n_iterations=60"],
    "many": ["hp_master_frame", "field_asn.json", "--mode=many", "--epsf_file=given.asdf", "--tile_size=48",
             "--n_artificial=100000"],
}  # fmt: skip
RUN = """if __name__ == "__main__":
    import signal, sys
    from stpipe._cli.strun import main
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs ignore it
    sys.exit(main())
"""
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL, "Ctrl-C": signal.SIGINT}


def alive(pid):
    """Whether a process is there; one that waits to be told of is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def begin(folder, step, *how):
    """Start a run in a session of its own."""
    environment = dict(os.environ, STPIPE_DISABLE_CRDS_STEPPARS="true", OMP_NUM_THREADS="1")
    program = [sys.executable, "-c", RUN, *COMMANDS[step], f"--output_dir={folder}", *how]
    with open(folder / "log", "w") as log:
        return subprocess.Popen(
            program, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )


def left(pids):
    """Wait until processes are gone, ten seconds at most; return the seconds and how many are left."""
    start = time.monotonic()
    while (there := sum(map(alive, pids))) and time.monotonic() - start < WAIT:
        time.sleep(0.05)
    return time.monotonic() - start, there


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.size, args.exposures, args.stars = 300, 4, 300
    rng, count = np.random.default_rng(args.seed), []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_field(folder, args)
        subprocess.run(
            ["strun", "hp_epsf_fit", "field_asn.json", "--epsf_file=given.asdf", f"--output_dir={folder}"],
            cwd=folder, check=True, capture_output=True,
            env=dict(os.environ, STPIPE_DISABLE_CRDS_STEPPARS="true"),
        )  # fmt: skip
        for step in COMMANDS:
            for name, number in SIGNALS.items():
                for later in rng.uniform(0, 8, args.moments):
                    run, start = begin(folder, step, "--workers=2"), time.monotonic()
                    while len(family(run.pid)) < 3 and time.monotonic() - start < LONGEST:
                        if run.poll() is not None:
                            sys.exit((folder / "log").read_text()[-2000:])
                        time.sleep(0.1)
                    time.sleep(later)
                    pids = family(run.pid)
                    run.send_signal(number)
                    seconds, there = left(pids)
                    run.wait()
                    count.append(there)
                    print(
                        f"{step:6s} {name:8s} {later:4.1f} s after the workers began, {len(pids)} processes: "
                        f"{there} left after {seconds:.1f} s", flush=True,
                    )  # fmt: skip
        count.append(without_scheduler(folder))
    print(f"{sum(count)} processes left in {len(count)} trials")


def without_scheduler(folder):
    """Let the Dask scheduler of a run die; return how many processes are left."""
    file, quiet = folder / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    own = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = subprocess.Popen(["dask", "scheduler", *own, "--port=0", "--host=127.0.0.1"], **quiet)
    while not (file.exists() and file.read_text().endswith("}")):
        time.sleep(0.2)
    worker = subprocess.Popen(["dask", "worker", *own, "--nthreads=1", "--no-nanny"], **quiet)
    run = begin(folder, "build", f"--scheduler={json.loads(file.read_text())['address']}")
    while "ePSF" not in (folder / "log").read_text() and run.poll() is None:
        time.sleep(0.5)
    time.sleep(10)
    scheduler.kill()
    seconds, there = left([run.pid])
    for process in (run, worker, scheduler):
        process.kill()
        process.wait()
    last = (folder / "log").read_text().splitlines()[-1]
    print(f"scheduler's death: {there} left after {seconds:.1f} s; {last}", flush=True)
    return there


if __name__ == "__main__":
    main()
