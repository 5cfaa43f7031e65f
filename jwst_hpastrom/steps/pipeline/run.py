"""A run of the pipeline on one association: its Steps, without those whose products are up to date."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.files.manifest import make_manifest
from jwst_hpastrom.steps._base import Inputs
from jwst_hpastrom.steps.pipeline.planned import build_sources, epsf_entry, fit_manifest
from jwst_hpastrom.steps.products.manifests import made_by, why_not

__all__ = ["Run"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


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
    limited : str or None
        Why no better distortion could be solved.
    """

    pipeline: object
    association: object
    checked: dict
    parts: tuple = ()
    limited: str | None = None
    start: dict = field(default_factory=dict)  # entry of the distortion to build with, replaced later
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

    def master(self, distortion, catalog):
        """Make the master frame; return its path."""
        step, path = self.pipeline.hp_master_frame, self.path("master.ecsv")
        step.distortion_file = str(distortion) if distortion else None
        step.reference_catalog, step.distortion_limited_by = catalog, self.limited
        step.epsf_file = str(self.epsf) if step.mode == "many" else None
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

    def prepare(self, distortion, mode):
        """Set the parameters of build and fit."""
        build, fit = self.pipeline.hp_epsf_build, self.pipeline.hp_epsf_fit
        build.distortion_file = str(distortion) if distortion else None
        build.beam = fit.beam = self.beam
        build.start_epsf = self.pipeline.start_epsf
        fit.epsf_file = self.pipeline.epsf_file or str(self.epsf)
        fit.mode = mode
        self.use_mask()

    def use_mask(self):
        """Let fit and master frame use the build's own mask, or the one given; never another part's."""
        pipe = self.pipeline
        mask = self.own_mask() or pipe.detector_mask
        pipe.hp_epsf_fit.detector_mask = pipe.hp_master_frame.detector_mask = mask

    def own_mask(self):
        """Return the build's own mask; beside a given library there may be none, or another field's."""
        mask = self.path("detector_mask.fits")
        own = not self.pipeline.epsf_file and not self.pipeline.detector_mask and mask.exists()
        return str(mask) if own and made_by(mask) == made_by(self.epsf) else None

    def build_and_fit(self, distortion, mode):
        """Build the library and make the star lists, where they are not there."""
        self.prepare(distortion, mode)
        step, fit = self.pipeline.hp_epsf_build, self.pipeline.hp_epsf_fit
        if not (self.pipeline.epsf_file or self.up_to_date(step, self.epsf, build_sources(self))):
            step.run(self.association.path)
        self.use_mask()
        sources = fit_manifest(self, epsf_entry(self), self.exposures)["inputs"]
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
