"""One run of the pipeline: its Steps in order, without those whose products are what they would make."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from jwst_hpastrom.errors import DegenerateSolutionError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.files.manifest import make_manifest
from jwst_hpastrom.io.identity import input_entry, product_entry
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.steps._base import Inputs
from jwst_hpastrom.steps.pipeline.choices import AS_BEFORE
from jwst_hpastrom.steps.products.manifests import fit_inputs, list_label, made_by, why_not

__all__ = ["Run"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

#: ends of the names of what a distortion's Step writes
OF_DISTORTION = (
    "distortion.asdf", "stdgdc.fits", "gdc.fits", "distortion_refine_quality.ecsv",
    "scale_distortion_refine_quality.ecsv",
)  # fmt: skip
EXPOSURE = "exposure "  # begins the labels of exposures in manifests


@dataclass
class Run:
    """The Steps of a pipeline on one association.

    Attributes
    ----------
    pipeline : `~jwst_hpastrom.steps.HPAstromPipeline`

    association : `~jwst_hpastrom.io.association.Association`

    checked : dict of str to `~jwst_hpastrom.steps.pipeline.inputs.Checked`
        The exposures that can be read, by member.

    parts : tuple of `Run`
        Runs that make the star lists, each with a library of its own: of the epochs of a distortion. The
        run itself, if empty.
    """

    pipeline: object
    association: object
    checked: dict
    parts: tuple = ()
    tried: dict = field(default_factory=dict)  # what a distortion would have been made from that cannot be
    made: dict = field(default_factory=dict)  # manifests of what is up to date, by path

    def __post_init__(self):
        known = {Path(m).resolve(): c for m, c in self.checked.items()}
        mine = [c for m in self.association.members if (c := known.get(Path(m).resolve()))]
        self.exposures = {c.label: c.entry for c in mine}
        self.beam = {k: mine[0].meta[k] for k in ("instrument", "detector", "filter")} if mine else {}

    def path(self, suffix):
        """Return the path of a product."""
        return self.pipeline.output_folder() / f"{self.association.product}_{suffix}"

    @property
    def epsf(self):
        """Path of the ePSF library."""
        if given := self.pipeline.epsf_file:
            return Path(file_for(given, self.beam, "an ePSF library"))
        return self.path("epsf.fits")

    def calibrate(self, *, several=False):
        """Build the ePSF, fit the stars, solve the distortion; return its file, None where there is none.

        ``several`` says that this is one of several detectors and filters.
        """
        pipe, own = self.pipeline, self.path("distortion.asdf")
        given = pipe.distortion_file or None
        ours = given and Path(given).exists() and own.exists() and own.samefile(given)
        part = f"distortion of {self.association.product}" if several else "distortion"
        if not pipe.reference_catalog or ours or (given and several):  # a run's product is not refined again
            why = "of an earlier run" if ours else "several detectors" if given else ""
            why = why if pipe.reference_catalog else "no reference catalog"
            if not given:
                why += "; errors hold what dithers show, not the WCS's own, of up to 5 mas"
            pipe.choices.note(part, "given" if given else "the exposures' WCS", why)
            if not pipe.reference_catalog:
                pipe.limited = why
            distortion = start = given
        else:
            pipe.hp_distortion_refine.few_stars = "refine"
            distortion, start = self.solve(given, part)
        self.set_aside(distortion)
        self.build_and_fit(start, pipe.mode)
        return distortion

    def set_aside(self, used):
        """Let an earlier run's distortion, where this run uses another or none, be taken by nothing."""
        own = [path for suffix in OF_DISTORTION if (path := self.path(suffix)).exists()]
        found = Path(file_for(used, self.beam, "a distortion")) if used else None
        if found and found.exists() and any(path.samefile(found) for path in own):
            return
        for path in own:
            path.rename(kept := path.with_name(f"{path.name}.earlier"))
            log.warning("%s is of an earlier run, and not used: it is %s now", path, kept.name)

    def solve(self, given, part="distortion"):
        """Solve or refine the distortion.

        Parameters
        ----------
        given : path-like or None
            Distortion to refine.

        part : str
            How the choices call it.

        Returns
        -------
        distortion, start : path-like or None
            The one to use, and the one to build ePSFs with: few stars change little, the ePSF of the first
            round then holds.
        """
        pipe, path, parts = self.pipeline, self.path("distortion.asdf"), self.parts or (self,)
        step = pipe.hp_distortion_refine
        step.reference_catalog, step.distortion_file = pipe.reference_catalog, given and str(given)
        step.beam, step.chosen = self.beam, None
        if not pipe.reference_catalog:
            step.method = "self"
        first = {label: entry for run in parts for label, entry in run.first_lists(given).items()}
        sources = step.sources(self.inputs(), first)
        tried = {step.class_alias: product_entry("none", step.manifest(sources))}
        if pipe.resume and all(run.ends_without(tried, given) for run in parts):
            log.info("resume: no distortion could be solved from these inputs")
            return self._without(tried, given, part, AS_BEFORE)
        if not self.up_to_date(step, path, sources):
            for run in parts:
                run.build_and_fit(given, "isolated")
            try:
                step.run(self.association.path)
            except (NoOverlapError, NotEnoughStarsError, DegenerateSolutionError) as err:
                if isinstance(err, DegenerateSolutionError) and not self.parts:
                    raise
                source = "that given" if given else "that of the exposures' WCS"
                log.warning("no distortion was solved, %s is used: %s", source, err)
                return self._without(tried, given, part, f"no star to refine it by: {err.found}; {err.do}")
        chosen = read_table(self.path("distortion_refine_quality.ecsv")).meta["chosen"]
        pipe.choices.note(part, *chosen)
        whole = chosen[0].startswith("solved")
        if not whole:
            pipe.limited = f"few reference stars refined {chosen[0]}"
        return path, path if whole else given

    def _without(self, tried, given, part, why):
        """No distortion: the star lists tell what was tried, unless trying again costs nothing."""
        for run in self.parts or (self,):
            run.tried = {} if self.pipeline.mode == "isolated" else tried
        self.pipeline.choices.note(part, "given" if given else "the exposures' WCS", why)
        self.pipeline.limited = why
        return given, given

    def frame_and_motions(self, distortion):
        """Average all star lists to one master frame, and measure motions against the catalog."""
        pipe = self.pipeline
        tied = self._tied(distortion)
        if not pipe.reference_catalog:
            log.warning("no reference_catalog: neither distortion nor motions were measured")
        elif tied:
            pipe.hp_proper_motion.first_epoch = pipe.reference_catalog
            try:
                self.motions(str(self.path("master.ecsv")))
            except (NoOverlapError, NotEnoughStarsError) as err:
                log.warning("no motions: %s", err)
                pipe.choices.note("motions", "none", f"{err.found}; {err.do}")
            else:
                pipe.choices.note("motions", "against the catalog", Path(pipe.reference_catalog).name)

    def _tied(self, distortion):
        """Make the master frame, tied to the catalog where that can be; whether it was."""
        catalog, note = self.pipeline.reference_catalog, self.pipeline.choices.note
        try:
            meta = read_table(self.master(distortion, catalog)).meta
        except (NoOverlapError, NotEnoughStarsError) as err:
            if not catalog:
                raise
            self.master(distortion, None)  # where it is not the catalog that fails, this does, too
            log.warning("the frame is not tied to the catalog, the exposures' WCS place it: %s", err)
            note("frame", "placed by the exposures' WCS", f"{err.found}; {err.do}")
            return False
        if meta.get("tied_to") == "reference":
            note("frame", f"tied to {meta['n_tie']} stars", f"scatter {meta['tie_rms_mas']:.2f} mas")
        else:
            note("frame", "placed by the exposures' WCS", "no reference catalog")
        return bool(catalog)

    def master(self, distortion, catalog):
        """Make the master frame; return its path."""
        step, path = self.pipeline.hp_master_frame, self.path("master.ecsv")
        step.distortion_file = str(distortion) if distortion else None
        step.reference_catalog, step.distortion_limited_by = catalog, self.pipeline.limited
        self.use_mask()
        if not self.up_to_date(step, path, step.sources(self.inputs())):
            step.run(self.association.path)
        return path

    def motions(self, *members):
        """Measure motions of the members, one master frame, or those of all epochs."""
        step = self.pipeline.hp_proper_motion
        inputs = Inputs(self.association.product, members or self.association.members)
        if not self.up_to_date(step, self.path("pm.ecsv"), step.sources(inputs)):
            step.run(members[0] if members else self.association.path)

    def inputs(self):
        """Return the association as Steps open it."""
        return Inputs(self.association.product, self.association.members)

    def first_lists(self, given):
        """Return the entries of the star lists of the first pass, which those of the second replace."""
        self.prepare(given, "isolated")
        epsf = self.epsf_entry(planned=True)
        return {
            list_label(label.removeprefix(EXPOSURE)): product_entry(
                label.removeprefix(EXPOSURE), self.fit_manifest(epsf, {label: entry})
            )
            for label, entry in self.exposures.items()
        }

    def ends_without(self, tried, given):
        """Whether, of an earlier run, star lists are there that followed the same vain attempt."""
        if self.pipeline.mode == "isolated":
            return False
        self.tried = tried
        self.prepare(given, self.pipeline.mode)
        self.tried = {}
        manifest = self.fit_manifest(self.epsf_entry(planned=True), self.exposures)
        path = self.path("epsf_fit_quality.ecsv")
        return not why_not(path, manifest, self.path("checks.ecsv"))

    def prepare(self, distortion, mode):
        """Set the parameters of build and fit."""
        build, fit = self.pipeline.hp_epsf_build, self.pipeline.hp_epsf_fit
        build.distortion_file = str(distortion) if distortion else None
        build.beam = fit.beam = self.beam
        build.resume, build.start_epsf = self.pipeline.resume, self.pipeline.start_epsf
        fit.epsf_file = self.pipeline.epsf_file or str(self.epsf)
        fit.mode, fit.extra_inputs = mode, self.tried
        self.use_mask()

    def use_mask(self):
        """Let fit and master frame use the build's own mask, or the one given; never another part's."""
        pipe = self.pipeline
        mask = self.own_mask() or pipe.detector_mask
        pipe.hp_epsf_fit.detector_mask = pipe.hp_master_frame.detector_mask = mask

    def build_sources(self):
        """Return what the library is made from."""
        build = self.pipeline.hp_epsf_build
        return self.exposures | build.given("distortion_file", "start_epsf", "detector_mask")

    def epsf_entry(self, *, planned=False):
        """Return the entry of the library: as it is there, or as it will have been made."""
        if planned and not self.pipeline.epsf_file:
            return product_entry(self.epsf.name, self.pipeline.hp_epsf_build.manifest(self.build_sources()))
        return input_entry(self.epsf, "epsf") if self.epsf.is_file() else {}

    def fit_manifest(self, epsf, exposures):
        """Return the manifest of star lists."""
        fit = self.pipeline.hp_epsf_fit
        mask = {} if self.own_mask() else fit.given("detector_mask")
        return make_manifest(
            fit.class_alias, fit.deciding_parameters(), fit_inputs(epsf, mask, fit.extra_inputs, exposures)
        )

    def own_mask(self):
        """Return the build's own mask; beside a given library there may be none, or another field's."""
        mask = self.path("detector_mask.fits")
        own = not self.pipeline.epsf_file and not self.pipeline.detector_mask and mask.exists()
        return str(mask) if own and made_by(mask) == made_by(self.epsf) else None

    def build_and_fit(self, distortion, mode):
        """Build the library and make the star lists, where they are not there."""
        self.prepare(distortion, mode)
        step, fit = self.pipeline.hp_epsf_build, self.pipeline.hp_epsf_fit
        if not (self.pipeline.epsf_file or self.up_to_date(step, self.epsf, self.build_sources())):
            step.run(self.association.path)
        self.use_mask()
        sources = self.fit_manifest(self.epsf_entry(), self.exposures)["inputs"]
        if not self.up_to_date(fit, self.path("epsf_fit_quality.ecsv"), sources):
            fit.run(self.association.path)

    def up_to_date(self, step, path, sources):
        """Whether a Step's products are what it would make: of this run, or of an earlier one to resume.

        Else they are taken to be when this is asked next.
        """
        manifest = make_manifest(step.class_alias, step.deciding_parameters(), sources)
        before, self.made[path] = self.made.get(path), manifest["id"]
        if before == manifest["id"]:
            return True
        if not self.pipeline.resume:
            return False
        if reason := why_not(path, manifest, self.path("checks.ecsv")):
            log.info("resume: %s runs: %s", step.class_alias, reason)
            return False
        self.path("epsf_build_checkpoint.npz").unlink(missing_ok=True)  # of a run that died after the build
        log.info("resume: %s is up to date", path.name)
        return True
