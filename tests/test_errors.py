"""Errors: one line each, through processes, naming a file once."""

import pickle
import subprocess
import sys

import pytest

from jwst_hpastrom import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_survives_a_process_boundary(name):
    err = getattr(errors, name)("a", "b", "c", "d.fits")
    back = pickle.loads(pickle.dumps(err))
    assert type(back) is type(err)
    assert str(back) == "d.fits: found a, needed b; c"


def test_about_names_a_file_once():
    err = errors.NotEnoughStarsError("2", "3")
    named = err.about("x.fits")
    assert str(named).startswith("x.fits: ")
    assert named.about("y.fits") is named


def test_message_is_one_line():
    assert "\n" not in str(errors.BadFileError("a\nb", "c"))


def test_last_line_of_a_traceback_starts_with_the_error_name():
    code = (
        "from jwst_hpastrom.errors import NoOverlapError as E; raise E('no stars', 'some', 'look', 'f.fits')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode != 0
    assert run.stderr.splitlines()[-1] == "NoOverlapError: f.fits: found no stars, needed some; look"
