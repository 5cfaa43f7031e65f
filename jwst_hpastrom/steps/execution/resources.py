"""What a Step works with: processes, and memory within a budget."""

import logging
from contextlib import contextmanager

from jwst_hpastrom.ranges import memory_bytes
from jwst_hpastrom.steps.execution.cluster import cluster
from jwst_hpastrom.steps.execution.workers import worker_pool
from jwst_hpastrom.storage import Store

__all__ = ["OF_LISTS", "Resources"]

log = logging.getLogger("stpipe.hpastrom")

#: bytes that a process takes beside what a store holds: programs, and the work on one full frame
PROCESS = 1.0e9
#: bytes of that for programs alone
PROGRAMS = 0.4e9
#: share of the budget that lists' columns may be held in: the rest is for the work on them
OF_LISTS = 0.25


class Resources:
    """Mixin: a Step's worker processes, and its store of large arrays."""

    @contextmanager
    def executor(self):
        """Yield a `concurrent.futures.Executor`, or None to work in this process."""
        if self.scheduler:
            with cluster(self.scheduler) as executor:
                yield executor
        elif self.workers > 1:
            self._tell_of_memory()
            with worker_pool(self.workers) as pool:
                yield pool
        else:
            yield None

    def _tell_of_memory(self):
        """Say where so many processes may take more than ``memory``, whatever is held."""
        if (1 + self.workers) * PROCESS > memory_bytes(self.memory):
            log.warning(
                "%d workers and this process may take up to %.0f GB, more than --memory=%s: give a larger "
                "one, or fewer --workers", self.workers, (1 + self.workers) * PROCESS / 1e9, self.memory,
            )  # fmt: skip

    def store(self, share=1.0, beside=None):
        """Return the store of large arrays, whose files end with the ``with`` block that it opens.

        Parameters
        ----------
        share : float
            Of the budget, that may be held in memory.

        beside : float, optional
            Bytes that are held elsewhere, where the workers are at work while the store is open.
        """
        workers = 0 if self.scheduler or self.workers == 1 else self.workers
        memory = memory_bytes(self.memory)
        budget = share * max(memory - (1 + workers) * PROCESS, 0.0)
        if beside is None:
            return Store(budget, self.output_folder(), memory - PROGRAMS)
        most = memory - (1 + workers) * PROGRAMS - beside
        return Store(budget, self.output_folder(), most, workers)
