"""``hpastrom run``: what it gives to strun, and what it says at the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from astropy.table import Table
from stpipe import Step

from jwst_hpastrom.cli import main
from jwst_hpastrom.cli.run import PRESETS, parameter_lines
from jwst_hpastrom.io.association import read_association

posix = pytest.mark.skipif(os.name != "posix", reason="needs a shell")


@pytest.fixture
def exposures(tmp_path):
    folder = tmp_path / "exposures"
    folder.mkdir()
    for k in range(3):
        (folder / f"jw01234001001_02101_0000{k + 1}_nis_cal.fits").write_bytes(b"SIMPLE")
    return folder


def fake_strun(tmp_path, monkeypatch, script):
    fake = tmp_path / "bin" / "strun"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake.with_name("python")))


def test_the_command_is_said_and_nothing_is_done(exposures, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "run",
        str(exposures),
        "--reference-catalog=r.ecsv",
        "--gaia-catalog=g.ecsv",
        "--workers=2",
        f"--output-dir={out}",
    ]
    assert main([*arguments, "--steps.hp_epsf_build.grid=3", "--dry-run"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("STPIPE_DISABLE_CRDS_STEPPARS=true strun calwebb_hpastrom ")
    wanted = ["--reference_catalog=r.ecsv", "--gaia_catalog=g.ecsv", "--workers=2"]
    for words in (*wanted, "jw01234001001_02101_asn.json", "--steps.hp_epsf_build.grid=3"):
        assert words in line
    assert not out.exists()


def test_parameters_in_the_spelling_of_strun_are_the_options(exposures, tmp_path, capsys):
    """Each is given to strun once, and products, log and report are looked for where they are written."""
    out = f"--output_dir={tmp_path / 'out'}"
    assert main(["run", str(exposures), out, "--epsf_file=e.asdf", "--dry-run"]) == 0
    line = capsys.readouterr().out
    assert line.count("--output_dir") == line.count("--epsf_file") == 1
    assert f"{tmp_path / 'out'}/jw01234001001_02101_asn.json" in line
    assert main(["run", str(exposures), out, "--output-dir=elsewhere", "--dry-run"]) == 1
    assert "--output_dir twice" in capsys.readouterr().err


@pytest.mark.parametrize("c", "-_")
def test_options_with_any_sign_between_words(exposures, tmp_path, capsys, c):
    names = [f"--output{c}dir", str(tmp_path / "a_b"), f"--reference{c}catalog", "r_s.ecsv", f"--dry{c}run"]
    assert main(["run", str(exposures), *names, f"--steps.hp_epsf_build.n{c}iterations=3"]) == 0
    line = capsys.readouterr().out
    for words in (f"--output_dir={tmp_path / 'a_b'}", "=r_s.ecsv", "--steps.hp_epsf_build.n_iterations=3"):
        assert words in line
    (tmp_path / "file").write_text("")
    assert main(["demo", "--quick", f"--output{c}dir", str(tmp_path / "file" / "x")]) == 1
    assert "no folder" in capsys.readouterr().err


@posix
def test_exposures_without_association(exposures, tmp_path, monkeypatch, capsys):
    fake_strun(tmp_path, monkeypatch, 'echo "$STPIPE_DISABLE_CRDS_STEPPARS $@"')
    out = tmp_path / "out"
    out.mkdir()
    Table({"pmra": [1.0], "pmdec": [1.0]}).write(out / "field_pm.ecsv")
    files = sorted(map(str, exposures.iterdir()))[:2]
    assert main(["run", *files, f"--output-dir={out}", "--product=field", "--no-report"]) == 0
    assert read_association(out / "field_asn.json").members == tuple(files)
    assert (out / "strun.log").read_text().startswith("true calwebb_hpastrom ")
    text = capsys.readouterr().out
    assert "motions: 1 stars" in text
    assert "verdict: OK" in text
    assert text.splitlines()[-1].startswith("next: hpastrom report ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_said_of_the_log(exposures, tmp_path, monkeypatch, capsys):
    fake_strun(tmp_path, monkeypatch, "echo one; exec sleep 30")
    out = tmp_path / "out"
    out.mkdir()
    (out / "strun.log").symlink_to("/dev/full")
    begun = time.monotonic()
    assert main(["run", str(exposures), f"--output-dir={out}", "--no-report"]) == 1
    assert time.monotonic() - begun < 20  # the pipeline is ended
    error = capsys.readouterr().err
    assert f"{out / 'strun.log'}: found a log that cannot be written (No space left" in error
    assert "folder" not in error


@posix
def test_a_program_that_does_not_start(exposures, tmp_path, monkeypatch, capsys):
    fake_strun(tmp_path, monkeypatch, "")
    (tmp_path / "bin" / "strun").chmod(0o644)
    assert main(["run", str(exposures), f"--output-dir={tmp_path / 'out'}", "--no-report"]) == 1
    assert "strun: found a program that does not start (Permission" in capsys.readouterr().err


def test_refusals(exposures, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    asn = tmp_path / "a_asn.json"
    asn.write_text(json.dumps({"products": [{"name": "a", "members": []}]}))
    one = str(next(exposures.iterdir()))
    for arguments, message in (
        ([], "no exposures"),
        ([str(empty)], "no *_cal.fits"),
        (["no/such_cal.fits"], "no such file"),
        ([str(asn), one], "1 more"),
        ([one, "--grid"], "the argument --grid"),
        ([one, "--epsf_file=run #1/epsf.asdf"], "--epsf_file=run #1/epsf.asdf, needed values without #"),
        ([one, "--product=../other/a"], "--product=../other/a, needed a name"),
        (["--show-parameters", "hp_nothing"], "a Step 'hp_nothing'"),
    ):
        assert main(["run", *arguments, f"--output-dir={tmp_path / 'out'}"]) == 1
        assert message in capsys.readouterr().err


def test_other_commands_take_no_unknown_arguments(capsys):
    with pytest.raises(SystemExit) as out:
        main(["check", "--nonsense=1"])
    assert out.value.code == 2
    assert "unrecognized arguments: --nonsense=1" in capsys.readouterr().err


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_parameter_files(name):
    from importlib.resources import files

    step = Step.from_config_file(str(files("jwst_hpastrom") / "presets" / f"{name}.asdf"))
    assert step.class_alias == "calwebb_hpastrom"
    wanted = {"sparse": "isolated", "dense": "catalog", "calibration": "catalog"}
    assert step.mode == wanted[name]
    assert step.hp_distortion_refine.method in (None, "joint")  # the pipeline hands on "joint"
    assert step.hp_epsf_fit.passes == (3 if name == "dense" else 2)


def test_parameters_in_groups():
    lines = parameter_lines()
    heads = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    assert heads == ["calwebb_hpastrom", "hp_epsf_build", "hp_epsf_fit", "hp_distortion_refine",
                     "hp_master_frame", "hp_proper_motion"]  # fmt: skip
    assert "  --steps.hp_epsf_build.n_iterations=40" in lines
    assert sum("workers=" in line for line in lines) == 1
    assert len(lines) < 400
    assert parameter_lines("hp_epsf_fit")[0].startswith("hp_epsf_fit: ")


def test_every_command_has_examples_and_is_completed(capsys):
    for command in ("run", "demo", "check", "report", "kinematics", "convert", "info"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "examples:" in capsys.readouterr().out
    assert main(["completion"]) == 0
    script = capsys.readouterr().out
    assert "--reference_catalog" in script
    assert "complete -o filenames -F _hpastrom hpastrom" in script


def test_the_pipeline_ends_with_what_it_made(tmp_path, caplog):
    from jwst_hpastrom.steps import HPAstromPipeline

    Table({"pmra": [1.0], "pmdec": [1.0]}).write(tmp_path / "field_pm.ecsv")
    pipeline = HPAstromPipeline()
    pipeline.output_dir = str(tmp_path)
    with caplog.at_level("INFO", logger="stpipe.hpastrom.pipeline"):
        pipeline._tell("field")
    said = [r.message.split(":")[0] for r in caplog.records if r.name == "stpipe.hpastrom.pipeline"]
    assert said == ["motions", "products", "verdict", "next"]


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_ended_ends_its_pipeline(tmp_path, name):
    number = getattr(signal, name)
    log, script = tmp_path / "log", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    name = Path(sys.executable).name
    code = "from jwst_hpastrom.cli.strun import run_pipeline; "
    code += f"run_pipeline([{name!r}, '-c', {script!r}], {str(log)!r})"
    with subprocess.Popen([sys.executable, "-c", code]) as run:
        child = ""
        while not child.endswith("\n"):
            time.sleep(0.05)
            assert run.poll() is None
            child = log.read_text() if log.exists() else ""
        run.send_signal(number)
        assert run.wait(30) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
