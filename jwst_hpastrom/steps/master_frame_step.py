"""MasterFrameStep: star lists of dithered exposures -> a master frame."""

import logging
import os
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import vstack

from jwst_hpastrom.columns import AVERAGED
from jwst_hpastrom.errors import MissingDataError, MixedExposuresError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.frame import build_master, join_filters
from jwst_hpastrom.frame.diagnostics import add_diagnostics
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.calibrations.by_detector import file_for, is_several
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.exposures.beams import read_beam
from jwst_hpastrom.io.exposures.exposure import exposure_root, read_image
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.identity import input_entry
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.io.tables.star_lists import is_star_list
from jwst_hpastrom.measure import artificial_stars, measure_many, summarise_artificial
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._spec import spec_from
from jwst_hpastrom.steps._star_lists import StarLists
from jwst_hpastrom.steps.execution.resources import OF_LISTS
from jwst_hpastrom.steps.pipeline.fields import check_catalog_of
from jwst_hpastrom.steps.products.libraries import libraries_of
from jwst_hpastrom.steps.products.places import (
    beam_of,
    by_filter,
    corrections_of,
    place_detectors,
    write_placed,
)

__all__ = ["MasterFrameStep"]

log = logging.getLogger("stpipe.hpastrom.frame")

OWN = ("correction", "reference", "plane", "store", "progress")
#: columns of star lists that are used
COLUMNS = (
    "x", "y", "x_err", "y_err", "xy_cov", "mag", "mag_err", "flags", "ra", "dec",
    "x_corr", "y_corr", "mag_corr", *AVERAGED,
)  # fmt: skip
SHARED = ("min_exposures", "pixel_area", "executor", "progress")


