"""The whole pipeline: exposures to proper motions."""

import logging
from pathlib import Path

from jwst.stpipe import Pipeline

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.report.story import ending, story
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._errors import ErrorsByCause, errors_by_cause
from jwst_hpastrom.steps.distortion_refine_step import DistortionRefineStep
from jwst_hpastrom.steps.epsf_build_step import EPSFBuildStep
from jwst_hpastrom.steps.epsf_fit_step import EPSFFitStep
from jwst_hpastrom.steps.execution.ahead import compiling_ahead
from jwst_hpastrom.steps.master_frame_step import MasterFrameStep
from jwst_hpastrom.steps.pipeline.calibration import calibrate
from jwst_hpastrom.steps.pipeline.choices import Choices
from jwst_hpastrom.steps.pipeline.epochs import run_epochs
from jwst_hpastrom.steps.pipeline.frame import frame_and_motions
from jwst_hpastrom.steps.pipeline.handed import handed_on, without_defaults
from jwst_hpastrom.steps.pipeline.inputs import GAIA, check_inputs, gaia_product
from jwst_hpastrom.steps.pipeline.run import Run
from jwst_hpastrom.steps.products.groups import join_catfiles, sub_associations
from jwst_hpastrom.steps.proper_motion_step import ProperMotionStep

__all__ = ["HPAstromPipeline"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


class HPAstromPipeline(ErrorsByCause, Pipeline):
    """Build the ePSF, fit, build and fit again with a first distortion, solve it, average, measure motions.

    It returns None and uses no reference types, so that it runs without CRDS.
    """

    class_alias = "calwebb_hpastrom"

    spec = (
        """
    reference_catalog = string(default=None)  # first-epoch catalog that all refers to, or gaia
    gaia_catalog = string(default=None)  # Gaia table: motions from exposures of several epochs
    epsf_file = string(default=None)  # ePSF library to use instead of building one
    start_epsf = string(default=None)  # ePSF library whose difference from the exposures' is learned
    distortion_file = string(default=None)  # distortion (.asdf, STDGDC) to use, refined as far as stars allow
    mode = option('isolated', 'catalog', default='catalog')  # of the last fit: neighbors subtracted, or not
    resume = boolean(default=False)  # skip what is there and was made from the same inputs and parameters
    """
        + HPStep.spec
    )

    step_defs = {  # noqa: RUF012
        "hp_epsf_build": EPSFBuildStep,
        "hp_epsf_fit": EPSFFitStep,
        "hp_distortion_refine": DistortionRefineStep,
        "hp_master_frame": MasterFrameStep,
        "hp_proper_motion": ProperMotionStep,
    }

    @classmethod
    def load_spec_file(cls, *args, **kwargs):
        """Return the spec (stpipe's own), whose Steps have the pipeline's values where none is given."""
        return without_defaults(super().load_spec_file(*args, **kwargs))

    def process(self, input_data):
        """Run all Steps on an association."""
        with errors_by_cause(input_data if isinstance(input_data, str | Path) else self.class_alias):
            with handed_on(self), compiling_ahead(self.workers):
                product = self._run(input_data)
            self._tell(product)

    def _tell(self, product):
        """Say at the end what was made and how good it is."""
        for line in (*story(self.output_folder(), product), *ending(self.output_folder(), product)):
            log.info("%s", line)

    def _run(self, input_data):
        if not isinstance(input_data, str | Path):
            raise ParameterError(
                f"a {type(input_data).__name__}", "an association file", "run the Steps one by one on models"
            )
        if self.epsf_file and self.start_epsf:
            raise ParameterError(
                "both epsf_file and start_epsf",
                "one of them",
                "epsf_file is used as it is, start_epsf is adapted",
            )
        association = read_association(input_data)
        reading = {key: getattr(self, key) for key in ("force", "bad_bits", "detector_mask")}
        folder, self.choices = self.output_folder(), Choices()
        if self.gaia_catalog:
            run_epochs(self, association, folder, reading)
            return association.product
        checked = check_inputs(
            association.members, reading=reading, catalog=self.reference_catalog,
            epsf_file=self.epsf_file, distortion_file=self.distortion_file, skip=self.on_error == "skip",
            folder=folder, product=association.product,
        )  # fmt: skip
        if str(self.reference_catalog or "").lower() == GAIA:
            self.reference_catalog = str(gaia_product(folder, association.product))
        self._note_epsf(len(association.members))
        groups = sub_associations(association, folder, force=self.force)
        runs = [Run(self, group, checked) for group in groups]
        found = [calibrate(run, several=len(groups) > 1) for run in runs]
        if len(groups) > 1:
            join_catfiles(folder, association.product, [g.product for g in groups])
            uncorrected = [group.members[0] for group, own in zip(groups, found, strict=True) if not own]
            self.hp_master_frame.uncorrected = uncorrected
        distortion = found[0] if len(groups) == 1 else self._pattern(association, found)
        # a frame is limited where all its detectors are: the others' distortions are judged
        limits = [run.limited for run in runs]
        limited = "; ".join(dict.fromkeys(limits)) if all(limits) else None
        frame_and_motions(Run(self, association, checked, limited=limited), distortion)
        self.choices.write(folder / f"{association.product}_choices_quality.ecsv")
        return association.product

    def _pattern(self, association, found):
        """What the frame takes for the distortions of several detectors and filters."""
        if self.distortion_file:
            return self.distortion_file
        name = f"{association.product}_{{detector}}_{{filter}}_distortion.asdf"
        return self.output_folder() / name if any(found) else None

    def _note_epsf(self, n):
        if self.epsf_file:
            self.choices.note("ePSF", "given", "epsf_file")
        elif self.start_epsf:
            self.choices.note("ePSF", "given, adapted", f"start_epsf; as far as {n} exposures' stars tell")
        else:
            self.choices.note("ePSF", "built", f"{n} exposures")
