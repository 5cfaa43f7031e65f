"""ProperMotionStep: a master frame and a first epoch, or star lists of many epochs and Gaia, -> motions."""

import logging

import numpy as np
from astropy.table import Table

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.gaia.table import read_gaia
from jwst_hpastrom.io.identity import input_entry
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.io.tables.epochs import read_epoch_lists
from jwst_hpastrom.motion.analysis.catalog_check import compare_with_catalog
from jwst_hpastrom.motion.many_epoch import fit_epochs
from jwst_hpastrom.motion.star_fits.models import MODEL_SETS
from jwst_hpastrom.motion.two_epoch import two_epoch_motions
from jwst_hpastrom.steps._base import HPStep
from jwst_hpastrom.steps._spec import spec_from
from jwst_hpastrom.steps.pipeline.fields import check_catalog_of
from jwst_hpastrom.steps.products.manifests import list_label

__all__ = ["ProperMotionStep"]

log = logging.getLogger("stpipe.hpastrom.motion")

OWN = ("config", "rng", "executor", "progress")
#: parameters of two and of many epochs alike
BOTH = ("fast_motion", "fast_false_share")
#: bytes of memory that a star takes at least: for each of its epochs, and each pair of them (the
#: covariances of both axes)
EPOCH, PAIR = 200.0, 16.0


class ProperMotionStep(HPStep):
    """Measure proper motions: two epochs (L23 §5), or many epochs in Gaia's frame (H25)."""

    class_alias = "hp_proper_motion"

    spec = f"""
    first_epoch = string(default=None)  # catalog of the first epoch: two-epoch motions of a master frame
    gaia_catalog = string(default=None)  # Gaia table: many-epoch motions of star lists
    epochs = float_list(default=None)  # Julian years of the members, where their files lack or mistake them
    seed = integer(default=1)  # of the bootstrap
    save_residuals = boolean(default=False)  # write every measurement with its leave-one-out prediction
    compare = boolean(default=False)  # fit the other sets of kinematic models too, and write a table of all
    {spec_from(two_epoch_motions, exclude=OWN)}
    {spec_from(fit_epochs, exclude=(*OWN, *BOTH))}
    """

    def run_step(self, inputs):
        """Run the two-epoch or multi-epoch measurement; write the motions."""
        if bool(self.first_epoch) == bool(self.gaia_catalog):
            raise ParameterError(
                f"first_epoch={self.first_epoch}, gaia_catalog={self.gaia_catalog}",
                "one of the two",
                "give first_epoch for a master frame, gaia_catalog for star lists of many epochs",
            )
        if inputs.in_memory:
            raise ParameterError("models in memory", "the path of a master frame or of an association")
        with self.making(self.sources(inputs)) as run:
            self.quality = {}
            table = self._two_epochs(inputs) if self.first_epoch else self._many_epochs(inputs)
            self.evidence = {"motions": table} | self.quality
            path = self.output_path(inputs.product, "pm", "ecsv")
            self.finish(run, inputs, path)
            write_table(table, path)  # last: it vouches for the rest
        log.info("wrote %s: %d stars", path, len(table))
        return table

    def sources(self, inputs):
        """Return what the products are made from."""
        if self.first_epoch:
            return {"master frame": input_entry(inputs.members[0])} | self.given("first_epoch")
        return {list_label(m): input_entry(m) for m in inputs.members} | self.given("gaia_catalog")

    def _two_epochs(self, inputs):
        if len(inputs.members) != 1:
            raise ParameterError(f"{len(inputs.members)} members", "one master frame")
        master, first = read_catalog(inputs.members[0]), read_catalog(self.first_epoch)
        check_catalog_of([master], first)
        table = two_epoch_motions(master, first, **self.parameters_of(two_epoch_motions, OWN)).table
        table.meta["against_catalog"] = compare_with_catalog(table, first, master)
        table.meta |= {k: master.meta[k] for k in ("distortion", "distortion_limited_by") if k in master.meta}
        return table

    def _many_epochs(self, inputs):
        lists = read_epoch_lists(inputs.members, epochs=self.epochs, pixel_scale_mas=self.pixel_scale_mas)
        n, stars = len(lists), max(map(len, lists))
        with self.store() as store:
            store.require(
                stars * (EPOCH * n + PAIR * n**2), f"motions of {stars} stars and more in {n} epochs"
            )
        center = {key: getattr(self, key) for key in ("ra_ref", "dec_ref")}
        for table in lists:
            center = {k: table.meta.get(k) if v is None else v for k, v in center.items()}
        gaia = read_gaia(self.gaia_catalog, **center)
        results = {}
        with self.executor() as executor:
            for models in (self.models, *(m for m in MODEL_SETS if self.compare and m != self.models)):
                results[models] = fit_epochs(
                    lists,
                    gaia,
                    rng=np.random.default_rng(self.seed),
                    executor=executor,
                    progress=True,
                    **(self.parameters_of(fit_epochs, OWN) | {"models": models}),
                )
        result = results[self.models]
        if self.compare:
            rows = Table(rows=[r.summary() for r in results.values()])
            write_table(rows, self.output_path(inputs.product, "motion_models_quality", "ecsv"))
        if self.save_residuals:
            result.table.meta["expected_chi2_loo"] = result.expected_chi2_quantiles()
        result.table.meta["seed"] = self.seed
        if "sky" in gaia.meta:
            result.table.meta["sky"] = gaia.meta["sky"]
        self.quality = {"references": result.timed_references(), "epochs": result.epoch_quality()}
        self.write_quality(inputs.product, self.quality["references"])
        path = self.output_path(inputs.product, "proper_motion_epochs_quality", "ecsv")
        write_table(self.quality["epochs"], path)
        if self.save_residuals:
            write_table(result.residuals(), self.output_path(inputs.product, "pm_residuals", "ecsv"))
        return result.table
