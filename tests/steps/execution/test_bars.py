"""Logs above progress bars: only in a terminal, and only while a Step runs."""

import io
import logging
import sys

from tqdm import tqdm

from jwst_hpastrom.steps.execution.bars import logs_above_bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


def handlers():
    """Handlers of the root, by their classes."""
    return [type(h).__name__ for h in logging.getLogger().handlers]


def test_files_and_pipes_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    before = handlers()
    with logs_above_bars():
        assert handlers() == before


def test_in_a_terminal_until_the_end(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = list(logging.getLogger().handlers)
    with logs_above_bars():
        assert "_TqdmLoggingHandler" in handlers()
    assert logging.getLogger().handlers == before


def test_a_program_without_a_terminal_has_no_bars(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with logs_above_bars():
        assert list(tqdm([1, 2], disable=None)) == [1, 2]
    assert sys.stderr is None
