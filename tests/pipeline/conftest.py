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
    """A small field on disk: (files, in-memory field)."""
    sky = simulate_field(size=640, n_exposures=9, n_stars=1600, mag_faint=-4.0, dither_arcsec=4.0, seed=5)
    files = write_field(sky, tmp_path_factory.mktemp("field"))
    return files, sky


@pytest.fixture
def exposure(field, tmp_path):
    """A copy of one exposure that a test may spoil."""
    path = tmp_path / Path(field[0].exposures[0]).name
    shutil.copy(field[0].exposures[0], path)
    return path
