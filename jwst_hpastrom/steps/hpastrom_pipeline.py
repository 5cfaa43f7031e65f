"""The whole pipeline: exposures to proper motions."""

import logging
from pathlib import Path

from astropy.table import Table
from jwst.stpipe import Pipeline

from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.star_lists import star_list_path
from jwst_hpastrom.report.story import ending, story
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._choices import Choices
from jwst_hpastrom.steps._epochs import run_epochs
from jwst_hpastrom.steps._errors import ErrorsByCause, errors_by_cause
from jwst_hpastrom.steps._groups import sub_associations
from jwst_hpastrom.steps._inputs import GAIA, check_inputs, gaia_product
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
    reference_catalog = string(default=None)  # first-epoch catalog that all refers to, or gaia
    gaia_catalog = string(default=None)  # Gaia table: motions from exposures of several epochs
    epsf_file = string(default=None)  # ePSF library to use instead of building one
    start_epsf = string(default=None)  # ePSF library whose difference from the exposures' is learned
    distortion_file = string(default=None)  # distortion (.asdf, STDGDC) to use, refined as far as stars allow
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
            folder=self.output_folder(), product=association.product,
        )  # fmt: skip
        if self.epsf_file and self.start_epsf:
            raise ParameterError(
                "both epsf_file and start_epsf",
                "one of them",
                "epsf_file is used as it is, start_epsf is adapted",
            )
        folder = self.output_folder()
        if str(self.reference_catalog or "").lower() == GAIA:
            self.reference_catalog = str(gaia_product(folder, association.product))
        self.choices, self._limited = Choices(), None
        self._note_epsf(len(association.members))
        groups = sub_associations(association, folder, force=self.force)
        found = [self._calibrate(group, len(groups) > 1) for group in groups]
        distortion = found[0] if len(groups) == 1 else self._pattern(association, found)
        uncorrected = [group.members[0] for group, own in zip(groups, found, strict=True) if not own]
        self._frame_and_motions(association, groups, distortion, uncorrected)
        self.choices.write(folder / f"{association.product}_choices_quality.ecsv")
        return association.product

    def _pattern(self, association, found):
        """What the frame takes for the distortions of several detectors and filters."""
        if self.distortion_file:
            return self.distortion_file
        name = f"{association.product}_{{detector}}_{{filter}}_distortion.asdf"
        return self.output_folder() / name if any(found) else None

    def _calibrate(self, association, several):
        """Build ePSF, fit stars and solve the distortion of one detector and filter; return its file."""
        input_data = association.path
        self._hand_on()
        folder = self.output_folder()
        epsf, distortion = (folder / f"{association.product}_{s}" for s in ("epsf.fits", "distortion.asdf"))
        lists = [star_list_path(m, folder) for m in association.members]
        exposures = [Path(m) for m in association.members]
        catalog = [Path(self.reference_catalog)] if self.reference_catalog else []
        part = f"distortion of {association.product}" if several else "distortion"
        build = not self.epsf_file
        if self.epsf_file:
            epsf = Path(self.epsf_file)
        given = Path(self.distortion_file) if self.distortion_file else None
        own = given is not None and given.exists() and distortion.exists() and given.samefile(distortion)
        fitted = False
        if not catalog or own or (given and several):  # an earlier run's product is not refined again
            distortion = given
            why = "of an earlier run" if own else "several detectors" if catalog else "no reference catalog"
            if not given:
                why += "; errors hold what dithers show, not the WCS's own, of up to 5 mas"
            self.choices.note(part, "given" if given else "the exposures' WCS", why)
            if not catalog:
                self._limited = why
        elif not self.is_done([distortion], [*exposures, *catalog, *([given] if given else [])]):
            self.build_and_fit(input_data, epsf, lists, exposures, given, "isolated", build=build)
            distortion, build = self._solve(input_data, distortion, given, build, part)
            fitted = not build and self.mode == "isolated"  # the lists are those of the first round
        else:
            self.choices.note(part, "of an earlier run", "resume")
            build = build and not (epsf.exists() and _refined(distortion))
        if not fitted:
            self.build_and_fit(input_data, epsf, lists, exposures, distortion, self.mode, build=build)
        return distortion

    def _frame_and_motions(self, association, groups, distortion, uncorrected):
        """Average all star lists to one master frame, and measure motions against the catalog."""
        folder = self.output_folder()
        master, motions = (folder / f"{association.product}_{s}" for s in ("master.ecsv", "pm.ecsv"))
        lists = [star_list_path(m, folder) for m in association.members]
        catalog = [Path(self.reference_catalog)] if self.reference_catalog else []
        tied = bool(catalog)
        if not self.is_done([master], lists):
            if len(groups) > 1:  # each detector has its own
                self.hp_master_frame.detector_mask = self.detector_mask
                self.hp_master_frame.uncorrected = uncorrected
            tied = self._average(association.path, distortion)
        if not catalog:
            log.warning("no reference_catalog: neither distortion nor motions were measured")
        elif tied and not self.is_done([motions], [master, *catalog]):
            self._motions(master)

    def _note_epsf(self, n):
        if self.epsf_file:
            self.choices.note("ePSF", "given", "epsf_file")
        elif self.start_epsf:
            self.choices.note("ePSF", "given, adapted", f"start_epsf; by the stars of {n} exposures")
        else:
            self.choices.note("ePSF", "built", f"{n} exposures")

    def _solve(self, input_data, solved, given, build, part):
        """Distortion as far as the reference stars pay for it: its file; whether to build ePSFs with it."""
        step = self.hp_distortion_refine
        step.reference_catalog, step.few_stars = self.reference_catalog, "refine"
        step.distortion_file, step.chosen = str(given) if given else None, None
        try:
            step.run(input_data)
        except (NoOverlapError, NotEnoughStarsError) as err:
            source = "that given" if given else "that of the exposures' WCS"
            log.warning("no distortion was solved, %s is used: %s", source, err)
            self.choices.note(
                part,
                "given" if given else "the exposures' WCS",
                f"no star to refine it by: {err.found}; {err.do}",
            )
            self._limited = f"no star to refine it by, {err.found}"
            return given, False
        self.choices.note(part, *step.chosen)
        # few stars change little: the ePSF of the first round holds
        whole = step.chosen[0].startswith("solved")
        if not whole:
            self._limited = f"few reference stars refined {step.chosen[0]}"
        return solved, build and whole

    def _average(self, input_data, distortion):
        """Master frame, tied to the catalog where that can be; whether it was."""
        step = self.hp_master_frame
        step.distortion_file = str(distortion) if distortion else None
        step.reference_catalog, step.distortion_limited_by = self.reference_catalog, self._limited
        try:
            step.run(input_data)
        except (NoOverlapError, NotEnoughStarsError) as err:
            if not self.reference_catalog:
                raise
            step.reference_catalog = None
            step.run(input_data)  # where it is not the catalog that fails, this does, too
            log.warning("the frame is not tied to the catalog, the exposures' WCS place it: %s", err)
            self.choices.note("frame", "placed by the exposures' WCS", f"{err.found}; {err.do}")
            return False
        self._note_frame(step)
        return bool(self.reference_catalog)

    def _note_frame(self, step):
        meta = step.frame_meta or {}
        if meta.get("tied_to") == "reference":
            self.choices.note(
                "frame", f"tied to {meta['n_tie']} stars", f"scatter {meta['tie_rms_mas']:.2f} mas"
            )
        else:
            self.choices.note("frame", "placed by the exposures' WCS", "no reference catalog")

    def _motions(self, master):
        step = self.hp_proper_motion
        step.first_epoch = self.reference_catalog
        try:
            step.run(str(master))
        except (NoOverlapError, NotEnoughStarsError) as err:
            log.warning("no motions: %s", err)
            self.choices.note("motions", "none", f"{err.found}; {err.do}")
        else:
            self.choices.note("motions", "against the catalog", Path(self.reference_catalog).name)

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


def _refined(distortion):
    """Whether a distortion of an earlier run was refined by few stars: no ePSF was built with it."""
    path = distortion.with_name(
        distortion.name.replace("_distortion.asdf", "_distortion_refine_quality.ecsv")
    )
    return path.exists() and "refined" in Table.read(path).meta
