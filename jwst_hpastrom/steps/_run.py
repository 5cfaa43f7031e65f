"""One run of the pipeline: its Steps in order, without those whose products are what they would make."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from jwst_hpastrom.errors import DegenerateSolutionError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.io.identity import input_entry, product_entry
from jwst_hpastrom.io.manifest import make_manifest
from jwst_hpastrom.steps._base import Inputs
from jwst_hpastrom.steps._manifests import fit_inputs, list_label, why_not

__all__ = ["Run"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

EXPOSURE = "exposure "  # begins the labels of exposures in manifests


@dataclass
class Run:
    """The Steps of a pipeline on one association.

    Attributes
    ----------
    pipeline : `~jwst_hpastrom.steps.HPAstromPipeline`

    association : `~jwst_hpastrom.io.association.Association`

    checked : dict of str to `~jwst_hpastrom.steps._inputs.Checked`
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

    def path(self, suffix):
        """Return the path of a product."""
        return self.pipeline.output_folder() / f"{self.association.product}_{suffix}"

    @property
    def epsf(self):
        """Path of the ePSF library."""
        return Path(self.pipeline.epsf_file or self.path("epsf.fits"))

    @property
    def exposures(self):
        """Entries of the exposures, by label."""
        return {c.label: c.entry for m in self.association.members if (c := self.checked.get(m))}

    def to_the_end(self):
        """Run the Steps that have something to do."""
        pipe = self.pipeline
        distortion = self.distortion() if pipe.reference_catalog or pipe.distortion_file else None
        self.lists(distortion)
        master = self.master(distortion, pipe.reference_catalog)
        if not pipe.reference_catalog:
            log.warning("no reference_catalog: neither distortion nor motions were measured")
            return
        pipe.hp_proper_motion.first_epoch = pipe.reference_catalog
        self.motions(str(master))

    def distortion(self):
        """Return the distortion's path, solved where need be; None where there is none."""
        pipe, path = self.pipeline, self.path("distortion.asdf")
        if pipe.distortion_file:
            return Path(pipe.distortion_file)
        step, parts = pipe.hp_distortion_refine, self.parts or (self,)
        step.reference_catalog = pipe.reference_catalog
        if not pipe.reference_catalog:
            step.method = "self"
        first = {label: entry for part in parts for label, entry in part.first_lists().items()}
        sources = step.sources(self.inputs(), first)
        tried = {"hp_distortion_refine": product_entry("none", step.manifest(sources))}
        if pipe.resume and all(part.ends_without(tried) for part in parts):
            log.info("resume: no distortion could be solved from these inputs")
            return self.without(tried)
        if self.done(step, path, lambda: sources):
            return path
        for part in parts:
            part.build_and_fit(None, "isolated", build=not pipe.epsf_file)
        try:
            step.run(self.association.path)
        except (NoOverlapError, NotEnoughStarsError, DegenerateSolutionError) as err:
            if isinstance(err, DegenerateSolutionError) and not self.parts:
                raise
            log.warning("no distortion was solved, that of the exposures' WCS is used: %s", err)
            if path.exists():
                log.warning("%s is of an earlier run, and not used", path)
            return self.without(tried)
        return path

    def without(self, tried):
        """Remember what a distortion cannot be made from."""
        for part in self.parts or (self,):
            part.tried = tried

    def lists(self, distortion):
        """Build the library and make the final star lists."""
        pipe = self.pipeline
        self.build_and_fit(distortion, pipe.mode, build=not (pipe.epsf_file or self.tried))

    def master(self, distortion, catalog):
        """Make the master frame; return its path."""
        step, path = self.pipeline.hp_master_frame, self.path("master.ecsv")
        step.distortion_file = str(distortion) if distortion else None
        step.reference_catalog = catalog
        self.use_mask()
        if not self.done(step, path, lambda: step.sources(self.inputs())):
            step.run(self.association.path)
        return path

    def motions(self, *members):
        """Measure motions of the members, one master frame, or those of all epochs."""
        step = self.pipeline.hp_proper_motion
        inputs = Inputs(self.association.product, members or self.association.members)
        if not self.done(step, self.path("pm.ecsv"), lambda: step.sources(inputs)):
            step.run(members[0] if members else self.association.path)

    def inputs(self):
        """Return the association as Steps open it."""
        return Inputs(self.association.product, self.association.members)

    def first_lists(self):
        """Return the entries of the star lists of the first pass, which those of the second replace."""
        self.prepare(None, "isolated")
        epsf = self.epsf_entry(planned=True)
        return {
            list_label(label.removeprefix(EXPOSURE)): product_entry(
                label.removeprefix(EXPOSURE), self.fit_manifest(epsf, {label: entry})
            )
            for label, entry in self.exposures.items()
        }

    def ends_without(self, tried):
        """Whether, of an earlier run, star lists are there that followed the same vain attempt."""
        self.tried = tried
        self.prepare(None, self.pipeline.mode)
        self.tried = {}
        manifest = self.fit_manifest(self.epsf_entry(planned=True), self.exposures)
        path = self.path("epsf_fit_quality.ecsv")
        return not why_not(path, manifest, self.path("checks.ecsv"))

    def prepare(self, distortion, mode):
        """Set the parameters of build and fit."""
        build, fit = self.pipeline.hp_epsf_build, self.pipeline.hp_epsf_fit
        build.distortion_file = str(distortion) if distortion else None
        build.resume, build.start_epsf = self.pipeline.resume, self.pipeline.start_epsf
        fit.epsf_file, fit.mode, fit.extra_inputs = str(self.epsf), mode, self.tried
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
        own = not self.pipeline.epsf_file and not self.pipeline.detector_mask
        return str(mask) if own and mask.exists() else None

    def build_and_fit(self, distortion, mode, *, build):
        """Build the library and make the star lists, where they are not there."""
        self.prepare(distortion, mode)
        step, fit = self.pipeline.hp_epsf_build, self.pipeline.hp_epsf_fit
        if build and not self.done(step, self.epsf, self.build_sources):
            step.run(self.association.path)
        self.use_mask()
        path = self.path("epsf_fit_quality.ecsv")
        epsf = self.epsf_entry()
        if not self.done(fit, path, lambda: self.fit_manifest(epsf, self.exposures)["inputs"]):
            fit.run(self.association.path)

    def done(self, step, path, sources):
        """Whether ``resume`` is on and a Step's products are what it would make; else say why not."""
        if not self.pipeline.resume:
            return False
        manifest = make_manifest(step.class_alias, step.deciding_parameters(), sources())
        if reason := why_not(path, manifest, self.path("checks.ecsv")):
            log.info("resume: %s runs: %s", step.class_alias, reason)
            return False
        self.path("epsf_build_checkpoint.npz").unlink(missing_ok=True)  # of a run that died after the build
        log.info("resume: %s is up to date", path.name)
        return True
