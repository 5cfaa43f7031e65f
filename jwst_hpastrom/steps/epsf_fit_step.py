"""EPSFFitStep: exposures and an ePSF library -> star lists."""

import logging
import os
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table
from jwst.stpipe import record_step_status
from tqdm.auto import tqdm

from jwst_hpastrom import __version__
from jwst_hpastrom.checks.exposures import bright_qfit, lost_cores
from jwst_hpastrom.epsf import measure_stars, perturb_library
from jwst_hpastrom.epsf.wavefront import modes_of, warn_of_given
from jwst_hpastrom.errors import BadFileError, HPAstromError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.files.manifest import comment, make_manifest
from jwst_hpastrom.io.files.writing import atomic_path
from jwst_hpastrom.io.identity import input_entry
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._exposure_fit import fit_exposure, held, remove_products, write_lists
from jwst_hpastrom.steps._spec import spec_from
from jwst_hpastrom.steps.execution.resources import OF_LISTS
from jwst_hpastrom.steps.pipeline.inputs import check_names
from jwst_hpastrom.steps.products.groups import join_catfiles
from jwst_hpastrom.steps.products.manifests import fit_inputs

__all__ = ["EPSFFitStep"]

log = logging.getLogger("stpipe.hpastrom.epsf")

EPSF_VARIABLE = "HPASTROM_EPSF_FILE"  # names the ePSF where no parameter can, as in strun's hooks


class EPSFFitStep(HPStep):
    """Find the stars of each exposure and fit the ePSF to them (L23 §3)."""

    class_alias = "hp_epsf_fit"
    by_detector = True

    spec = (
        """
    epsf_file = string(default=None)  # ePSF library, .fits (STDPSF) or .asdf; else $HPASTROM_EPSF_FILE
    perturb = option('none', 'global', 'zones', default='none')  # adapt to each exposure: none, global, zones
    list_format = option('ecsv', 'parquet', default='ecsv')  # format of the star lists
    regions = boolean(default=False)  # write a ds9 region file beside each star list
    """
        + spec_from(measure_stars)
        + spec_from(perturb_library, exclude=("zones",))
    )

    def run_step(self, inputs):
        """Fit each exposure; write star lists, the catalog file of tweakreg and the quality table."""
        self._check_names(inputs)
        epsf_file = self.epsf_file or os.environ.get(EPSF_VARIABLE)
        if not epsf_file:
            raise ParameterError("no epsf_file", "an ePSF library", "give --epsf_file=PRODUCT_epsf.fits")
        library = read_epsf(epsf_file, self.beam)
        if self.follow_wavefront:
            modes_of(library)  # found here, once, and sent along
        warn_of_given(library, self.beam)
        task = {
            "library": library, "folder": self.output_folder().absolute(), "reading": self.reading(),
            "list_format": self.list_format, "regions": self.regions,
            "parameters": self.parameters_of(measure_stars),
            "perturbation": self.parameters_of(perturb_library) | {"zones": self.perturb},
        }  # fmt: skip
        epsf = input_entry(file_for(epsf_file, self.beam, "an ePSF library"), "epsf")
        fitted, lists = [], {}
        task["manifest"] = partial(make_manifest, self.class_alias, self.deciding_parameters())
        task["sources"] = partial(fit_inputs, epsf, self.given("detector_mask"))
        exposures = {}
        with self.store(OF_LISTS) as store, self.executor() as executor:
            members = self.each_member(inputs)
            if executor is not None and not inputs.in_memory:
                members = [(n, executor.submit(fit_exposure, os.path.abspath(m), **task)) for n, m in members]
            bar = {"total": len(inputs.members), "desc": "star fits", "unit": "exposure", "disable": None}
            for name, member in tqdm(members, **bar):
                try:
                    done = member.result() if hasattr(member, "result") else fit_exposure(member, **task)
                    exposures |= done.exposure
                    if done.error:
                        raise done.error
                except HPAstromError as err:
                    self.failed(err.about(name))
                    remove_products(name, self.output_folder())  # of an earlier run: not to be averaged with
                    self._record(member, None)
                    continue
                row = done.row
                self._record(member, row)
                done.stars = held(done.stars, store)
                fitted.append(done)
                lists[Path(name).name] = row["star_list"]
                log.info("%s: %d stars, median QFIT %.4f", name, row["n_stars"], row["qfit"])
                self._tell_early(Table([row]))
            if not fitted:
                raise NotEnoughStarsError("no exposure that could be fitted", "at least one")
            write_lists(fitted, exposures, **task)
        with self.making(task["sources"](exposures)) as run:
            run.products.update({name: digest for done in fitted for name, digest in done.products.items()})
            with atomic_path(self.output_folder() / f"{inputs.product}_catfile.txt") as path:
                path.write_bytes(os.fsencode("".join(f"{k} {v}\n" for k, v in lists.items()) + comment()))
            quality = Table([done.row for done in fitted])
            self.evidence = {"fit": quality}
            self.finish(run, inputs, self.output_path(inputs.product, "epsf_fit_quality", "ecsv"))
            self.write_quality(inputs.product, quality)  # last: it vouches for the rest
        return inputs.returned if inputs.in_memory else quality

    def join(self, inputs, parts):
        """Write one catfile of all detectors and filters."""
        join_catfiles(self.output_folder(), inputs.product, parts)

    def _tell_early(self, row):
        """Say at once what spoils an exposure."""
        self.tell([c for c in bright_qfit(row) if c is not None])
        for check in lost_cores(row):
            if check is not None and check.verdict != "ok":
                log.warning("%d of %d bright stars: %s", row["n_lost_core"][0], row["n_cores"][0], check)
                self._told = self._told | {(check.name, check.about)}  # with its number, and once

    def _check_names(self, inputs):
        """Refuse names that a catfile of tweakreg or a FITS header cannot hold."""
        if not inputs.in_memory:
            check_names(inputs.members)
        folder = str(self.output_folder())
        if inputs.in_memory and not (folder.isascii() and folder.isprintable()):
            raise BadFileError(
                "a folder that FITS headers cannot name (meta.tweakreg_catalog)", "ASCII letters only",
                "give another output_dir", folder,
            )  # fmt: skip

    def _record(self, member, row):
        """Tell a model what was done to it."""
        if not hasattr(member, "meta"):
            return
        record_step_status(member, self.class_alias, success=row is not None)
        if row is not None:
            member.meta.tweakreg_catalog = str(self.output_folder() / row["star_list"])
            plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
            member.meta.hpastrom = {**plain, "version": __version__}
