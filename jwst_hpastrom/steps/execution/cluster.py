"""An executor on a Dask cluster: large arrays go there once, lost workers are made good, ends are named."""

import hashlib
import logging
import time
from collections import OrderedDict
from concurrent.futures import CancelledError
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from jwst_hpastrom.errors import ParameterError, WorkerLostError

__all__ = ["cluster"]

log = logging.getLogger("stpipe.hpastrom.steps")

CONNECT = 8  # seconds for a scheduler to answer
PATIENCE = 60  # seconds without any worker
POLL = 2  # seconds between looks at the workers
SMALL = 1 << 16  # bytes: a smaller array goes with its task
TASK = 1 << 20  # bytes of a task, at most: beyond it its small arrays, together, are a large one
KEPT = 2 << 30  # bytes of arrays kept on the cluster for later tasks
RETRIES = 3  # of a task whose worker was lost
GONE = "no Dask scheduler any more", "one to the end", "what was finished is kept"


@contextmanager
def cluster(address):
    """Yield an executor on a cluster.

    Parameters
    ----------
    address : str
        Of the scheduler.

    Raises
    ------
    ParameterError
        No package distributed, or no scheduler at the address.

    WorkerLostError
        No worker for a minute, a task whose workers died each time, or a scheduler that is gone.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError, get_address_host_port
    except ImportError as err:
        raise ParameterError(
            f"scheduler={address} without the package distributed",
            "pip install 'jwst_hpastrom[distributed]'",
        ) from err
    try:
        # a client of what is no address would be left half made, and hold the lock that the next one needs
        get_address_host_port(address)
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as err:
        raise ParameterError(
            f"scheduler={address} ({' '.join(str(err).split())[:200]})", "the address of a Dask scheduler",
            "start one",
        ) from err  # fmt: skip
    with client:
        executor = ClusterExecutor(client)
        try:
            yield executor
        except CommClosedError as err:
            raise WorkerLostError(*GONE) from err
        log.info(
            "%d tasks of up to %d kB, %d MB of arrays", executor.n_tasks, executor.largest >> 10,
            executor.arrays >> 20,
        )  # fmt: skip


class ClusterExecutor:
    """Executor whose tasks name their large arrays, which are on the cluster already or are sent once.

    Attributes
    ----------
    n_tasks, largest, arrays : int
        Tasks so far; bytes of the largest, without its arrays; bytes of all arrays sent.
    elsewhere : bool
        That workers may not see this machine's temporary files.
    """

    elsewhere = True

    def __init__(self, client):
        self.client = client
        self.n_tasks = self.largest = self.arrays = 0
        self._sent, self._alone = OrderedDict(), None

    def submit(self, function, *args, **kwargs):
        """Return a job, whose ``result()`` waits for ``function(*args, **kwargs)``."""
        return _Job(self, function, args, kwargs)

    def start(self, function, args, kwargs):
        """Return the future of a new task."""
        from distributed.protocol.pickle import dumps

        buffers = []
        text = dumps((function, args, kwargs), buffer_callback=buffers.append)
        contents = [b.raw() for b in buffers]
        small = [bytes(c) if c.nbytes < SMALL else None for c in contents]
        large = [self._there(c) for c in contents if c.nbytes >= SMALL]
        size = len(text) + sum(len(c) for c in small if c)
        call = _run, text, small
        if size > TASK:
            whole = b"".join([text, *filter(None, small)])
            call = _run_joined, len(text), [None if c is None else len(c) for c in small]
            large, size = [self._there(memoryview(whole)), *large], 0
        self.n_tasks, self.largest = self.n_tasks + 1, max(self.largest, size)
        return self.client.submit(*call, *large, pure=False, retries=RETRIES)

    def _there(self, content):
        """Return the future of bytes on the cluster; those used longest ago are let go."""
        key = hashlib.blake2b(content, digest_size=16).digest()
        if key in self._sent:
            self._sent.move_to_end(key)
            return self._sent[key][0]
        self.arrays += content.nbytes
        future = self.client.scatter(bytes(content), hash=False)
        self._sent[key] = future, content.nbytes
        while sum(n for _, n in self._sent.values()) > KEPT and len(self._sent) > 1:
            self._sent.popitem(last=False)
        return future

    def forget(self):
        """Send all arrays again: workers that had some are lost."""
        self._sent.clear()

    def look(self):
        """Raise where there was no worker for a while, or no scheduler."""
        try:
            there = bool(self.client.nthreads())
        except Exception as err:
            raise WorkerLostError(*GONE) from err
        self._alone = None if there else self._alone or time.monotonic()
        if self._alone and time.monotonic() - self._alone > PATIENCE:
            raise WorkerLostError(
                f"no Dask worker for {PATIENCE} s", "at least one", "start some; what was finished is kept"
            )


class _Job:
    """A task, begun again where what it needs was lost with a worker."""

    def __init__(self, executor, *call):
        self.executor, self.call = executor, call
        self.future = executor.start(*call)

    def result(self):
        """Wait for the result."""
        from distributed import KilledWorker

        for _ in range(RETRIES):
            self._wait()
            try:
                return self.future.result()
            except KilledWorker as err:
                raise WorkerLostError(
                    "a task whose workers died, one after the other", "workers that live to its end",
                    "give them more memory",
                ) from err  # fmt: skip
            except CancelledError:
                self.executor.look()
                log.warning("arrays were lost with a worker, and are sent again")
                self.executor.forget()
                self.future = self.executor.start(*self.call)
        raise WorkerLostError("workers that come and go", "some that stay", "what was finished is kept")

    def _wait(self):
        from distributed import wait

        while self.future.status == "pending":
            try:
                with self.executor.client.as_current():
                    wait(self.future, timeout=POLL)
            except TimeoutError:
                self.executor.look()
            except CancelledError:
                return


def _run_joined(size, sizes, whole, *large):
    """Do the same as `_run` with the text and the small arrays, of these sizes, one after the other."""
    small, end = [], size
    for n in sizes:
        small.append(None if n is None else whole[end : end + n])
        end += n or 0
    return _run(whole[:size], small, *large)


def _run(text, small, *large):
    """Call a function; it may write into its arrays, which others share, so that it gets copies."""
    from distributed.protocol.pickle import loads

    large = iter(large)
    buffers = [bytearray(next(large) if c is None else c) for c in small]
    function, args, kwargs = loads(text, buffers=buffers)
    with threadpool_limits(1, "blas"):
        return function(*args, **kwargs)
