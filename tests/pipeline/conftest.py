import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jwst_hpastrom.simulation import simulate_field, write_field


@pytest.fixture(scope="session")
def strun():
    """Run strun as a user without CRDS does; returns the completed process."""
    program = shutil.which("strun", path=str(Path(sys.executable).parent)) or shutil.which("strun")
    env = {k: v for k, v in os.environ.items() if not k.startswith("CRDS")}
    env["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"

    def run(*args, cwd, fails=False, **more):
        done = subprocess.run(
            [program, *map(str, args)], cwd=cwd, env=env | more, capture_output=True, text=True, timeout=900
        )
        assert (done.returncode != 0) == fails, done.stderr[-3000:]
        return done

    return run


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """A sparse full-frame field on disk: (files, in-memory field)."""
    sky = simulate_field(n_exposures=5, n_stars=5000, mag_faint=-4.0, dither_arcsec=12.0, seed=5)
    return write_field(sky, tmp_path_factory.mktemp("field")), sky


@pytest.fixture(scope="session")
def subarray(tmp_path_factory):
    """One exposure of a small part of the detector on disk."""
    sky = simulate_field(size=512, n_exposures=1, n_stars=500, mag_faint=-4.0, seed=6)
    return write_field(sky, tmp_path_factory.mktemp("subarray")).exposures[0]


@pytest.fixture
def exposure(subarray, tmp_path):
    """A copy of one exposure that a test may spoil."""
    return Path(shutil.copy(subarray, tmp_path))
