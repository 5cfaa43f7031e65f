"""What all Steps share: common parameters, the order of a run, names of products."""

import functools
import inspect
import logging
import os
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
from jwst.stpipe import Step
from threadpoolctl import threadpool_limits

from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.steps._errors import ErrorsByCause, errors_by_cause
from jwst_hpastrom.steps._inputs import Inputs, Members
from jwst_hpastrom.steps._spec import PROVIDED
from jwst_hpastrom.steps.execution.bars import logs_above_bars
from jwst_hpastrom.steps.execution.resources import Resources
from jwst_hpastrom.steps.products.groups import divide
from jwst_hpastrom.steps.products.manifests import Manifests
from jwst_hpastrom.steps.products.verdicts import Verdicts

__all__ = ["HPStep", "Inputs"]

log = logging.getLogger("stpipe.hpastrom.steps")

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


#: numpy's own ways with rounding, whatever the caller has it do: an underflow is no error
USUAL: dict = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


class HPStep(Members, Resources, Verdicts, Manifests, ErrorsByCause, Step):
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
        with errors_by_cause(name), np.errstate(**USUAL), threadpool_limits(1, "blas"), logs_above_bars():
            inputs = self.open_inputs(input_data)
            for option in () if inputs.in_memory else ("output_file", "suffix"):
                if getattr(self, option) not in (None, self.default_suffix()):  # which stpipe sets
                    log.warning(
                        "%s names no product here: names are the input's or the association's", option
                    )
            groups = divide(inputs, force=self.force) if self.by_detector else [({}, inputs)]
            for self.beam, group in groups:
                self.evidence, self._told = None, frozenset()
                result = self.run_step(group)
                self.judge(group.product)
            if len(groups) > 1:
                self.join(inputs, [group.product for _, group in groups])
            return inputs.returned if len(groups) > 1 else result

    def run_step(self, inputs):
        """Do the work; return a Table or None given paths, ``inputs.returned`` given models."""
        raise NotImplementedError

    def join(self, inputs, parts):
        """Write what is of all detectors and filters, after the products ``parts`` of each."""

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
