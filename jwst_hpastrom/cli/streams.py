"""Where a command writes when its standard streams are closed, or lack signs of ours."""

import io
import os
import sys

__all__ = ["open_streams"]


def open_streams():
    """Let no closed stream, and no terminal without a character of ours, end a run.

    The first files that are opened would take the places of closed streams, and what libraries say there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free: this one
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and number:
            stream.reconfigure(errors="replace")
