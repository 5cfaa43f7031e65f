"""`DistortionRefineStep`: star lists and a reference catalog become the distortion reference files."""

import logging
from pathlib import Path

import numpy as np

from jwst_hpastrom.distortion import place_frame, solve_distortion, to_v2v3
from jwst_hpastrom.distortion.few_stars import refine_distortion
from jwst_hpastrom.distortion.solve.matching import used_lists
from jwst_hpastrom.distortion.solve.quality import quality_table
from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.instrument import shape_of
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion, write_distortion
from jwst_hpastrom.io.calibrations.layouts import LAYOUTS, wanted_formats, write_layouts
from jwst_hpastrom.io.calibrations.refined_wcs import refine_exposure_wcs
from jwst_hpastrom.io.exposures.exposure import exposure_root
from jwst_hpastrom.io.identity import copied_entry
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.steps._base import HPStep, Inputs
from jwst_hpastrom.steps._spec import spec_from
from jwst_hpastrom.steps._star_lists import StarLists
from jwst_hpastrom.steps.execution.resources import OF_LISTS
from jwst_hpastrom.steps.pipeline.fields import check_catalog_of

__all__ = ["DistortionRefineStep"]

#: columns of star lists that are used
COLUMNS = ("x", "y", "x_err", "y_err", "mag", "qfit", "flags", "ra", "dec")

log = logging.getLogger("stpipe.hpastrom.distortion")


