"""What is known of a file is made once, as long as the file stays as it is."""

import os

import pytest

from jwst_hpastrom.io.files import unchanged
from jwst_hpastrom.io.files.unchanged import file_state, once


@pytest.fixture
def asked(tmp_path):
    """A file, and a question about it that counts how often it is answered."""
    path, answers = tmp_path / "a.txt", []
    path.write_text("one")

    def ask(question="text", state=None):
        def answer():
            answers.append(path.read_text())
            return answers[-1]

        return once(path, state or file_state(path), question, answer)

    return path, ask, answers


def test_an_unchanged_file_is_asked_once_a_question(asked):
    _, ask, answers = asked
    assert [ask(), ask(), ask("other"), ask("other")] == ["one"] * 4
    assert len(answers) == 2


def test_a_file_that_changed_is_asked_again_whatever_its_time(asked):
    path, ask, _ = asked
    assert ask() == "one"
    stat = path.stat()
    path.write_text("two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ask() == "two"


def test_what_changed_while_it_was_read_is_asked_again(asked):
    path, ask, _ = asked
    before = file_state(path)
    path.write_text("three")
    assert [ask(state=before), ask()] == ["three", "three"]
    assert len(asked[2]) == 2


def test_no_file_is_not_remembered(tmp_path):
    answers = iter("ab")
    none = tmp_path / "none"
    assert file_state(none) is None
    assert [once(none, file_state(none), "q", lambda: next(answers)) for _ in "ab"] == ["a", "b"]


def test_a_relative_path_is_that_of_its_folder(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    found = []
    for name in "ab":
        monkeypatch.chdir(tmp_path / name)
        found.append(once("f", (1, 2), "q", lambda name=name: name))  # a state that tells nothing
    assert found == ["a", "b"]


def test_the_oldest_answers_are_forgotten(asked, monkeypatch):
    _, ask, answers = asked
    monkeypatch.setattr(unchanged, "_known", {})
    monkeypatch.setattr(unchanged, "MOST", 2)
    for question in ("a", "b", "c", "c", "a"):
        ask(question)
    assert len(answers) == 4
    assert len(unchanged._known) == 2
