"""``hpastrom`` where streams are closed or are of another encoding."""

import os
import subprocess
import sys

import pytest


def shell(line, **environment):
    given = dict(os.environ, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", **environment)
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, env=given, timeout=300)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_terminal_without_a_character_of_ours_ends_nothing(tmp_path):
    """A plus-minus sign has no place in ASCII: the run was over, and its exit status 1."""
    path = tmp_path / "α_pm.csv"
    path.write_text("ra,dec\n1.5,2.5\n", encoding="utf-8")
    line = f"{sys.executable} -m jwst_hpastrom info '{path}'"
    done = shell(line, LC_ALL="POSIX", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"_pm.csv" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_closed_streams_end_nothing_and_get_no_file(tmp_path):
    """A bar has somewhere to go, and what a library says on number 2 lands in no file opened after."""
    program = (
        "import os; from tqdm import tqdm; from jwst_hpastrom.cli import main; main(['completion']); "
        "tqdm(total=1).update(); assert os.open(os.devnull, os.O_RDONLY) > 2; "
        f"open({str(tmp_path / 'done')!r}, 'w').close()"
    )
    assert shell(f'{sys.executable} -c "{program}" <&- >&- 2>&-').returncode == 0
    assert (tmp_path / "done").exists()
