"""EPSFBuildStep: dithered exposures -> a library of effective PSFs."""

import logging
import os
from dataclasses import replace
from functools import partial

import numpy as np

from jwst_hpastrom import __version__
from jwst_hpastrom.epsf.build import build_library
from jwst_hpastrom.errors import HPAstromError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.geometry.planes import common_planes
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.io.calibrations.stdpsf import NODES, OVERSAMPLING, write_stdpsf
from jwst_hpastrom.io.exposures.detector_mask import write_detector_mask
from jwst_hpastrom.io.exposures.exposure import read_image
from jwst_hpastrom.io.exposures.quality_bits import dq_bits
from jwst_hpastrom.io.files.checkpoint import Checkpoint
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._spec import spec_from
from jwst_hpastrom.steps.products.seen import Seen, common_meta, look

__all__ = ["EPSFBuildStep"]

log = logging.getLogger("stpipe.hpastrom.epsf")

GIVEN = ("distortion_file", "start_epsf", "detector_mask")
OWN = ("correction", "start", "made_for", "checkpoint", "store", "executor", "progress")


class EPSFBuildStep(HPStep):
    """Build a grid of effective PSFs from dithered exposures of one filter (L23 §3)."""

    class_alias = "hp_epsf_build"
    by_detector = True

    spec = """
    distortion_file = string(default=None)  # distortion reference (.asdf) that corrects the positions
    start_epsf = string(default=None)  # library, as of another date, whose difference is learned
    resume = boolean(default=False)  # go on after the last iteration of an interrupted build
    """ + spec_from(build_library, exclude=OWN)

    def run_step(self, inputs):
        """Read the exposures, build the library, write it as FITS and ASDF, and the convergence table."""
        side = 2 * self.grid - 1 if self.refine else self.grid
        if self.oversampling != OVERSAMPLING or side > NODES:
            raise ParameterError(
                f"oversampling={self.oversampling}, up to {side} field positions a side (grid={self.grid})",
                f"{OVERSAMPLING} and at most {NODES}, which STDPSF files hold",
                "use another grid or --refine=false, or call build_library in Python",
            )
        with self.store(beside=0.0) as store:
            return self._build(inputs, self._look(inputs, store), store)

    def _look(self, inputs, store):
        """Read each exposure for what is needed beside its pixels, which are read again when they are."""
        seen = []
        for name, member in self.each_member(inputs):
            try:
                if isinstance(member, str):
                    later = partial(read_image, os.path.abspath(name), self.reading())
                    seen.append(replace(look(member, self.reading()), image=later))
                else:
                    exposure = self.read(member, need_wcs=True, parts=True)
                    seen.append(Seen.of(exposure, store.keep(exposure.image)))
            except HPAstromError as err:
                self.failed(err.about(name))
        if not seen:
            raise NotEnoughStarsError("no exposure", "at least one")
        return seen

    def _build(self, inputs, exposures, store):
        meta = common_meta(exposures)
        sources = dict(e.entry for e in exposures) | self.given(*GIVEN)
        planes, _ = common_planes(*exposures[0].grid, [e.sky for e in exposures])
        parameters = self.parameters_of(build_library, exclude=OWN)
        origin = exposures[0].meta["xstart"] - 1, exposures[0].meta["ystart"] - 1
        correction = self._correction(*origin, meta)
        start = self._start(*origin, meta)
        ny, nx = exposures[0].shape
        gx, gy = (g.ravel() for g in np.meshgrid(np.linspace(0, nx - 1, 9), np.linspace(0, ny - 1, 9)))
        pixels = [(e.name, e.content, plane(gx, gy)) for e, plane in zip(exposures, planes, strict=True)]
        if correction is not None:  # what is in its file, and what it does
            content = np.fromfile(file_for(self.distortion_file, meta, "a distortion"), np.uint8)
            corrected = content, correction.forward(gx, gy)
        else:
            corrected = None
        given = None if start is None else (start.data, start.x, start.y)
        weight = dq_bits(self.bad_bits), sources.get("detector_mask")
        key = (__version__, pixels, weight, meta, corrected, given, parameters)
        checkpoint = Checkpoint(
            self.output_path(inputs.product, "epsf_build_checkpoint", "npz"), key, resume=self.resume
        )
        try:
            with self.executor() as executor:
                result = build_library(
                    [e.image for e in exposures],
                    planes,
                    correction=correction,
                    start=start,
                    made_for=meta,
                    checkpoint=checkpoint,
                    store=store,
                    executor=executor,
                    progress=True,
                    **parameters,
                )
        except HPAstromError:  # going on from there would meet it again
            checkpoint.remove()
            raise
        library = result.library.shifted(*origin)  # field positions on the full detector
        library.meta.update(meta)
        with self.making(sources) as run:
            path = self._write(run, inputs, library, result, exposures[0])
        checkpoint.remove()
        log.info("wrote %s and its .asdf: %d ePSFs", path, len(library.data))
        return inputs.returned if inputs.in_memory else result.convergence

    def _write(self, run, inputs, library, result, exposure):
        result.convergence.meta["hot_pixel_share"] = len(result.hot_pixels) / np.prod(exposure.shape)
        self.write_quality(inputs.product, result.convergence)
        self.evidence = {"build": result.convergence}
        write_table(result.phases, self.output_path(inputs.product, "epsf_build_phase_quality", "ecsv"))
        mask = self.output_path(inputs.product, "detector_mask", "fits")
        if len(result.hot_pixels):
            write_detector_mask(mask, result.hot_pixels, exposure.shape, exposure.meta)
        else:
            mask.unlink(missing_ok=True)
        path = self.output_path(inputs.product, "epsf", "fits")
        write_epsf_reference(library, path.with_suffix(".asdf"))
        self.finish(run, inputs, path)
        write_stdpsf(library, path)  # last: who finds it finds the rest
        return path

    def _start(self, x0, y0, meta):
        if not self.start_epsf:
            return None
        library = read_epsf(self.start_epsf, meta)
        library.check_made_for(meta)
        if library.oversampling != OVERSAMPLING:
            raise ParameterError(
                f"start_epsf={self.start_epsf} of {library.oversampling} samples a pixel", f"{OVERSAMPLING}"
            )
        return library.shifted(-x0, -y0)

    def _correction(self, x0, y0, meta):
        if not self.distortion_file:
            return None
        correction = read_distortion(self.distortion_file, exposures=meta)
        return LinearTransform(offset=np.array([x0, y0], float)) | correction if x0 or y0 else correction
