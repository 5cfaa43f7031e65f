"""The whole pipeline: exposures to proper motions."""

import logging
from pathlib import Path

from jwst.stpipe import Pipeline

from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.star_lists import star_list_path
from jwst_hpastrom.report.story import ending, story
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._epochs import run_epochs
from jwst_hpastrom.steps._errors import ErrorsByCause, errors_by_cause
from jwst_hpastrom.steps._inputs import check_inputs
from jwst_hpastrom.steps.distortion_refine_step import DistortionRefineStep
from jwst_hpastrom.steps.epsf_build_step import EPSFBuildStep
from jwst_hpastrom.steps.epsf_fit_step import EPSFFitStep
from jwst_hpastrom.steps.master_frame_step import MasterFrameStep
from jwst_hpastrom.steps.proper_motion_step import ProperMotionStep

__all__ = ["HPAstromPipeline"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


class HPAstromPipeline(ErrorsByCause, Pipeline):
    """Build the ePSF, fit, solve the distortion, build and fit again with it, average, measure motions.

    It returns None and uses no reference types, so that it runs without CRDS.
    """

    class_alias = "calwebb_hpastrom"

    spec = (
        """
    reference_catalog = string(default=None)  # first-epoch catalog that all refers to
    gaia_catalog = string(default=None)  # Gaia table: motions from exposures of several epochs
    epsf_file = string(default=None)  # ePSF library to use instead of building one
    start_epsf = string(default=None)  # ePSF library whose difference from the exposures' is learned
    distortion_file = string(default=None)  # distortion reference (.asdf) to use instead of solving one
    mode = option('isolated', 'catalog', default='catalog')  # of the last fit: neighbors subtracted, or not
    resume = boolean(default=False)  # skip products that are there and newer than what they are made from
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

    def process(self, input_data):
        """Run all Steps on an association."""
        with errors_by_cause(input_data if isinstance(input_data, str | Path) else self.class_alias):
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
        association = read_association(input_data)
        reading = {key: getattr(self, key) for key in ("force", "bad_bits", "detector_mask")}
        if self.gaia_catalog:
            self._hand_on()
            run_epochs(self, association, self.output_folder(), reading)
            return association.product
        check_inputs(
            association.members, reading=reading, catalog=self.reference_catalog,
            epsf_file=self.epsf_file, distortion_file=self.distortion_file, skip=self.on_error == "skip",
        )  # fmt: skip
        self._hand_on()
        folder = self.output_folder()
        product = {
            s: folder / f"{association.product}_{s}"
            for s in ("epsf.fits", "distortion.asdf", "master.ecsv", "pm.ecsv")
        }
        epsf, distortion, master, motions = product.values()
        lists = [star_list_path(m, folder) for m in association.members]
        exposures = [Path(m) for m in association.members]
        catalog = [Path(self.reference_catalog)] if self.reference_catalog else []

        if self.epsf_file and self.start_epsf:
            raise ParameterError(
                "both epsf_file and start_epsf",
                "one of them",
                "epsf_file is used as it is, start_epsf is adapted",
            )
        build = not self.epsf_file
        if self.epsf_file:
            epsf = Path(self.epsf_file)
        if self.distortion_file:
            distortion = Path(self.distortion_file)
        elif not catalog:
            distortion = None
        elif not self.is_done([distortion], exposures + catalog):
            self.build_and_fit(input_data, epsf, lists, exposures, None, "isolated", build=build)
            self.hp_distortion_refine.reference_catalog = self.reference_catalog
            try:
                self.hp_distortion_refine.run(input_data)
            except (NoOverlapError, NotEnoughStarsError) as err:
                log.warning("no distortion was solved, that of the exposures' WCS is used: %s", err)
                distortion, build = None, False
        self.build_and_fit(input_data, epsf, lists, exposures, distortion, self.mode, build=build)
        if not self.is_done([master], lists):
            self.hp_master_frame.distortion_file = str(distortion) if distortion else None
            self.hp_master_frame.reference_catalog = self.reference_catalog
            self.hp_master_frame.run(input_data)
        if not catalog:
            log.warning("no reference_catalog: neither distortion nor motions were measured")
        elif not self.is_done([motions], [master, *catalog]):
            self.hp_proper_motion.first_epoch = self.reference_catalog
            self.hp_proper_motion.run(str(master))
        return association.product

    def _hand_on(self):
        """Give the Steps what they share with the pipeline; stpipe does not."""
        for name in self.step_defs:
            step = getattr(self, name)
            step.workers, step.scheduler, step.on_error = self.workers, self.scheduler, self.on_error
            step.force, step.bad_bits, step.detector_mask = self.force, self.bad_bits, self.detector_mask
            step.save_results = False

    def build_and_fit(self, input_data, epsf, lists, exposures, distortion, mode, *, build):
        """Build the ePSF library ``epsf``, where ``build`` says so, and fit the exposures' stars with it."""
        before = [distortion] if distortion else []
        if build and not self.is_done([epsf], exposures + before):
            self.hp_epsf_build.distortion_file = str(distortion) if distortion else None
            self.hp_epsf_build.resume, self.hp_epsf_build.start_epsf = self.resume, self.start_epsf
            self.hp_epsf_build.run(input_data)
        # the build's own mask; beside a given library there may be none, or another field's
        mask = epsf.with_name(f"{epsf.name.removesuffix('epsf.fits')}detector_mask.fits")
        if not self.epsf_file and not self.detector_mask and mask.exists():
            self.hp_epsf_fit.detector_mask = self.hp_master_frame.detector_mask = str(mask)
        if not self.is_done(lists, [*exposures, epsf]):
            self.hp_epsf_fit.epsf_file, self.hp_epsf_fit.mode = str(epsf), mode
            self.hp_epsf_fit.run(input_data)

    def is_done(self, products, sources):
        """Whether ``resume`` is on and all products exist and are newer than their sources."""
        if not self.resume or not all(p.exists() for p in products):
            return False
        newest = max((s.stat().st_mtime for s in sources if s.exists()), default=0.0)
        done = min(p.stat().st_mtime for p in products) >= newest
        if done:
            log.info("resume: %s is up to date", products[0].name)
        return done
