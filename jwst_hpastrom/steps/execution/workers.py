"""Worker processes that end with the process that made them."""

import ctypes
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from threadpoolctl import threadpool_limits

from jwst_hpastrom.errors import WorkerLostError

__all__ = ["worker_pool"]

PR_SET_PDEATHSIG = 1


@contextmanager
def worker_pool(n):
    """Yield an executor of ``n`` processes; whatever ends the block, or this process, ends them.

    They are spawned: those of a forkserver are its children, and keep it alive, when this process dies.

    Raises
    ------
    WorkerLostError
        One of them was killed.
    """
    pool = ProcessPoolExecutor(
        n, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
    )
    try:
        yield pool
    except BrokenProcessPool as err:
        raise WorkerLostError(
            "a worker process that was killed or crashed", "all of them",
            "where memory was short, take fewer workers; a script's calls need "
            "if __name__ == '__main__': before them; what was finished is kept",
        ) from err  # fmt: skip
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:  # Ctrl-C: what runs may run for minutes
        processes = list((pool._processes or {}).values())
        for process in processes:
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.join()
        raise
    finally:
        pool.shutdown()


def _begin(parent):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to all; the parent decides
    if sys.platform == "linux":
        # the kernel's: a kernel of ours, or of anybody's, that holds the GIL does not delay it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it was gone before
        os._exit(1)
    threadpool_limits(1, "blas")


def _watch(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