class MasterFrameStep(StarLists, HPStep):
    """Transform the star lists of all exposures to one frame and average them (L23 §4.4).

    With ``mode = many`` the stars are then found and measured again in all exposures at once. Members may be
    star lists of other origin, as hst1pass writes them; several files are taken as one association.
    """

    class_alias = "hp_master_frame"
    takes_several = True
    #: exposures whose detector and filter has no distortion, whatever files there are: set by the pipeline
    uncorrected = ()
    #: why no distortion could be solved: set by the pipeline
    distortion_limited_by = None

    spec = f"""
    mode = option('average', 'many', default='average')  # average, or measure anew in all exposures
    distortion_file = string(default=None)  # distortion reference (.asdf) that corrects the positions
    reference_catalog = string(default=None)  # catalog whose system the frame is brought to
    epsf_file = string(default=None)  # ePSF library: for missing star lists, and for mode many
    n_artificial = integer(default=0, min=0)  # artificial stars to measure in mode many
    seed = integer(default=1)  # of the artificial stars
    {spec_from(build_master, exclude=OWN)}{spec_from(measure_many, exclude=SHARED)}"""

    def run_step(self, inputs):
        """Read the star lists, build the master frame, write it and the exposures' table."""
        with self.store(OF_LISTS) as store:
            return self._build(inputs, store)

    def _check(self, inputs):
        """Raise before any work where parameters do not go together, or the distortion cannot be read."""
        if self.mode == "many":
            if not self.epsf_file:
                raise ParameterError("mode many without an ePSF library", "epsf_file", "give --epsf_file")
            if lists := [m for m in inputs.members if isinstance(m, str) and is_star_list(m)]:
                raise ParameterError(
                    "mode=many with star lists", "exposures, whose stars are measured anew", "", lists[0]
                )
        given = str(self.distortion_file or "")
        if given and "{" not in given and not Path(given).is_dir():
            read_distortion(given)

    def _build(self, inputs, store):
        self._check(inputs)
        reference = read_catalog(self.reference_catalog) if self.reference_catalog else None  # before any fit
        tables = self.star_lists(inputs, self.epsf_file, columns=COLUMNS, store=store)
        if not tables:
            raise NotEnoughStarsError("no star list", "at least one", "run hp_epsf_fit first")
        MixedExposuresError.unless_one_filter_a_detector([t.meta for t in tables])
        check_catalog_of(tables, reference)
        if self.mode == "many":
            MixedExposuresError.unless_same([t.meta for t in tables], "detector", "filter")
        lists = by_filter(tables)
        corrections = corrections_of(tables, self.distortion_file, self.uncorrected)
        together = len({t.meta.get("detector") for t in tables}) > 1
        frames = self._frames(lists, corrections, reference, together, store)
        with self.making(self.sources(inputs)) as run:
            table, joins = self._joined(inputs.product, frames)
            if self.mode == "many":
                table = self._measure_many(inputs, tables, frames[0], store.held)
            exposures = self._exposures(inputs.product, frames, lists)
            table.meta["distortion"] = Path(self.distortion_file).name if self.distortion_file else "none"
            if self.distortion_limited_by:
                table.meta["distortion_limited_by"] = self.distortion_limited_by
            table.meta["correction_error_pix"] = float(np.median(exposures["correction_error_pix"]))
            self.evidence = {"exposures": exposures, "master": table}
            if together:
                self._place(inputs.product, frames, joins, lists, corrections, reference is not None)
            path = self.output_path(inputs.product, "master", "ecsv")
            self.finish(run, inputs, path)
            write_table(table, path)  # last: it vouches for the rest
        log.info("wrote %s: %d stars", path, len(table))
        return inputs.returned if inputs.in_memory else table

    def _frames(self, lists, corrections, reference, together, store):
        """The master frame of each filter's lists, all on the plane of the first one."""
        parameters, frames = self.parameters_of(build_master, exclude=OWN), []
        parameters |= {"together": parameters["together"] or together, "store": store, "progress": True}
        for own in lists:
            correction = [corrections[beam_of(t)] for t in own]
            plane = frames[0].plane if frames else None
            frames.append(
                build_master(own, correction=correction, reference=reference, plane=plane, **parameters)
            )
        return frames

    def _exposures(self, product, frames, lists):
        """Write the exposures' table and return it."""
        exposures = vstack(
            [add_diagnostics(f.exposures, f, own) for f, own in zip(frames, lists, strict=True)],
            metadata_conflicts="silent",
        )
        exposures.add_column([str(t.meta.get("detector") or "") for own in lists for t in own], 1, "detector")
        self.write_quality(product, exposures)
        return exposures

    def sources(self, inputs):
        """Return what the products are made from; in mode average no pixels are."""
        lists = self.list_entries(inputs.members_by_name())
        entries = lists | self.given("reference_catalog") | self._distortions(inputs)
        if self.mode == "many":
            self.beam = read_beam(inputs.members[0])
            entries |= self.exposure_entries(inputs) | self.given("epsf_file", "detector_mask")
            for name in inputs.members_by_name():
                path = self.output_path(exposure_root(name), "pepsf", "fits")
                if path.is_file():
                    entries[f"ePSF {exposure_root(name)}"] = input_entry(path, "epsf")
        return entries

    def _distortions(self, inputs):
        """Return the entries of the distortions, one for each detector and filter where they are several."""
        if not is_several(self.distortion_file):
            return self.given("distortion_file")
        out, without = {}, [read_beam(path) for path in self.uncorrected]
        for member in inputs.members:
            beam = read_beam(member)
            label = f"distortion_file {beam.get('detector')} {beam.get('filter')}"
            if beam and beam not in without and label not in out:
                path = Path(file_for(self.distortion_file, beam, "a distortion"))
                out |= {label: input_entry(path, "distortion")} if path.is_file() else {}
        return out

    def _joined(self, product, frames):
        """One table of all filters, each one's frame written beside it, and their transformations."""
        if len(frames) == 1:
            return frames[0].table, [LinearTransform()]
        for frame in frames:
            name = f"{product}_{frame.table.meta['filter'].lower()}"
            write_table(frame.table, self.output_path(name, "master", "ecsv"))
        limits = {"max_shift": self.max_shift, "max_rotation": self.max_rotation}
        return join_filters([f.table for f in frames], radius_mas=self.match_radius, **limits)

    def _place(self, product, frames, joins, lists, corrections, absolute):
        """Write where the detectors lie relative to each other, and their distortions with these places."""
        try:
            places = place_detectors(frames, joins, lists, corrections, absolute_scale=absolute)
        except MissingDataError as err:
            log.warning("the detectors' relative places are not known: %s", err)
            return
        write_table(places.table, self.output_path(product, "detectors", "ecsv"))
        self.evidence["detectors"] = places.table
        write_placed(places, lists, corrections, product, self.output_path)

    def _measure_many(self, inputs, tables, frame, held):
        """Measure all exposures at once; write the artificial stars' tables where some are asked for."""
        metas = [t.meta for t in tables]
        MixedExposuresError.unless_same(metas, "xstart", "ystart")
        wanted = [exposure_root(meta["filename"]) for meta in metas]
        libraries = libraries_of(wanted, self.epsf_file, metas[0], self.output_folder())
        images = {}
        for name, member in self.each_member(inputs):
            root = exposure_root(name)
            image = partial(read_image, os.path.abspath(name), self.reading())
            images[root] = image if isinstance(member, str) else self.read(member).image
        with self.store(1 - OF_LISTS, held) as store, self.executor() as executor:
            result = measure_many(
                [images[root] for root in wanted],
                libraries,
                frame,
                store=store,
                executor=executor,
                progress=True,
                **self.parameters_of(measure_many, exclude=("executor", "progress")),
            )
            if self.n_artificial:
                made = artificial_stars(
                    result,
                    rng=np.random.default_rng(self.seed),
                    n_stars=self.n_artificial,
                    executor=executor,
                    progress=True,
                )
                made.meta["seed"] = self.seed
                write_table(made, self.output_path(inputs.product, "artificial", "ecsv"))
                summary = summarise_artificial(made)
                write_table(summary, self.output_path(inputs.product, "completeness", "ecsv"))
        return result.table
