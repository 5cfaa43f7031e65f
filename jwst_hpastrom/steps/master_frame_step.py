"""MasterFrameStep: star lists of dithered exposures -> a master frame."""

import logging

from jwst_hpastrom.errors import HPAstromError, NotEnoughStarsError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.io.catalogs import read_catalog
from jwst_hpastrom.io.distortion_reference import read_distortion
from jwst_hpastrom.io.writing import write_table
from jwst_hpastrom.steps._base import HPStep, spec_from

__all__ = ["MasterFrameStep"]

log = logging.getLogger("stpipe.hpastrom.frame")

OWN = ("correction", "reference", "plane", "progress")


class MasterFrameStep(HPStep):
    """Transform the star lists of all exposures to one frame and average them (L23 §4.4)."""

    class_alias = "hp_master_frame"

    spec = """
    distortion_file = string(default=None)  # distortion reference (.asdf) that corrects the positions
    reference_catalog = string(default=None)  # catalogue whose system the frame is brought to
    epsf_file = string(default=None)  # ePSF library to make missing star lists with
    """ + spec_from(build_master, exclude=OWN)

    def run_step(self, inputs):
        """Read the star lists, build the master frame, write it and the exposures' table."""
        tables = self.star_lists(inputs, self.epsf_file)
        if not tables:
            raise NotEnoughStarsError("no star list", "at least one", "run hp_epsf_fit first", inputs.product)
        reference = read_catalog(self.reference_catalog) if self.reference_catalog else None
        correction = self._correction()
        try:
            frame = build_master(
                tables,
                correction=correction,
                reference=reference,
                progress=True,
                **self.parameters_of(build_master, exclude=OWN),
            )
        except HPAstromError as error:
            raise error.about(inputs.product) from None
        path = write_table(frame.table, self.output_path(inputs.product, "master", "ecsv"))
        self.write_quality(inputs.product, frame.exposures)
        log.info("wrote %s: %d stars", path, len(frame.table))
        return inputs.returned if inputs.in_memory else frame.table

    def _correction(self):
        return read_distortion(self.distortion_file) if self.distortion_file else None
