"""What all Steps share: common parameters, inputs, names of products, workers."""

import functools
import inspect
import logging
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from astropy.table import Column
from jwst.stpipe import Step
from threadpoolctl import threadpool_limits

from jwst_hpastrom.errors import HPAstromError, MissingDataError
from jwst_hpastrom.io.exposures.exposure import exposure_root, read_exposure
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.tables.star_lists import find_star_list, is_star_list, read_star_list
from jwst_hpastrom.ranges import memory_bytes
from jwst_hpastrom.steps._errors import ErrorsByCause, errors_by_cause
from jwst_hpastrom.steps._inputs import Inputs, Members
from jwst_hpastrom.steps._spec import PROVIDED
from jwst_hpastrom.steps.execution.bars import logs_above_bars
from jwst_hpastrom.steps.execution.cluster import cluster
from jwst_hpastrom.steps.execution.workers import worker_pool
from jwst_hpastrom.steps.products.groups import divide
from jwst_hpastrom.steps.products.manifests import Manifests
from jwst_hpastrom.steps.products.verdicts import Verdicts
from jwst_hpastrom.storage import Store

__all__ = ["HPStep", "Inputs"]

log = logging.getLogger("stpipe.hpastrom.steps")

#: bytes that a process takes beside what a store holds: programs, and the work on one full frame
PROCESS = 1.0e9
#: bytes of that for programs alone; workers are idle, or not there, where `Store.require` is asked
PROGRAMS = 0.4e9
#: share of the budget that lists' columns may be held in: the rest is for the work on them
OF_LISTS = 0.25

SUFFIXES = (
    "epsf",
    "pepsf",
    "stars",
    "distortion",
    "stdgdc",
    "gdc",
    "hpcal",
    "master",
    "pm",
    "quality",
    "checks",
)


def _kept(table, columns, store):
    """Return some columns of a list, in a store."""
    table = table[[name for name in table.colnames if name in columns]]
    for name in table.colnames:
        old = table[name]
        if not hasattr(old, "mask"):
            table[name] = Column(store.copy(old), unit=old.unit, description=old.description, copy=False)
    return table


