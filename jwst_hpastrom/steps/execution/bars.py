"""Log lines above the progress bars of a terminal instead of through them."""

import logging
import os
import sys
from contextlib import ExitStack, contextmanager, redirect_stderr

__all__ = ["logs_above_bars"]


@contextmanager
def logs_above_bars():
    """Write the log with tqdm while a bar may be shown: files and pipes have none, and are left alone."""
    with ExitStack() as stack:
        if sys.stderr is None:  # of a program without a terminal: bars have no place to ask about
            stack.enter_context(redirect_stderr(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        if sys.stderr.isatty():
            from tqdm.contrib.logging import logging_redirect_tqdm

            named = [logging.getLogger(n) for n in ("stpipe", "jwst")]
            stack.enter_context(
                logging_redirect_tqdm([logging.getLogger(), *(log for log in named if log.handlers)])
            )
        yield