class DistortionRefineStep(StarLists, HPStep):
    """Solve polynomial, look-up table and pixel map; write them for assign_wcs, hst1pass and FITS readers."""

    class_alias = "hp_distortion_refine"
    by_detector = True

    spec = """
    reference_catalog = string(default=None)  # catalog with positions, motions and epoch
    epsf_file = string(default=None)  # ePSF library, to make star lists that are missing
    distortion_file = string(default=None)  # distortion to refine by low orders instead of solving one anew
    few_stars = option('fail', 'refine', default='fail')  # too few to solve it: refine that of the WCS, too
    void_asn = force_list(default=None)  # associations of other filters for the pixel map; no commas in paths
    save_exposures = boolean(default=False)  # write copies with the refined WCS, x_hpcal.fits
    formats = force_list(default=None)  # files of the distortion: asdf, stdgdc, gdc (default: asdf)
    seed = integer(default=0)  # draws the stars that are held out of the fit
    """ + spec_from(solve_distortion, exclude=("void_lists", "shape"))

    #: what was done, in words, and why
    chosen = None

    def run_step(self, inputs):
        """Solve or refine, and write all products; return the held-out residuals by stage."""
        wanted_formats(self.formats)  # refused before the work
        if self.distortion_file and self.method == "self":
            raise ParameterError("method=self with distortion_file", "one of the two", "drop one")
        if self.method != "self" and not self.reference_catalog:
            raise ParameterError(
                f"method={self.method} without reference_catalog",
                "a catalog",
                "give one, or use --method=self",
            )
        reference = read_catalog(self.reference_catalog) if self.reference_catalog else None
        with self.store(OF_LISTS) as store:
            lists = self.star_lists(inputs, self.epsf_file, columns=COLUMNS, store=store)
            check_catalog_of(lists, reference)
            return self._correct(inputs, lists, reference, store)

    def _correct(self, inputs, lists, reference, store):
        if self.distortion_file:
            return self._refine(inputs, lists, reference)
        try:
            return self._solve(inputs, lists, reference, store)
        except (NoOverlapError, NotEnoughStarsError) as err:
            if self.few_stars == "fail" or self.method == "self" or not lists:
                raise
            log.warning("no distortion can be solved, that of the exposures' WCS is refined: %s", err)
        return self._refine(inputs, lists, reference)

    def _solve(self, inputs, lists, reference, store):
        voids = [self._void_lists(path, store) for path in self.void_asn or () if path and path != "None"]
        with self.executor() as executor:
            solution = solve_distortion(
                lists,
                reference,
                void_lists=voids,
                executor=executor,
                store=store,
                progress=True,
                rng=np.random.default_rng(self.seed),
                shape=shape_of(lists[0].meta if lists else {}),
                **self.parameters_of(solve_distortion, exclude=("void_lists", "shape")),
            )
        n = np.unique(solution.pairs.star).size
        self.chosen = f"solved, {solution.method}", f"{n} reference stars"
        with self.making(self.sources(inputs)) as run:
            self._write(inputs, solution, lists, run)
        return solution.stages if inputs.returned is None else inputs.returned

    def _refine(self, inputs, lists, reference):
        """Add to the given distortion, or the WCS's, what the reference stars pay for."""
        base, source = None, "the exposures' WCS"
        if self.distortion_file:
            base, source = read_distortion(self.distortion_file, exposures=lists[0].meta), "given"
        found = refine_distortion(
            lists, reference, base, max_shift=self.max_shift, qfit_max=self.qfit_max,
            error_max=self.error_max, match_radius=self.match_radius, motion_error=self.motion_error,
        )  # fmt: skip
        trial = found.trials[found.degree]
        self.chosen = (
            " + ".join(filter(None, (source, found.terms))),
            f"{found.n_stars} reference stars, held out {found.trials['rms'][0]:.4f} px, with it "
            f"{trial['rms']:.4f} px; stated error {found.error:.4f} px",
        )
        log.info("distortion: %s (%s)", *self.chosen)
        quality = found.trials
        quality.meta |= {"refined": source, "degree": found.degree, "stars": found.n_stars,
                         "stated_error_px": found.error, "chosen": list(self.chosen)}  # fmt: skip
        placement = place_frame(found.correction, used_lists(lists, found.pairs))
        with self.making(self.sources(inputs)) as run:
            self._write_layouts(inputs.product, found.correction, lists[0].meta)
            self.write_quality(inputs.product, quality)
            path = self.output_path(inputs.product, "distortion", "asdf")
            self._write_exposures(inputs, found.correction, placement, path)
            self.finish(run, inputs, path)
            write_distortion(path, found.correction, placement, lists[0].meta)  # last: vouches for the rest
        return quality if inputs.returned is None else inputs.returned

    def sources(self, inputs, lists=None):
        """Return what the products are made from; ``lists`` are the entries of star lists, if known."""
        lists = self.list_entries(inputs.members_by_name()) if lists is None else lists
        for path in self.void_asn or ():
            if path and path != "None":
                lists = lists | self.list_entries(read_association(path).members)
        copied = dict(self.copied(inputs)) if self.save_exposures else {}
        return lists | self.given("reference_catalog", "distortion_file") | copied

    def copied(self, inputs):
        """Yield label and entry of the exposures of which copies are written, whole."""
        for name, member in self.each_member(inputs):
            if isinstance(member, str) and member.endswith(".fits"):
                yield f"copy of {exposure_root(name)}", copied_entry(member)

    def _void_lists(self, path, store):
        association = read_association(path)
        inputs = Inputs(association.product, association.members)
        return self.star_lists(inputs, self.epsf_file, columns=COLUMNS, store=store)

    def _write(self, inputs, solution, lists, run):
        scale = solution.pixel_scale
        placement = place_frame(
            solution.correction,
            used_lists(lists, solution.pairs),
            scale_mas=None if scale is None else scale.meta["pixel_scale_ideal"],
        )
        log.info(
            "the sky positions change by up to %.2f mas, by %.4f mas in the mean",
            placement.jump_mas, placement.mean_jump_mas,
        )  # fmt: skip
        product = inputs.product
        meta = lists[0].meta
        asdf_path = self.output_path(product, "distortion", "asdf")
        self._write_layouts(product, solution.correction, meta)
        quality = quality_table(solution)
        quality.meta["chosen"] = list(self.chosen)
        self.write_quality(product, quality)
        self.evidence = {"distortion": quality}
        if scale is not None:
            self.write_quality(f"{product}_scale", scale)
        self._write_exposures(inputs, solution.correction, placement, asdf_path)
        self.finish(run, inputs, asdf_path)
        write_distortion(asdf_path, solution.correction, placement, meta)  # last: it vouches for the rest

    def _write_exposures(self, inputs, correction, placement, path):
        """Write copies of the exposures with the new WCS where they are asked for."""
        if not self.save_exposures:
            return
        model = to_v2v3(correction, placement)
        for name, member in self.each_member(inputs):
            if isinstance(member, str) and member.endswith(".fits"):
                output = self.output_path(exposure_root(name), "hpcal", "fits")
                refine_exposure_wcs(member, output, model, reference=Path(path).name)

    def _write_layouts(self, product, correction, meta):
        paths = {suffix: self.output_path(product, suffix, "fits") for suffix in LAYOUTS}
        write_layouts(paths, correction, meta, wanted_formats(self.formats))