class HPStep(Members, Verdicts, Manifests, ErrorsByCause, Step):
    """Base of the Steps of this package; subclasses write ``run_step(inputs)``."""

    class_alias = None
    #: whether each detector and filter of an association has products of its own
    by_detector = False
    #: what the exposures at hand were taken with, as far as their headers tell
    beam: ClassVar[dict] = {}

    spec = """
    workers = integer(default=1, min=1)  # processes to work with
    scheduler = string(default=None)  # address of a Dask scheduler, e.g. tcp://host:8786, instead of workers
    memory = string(default='4GB')  # to hold at most, that of workers included; what is more goes to files
    on_error = option('fail', 'skip', default='fail')  # stop at an exposure that fails, or report and skip it
    force = boolean(default=False)  # accept detectors and filters that are not in the table of instruments
    bad_bits = string(default='DO_NOT_USE+NON_SCIENCE')  # DQ bits of pixels to leave out, by name or number
    detector_mask = string(default=None)  # mask of hot pixels that hp_epsf_build found, to leave out, too
    """

    def process(self, input_data):
        """Run the Step; every error that leaves it is one of `jwst_hpastrom.errors`."""
        name = input_data if isinstance(input_data, str | Path) else self.default_name(input_data)
        with errors_by_cause(name), threadpool_limits(1, "blas"), logs_above_bars():
            inputs = self.open_inputs(input_data)
            groups = divide(inputs, force=self.force) if self.by_detector else [({}, inputs)]
            for self.beam, group in groups:
                self.evidence, self._told = None, frozenset()
                result = self.run_step(group)
                self.judge(group.product)
            return inputs.returned if len(groups) > 1 else result

    def run_step(self, inputs):
        """Do the work; return a Table or None given paths, ``inputs.returned`` given models."""
        raise NotImplementedError

    def reading(self):
        """Return the parameters of `~jwst_hpastrom.io.read_exposure` that all Steps have."""
        reading = {key: getattr(self, key) for key in ("force", "bad_bits", "detector_mask")}
        if self.detector_mask:  # workers may be elsewhere
            reading["detector_mask"] = os.path.abspath(self.detector_mask)
        return reading

    def read(self, member, **kwargs):
        """Read one member as `~jwst_hpastrom.io.Exposure`."""
        return read_exposure(member, **self.reading(), **kwargs)

    def failed(self, error):
        """Raise the error, or log it where failures are to be skipped."""
        if self.on_error == "fail":
            raise error
        log.error("skipped: %s: %s", type(error).__name__, error)

    def output_path(self, root, suffix, extension):
        """Return the path of a product."""
        return self.output_folder() / f"{root}_{suffix}.{extension}"

    def write_quality(self, root, table):
        """Write ``<root>_<step>_quality.ecsv`` and return its path."""
        return write_table(
            table, self.output_path(root, f"{self.class_alias.removeprefix('hp_')}_quality", "ecsv")
        )

    def star_lists(self, inputs, epsf_file=None, *, columns, store):
        """Return the star lists of all members; make the missing ones where an ``epsf_file`` is given.

        Parameters
        ----------
        inputs : `Inputs`
        epsf_file : path-like, optional
        columns : sequence of str
            What is kept of them.
        store : `~jwst_hpastrom.storage.Store`
            Has it.

        Raises
        ------
        MissingDataError
            A list is missing and no ePSF was given to make it with.
        """
        tables = []
        for name, member in self.each_member(inputs):
            try:
                tables.append(_kept(self._star_list(name, member, epsf_file), columns, store))
            except HPAstromError as err:
                self.failed(err.about(name))
        return tables

    def _star_list(self, name, member, epsf_file):
        if isinstance(member, str) and is_star_list(member):
            return read_star_list(member)
        path = find_star_list(name, [self.output_folder()])
        if path is None:
            if not epsf_file:
                raise MissingDataError(
                    "no star list",
                    f"{exposure_root(name)}_stars.ecsv",
                    "run hp_epsf_fit first, or give epsf_file",
                    name,
                )
            from jwst_hpastrom.steps.epsf_fit_step import EPSFFitStep

            fit = EPSFFitStep(parent=self, epsf_file=epsf_file, **self.reading())
            fit.run(member)
            path = find_star_list(name, [self.output_folder()])
        return read_star_list(path, exposure=name)

    @contextmanager
    def executor(self):
        """Yield a `concurrent.futures.Executor`, or None to work in this process."""
        if self.scheduler:
            with cluster(self.scheduler) as executor:
                yield executor
        elif self.workers > 1:
            with worker_pool(self.workers) as pool:
                yield pool
        else:
            yield None

    def store(self, share=1.0):
        """Return the store of large arrays, whose files end with the ``with`` block that it opens.

        Parameters
        ----------
        share : float
            Of the budget, that may be held in memory.
        """
        busy, memory = (
            1 if self.scheduler or self.workers == 1 else 1 + self.workers,
            memory_bytes(self.memory),
        )
        budget = share * max(memory - busy * PROCESS, 0.0)
        return Store(budget, self.output_folder(), memory - PROGRAMS)

    def parameters_of(self, function, exclude=()):
        """Return the Step's values of a science function's keyword-only parameters."""
        parameters = inspect.signature(function).parameters.values()
        return {
            p.name: getattr(self, p.name)
            for p in parameters
            if p.kind is p.KEYWORD_ONLY and p.name not in (*PROVIDED, *exclude) and hasattr(self, p.name)
        }

    @functools.cached_property
    def _suffix_pattern(self):
        return re.compile(rf"_({'|'.join(SUFFIXES)})$")

    def remove_suffix(self, name):
        """Strip the suffixes of this package as the pipeline strips its own."""
        root, separator = super().remove_suffix(name)
        match = self._suffix_pattern.search(root)
        return (root[: match.start()], "_") if match else (root, separator)
