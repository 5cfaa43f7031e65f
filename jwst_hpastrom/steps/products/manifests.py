"""What each Step's products are made from, and whether those that are there still are what would be made."""

import json
import logging
from contextlib import contextmanager
from pathlib import Path

from jwst.stpipe import Step

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.calibrations.by_detector import file_for, is_several
from jwst_hpastrom.io.files.manifest import (
    array_hash,
    compare_manifests,
    in_one_line,
    make_manifest,
    making,
    product_hash,
)
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.identity import exposure_entry, input_entry
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.io.tables.star_lists import find_star_list, is_star_list
from jwst_hpastrom.steps.products.verdicts import JUDGED

__all__ = ["Manifests", "fit_inputs", "fitted_together", "list_label", "made_by", "why_not"]

log = logging.getLogger("stpipe.hpastrom.steps")

#: files that Steps are given, and what they are
FILES = {
    "epsf_file": "epsf", "start_epsf": "epsf", "distortion_file": "distortion", "detector_mask": "mask",
    "reference_catalog": "table", "first_epoch": "table", "gaia_catalog": "table",
}  # fmt: skip
#: parameters that change no result: how to work, and what is an input
ASIDE = ("workers", "scheduler", "memory", "on_error", "force", "resume", "void_asn", *FILES)


class Manifests:
    """Mixin: the manifest of a Step's products."""

    def deciding_parameters(self):
        """Return the parameters that change results."""
        general = Step.load_spec_file()
        names = [n for n in type(self).load_spec_file() if n not in general and n not in ASIDE]
        return {name: getattr(self, name) for name in names}

    def given(self, *names):
        """Return the entries of the files that parameters name."""
        paths = {name: getattr(self, name) for name in names}
        for name in ("epsf_file", "start_epsf", "distortion_file"):
            if self.beam and is_several(paths.get(name)):
                kind = "a distortion" if name == "distortion_file" else "an ePSF library"
                paths[name] = file_for(paths[name], self.beam, kind)
        return {name: input_entry(path, FILES[name]) for name, path in paths.items() if path}

    def list_entries(self, members):
        """Return the entries of the members' star lists, as far as there are some."""
        out = {}
        for name in members:
            given = is_star_list(name) and Path(name).is_file()
            path = name if given else find_star_list(name, [self.output_folder()])
            if path:
                out[list_label(path)] = input_entry(path)
        return out

    def exposure_entries(self, inputs):
        """Return the entries of the exposures themselves."""
        reading = {k: v for k, v in self.reading().items() if k != "detector_mask"}
        return dict(exposure_entry({"source": member} | reading) for _, member in self.each_member(inputs))

    def manifest(self, inputs):
        """Return the manifest of products made from inputs (entries by label)."""
        return make_manifest(self.class_alias, self.deciding_parameters(), inputs)

    @contextmanager
    def making(self, inputs):
        """Let all products that are written in the block name what made them; inputs are entries by label."""
        with making(self.manifest(inputs)) as run:
            yield run

    def finish(self, run, inputs, path):
        """Judge; then let the next file, ``path``, vouch for all others; those of an earlier run go."""
        with making(None):
            self.judge(inputs.product, run.manifest["id"])
        old = read_manifest(path, unchanged=False) or {}
        for name, digest in old.get("products", {}).items():
            stale = Path(path).parent / Path(name).name
            if name not in run.products and stale != Path(path) and stale.is_file():
                if product_hash(stale) == digest:
                    log.info("%s: of an earlier run, removed", stale)
                    stale.unlink()
                else:
                    log.warning("%s is of an earlier run, and changed since", stale)
        run.deciding = True


def list_label(path):
    """Return the label of a star list, or of an exposure's by its root."""
    return f"star list {Path(path).name.split('_stars.')[0]}"


def made_by(path):
    """Return the id of what made a product; None where there is none, or it was changed since."""
    return (read_manifest(path) or {}).get("id") if path else None


def fit_inputs(epsf, mask, exposures):
    """Return the inputs of star lists: of one exposure, or of all.

    Parameters
    ----------
    epsf : dict
        Entry of the ePSF library.

    mask : dict of str to dict
        Entry of the detector mask, if any.

    exposures : dict of str to dict
        Entries.
    """
    if epsf.get("made") and mask.get("detector_mask", {}).get("made") == epsf["made"]:
        mask = {}  # the library's own, where it found hot pixels
    return {"epsf_file": epsf, **exposures, **mask}


def fitted_together(exposures):
    """Return what star lists are made from beside their own exposure: all, whose lists tell hot pixels.

    Parameters
    ----------
    exposures : dict of str to dict
        Entries.

    Returns
    -------
    dict of str to dict
        Empty for one exposure, whose list nothing is compared with.
    """
    if len(exposures) < 2:
        return {}
    known = array_hash([json.dumps(entry.get("hash"), sort_keys=True) for entry in exposures.values()])
    return {"exposures fitted together": {"hash": {"exposures": known}}}


def why_not(path, manifest, checks):
    """Say in one line why a Step's products are not what it would make; nothing where they are.

    Parameters
    ----------
    path : path-like
        The product that vouches for all others.

    manifest : dict
        As the Step would have it now.

    checks : path-like
        Table of checks, where the Step's rows must be of that run, too.

    Returns
    -------
    str
    """
    path = Path(path)
    if not path.is_file():
        return f"there is no {path.name}"
    found = read_manifest(path)
    if found is None:
        return f"{path.name} does not say what made it, or was changed since"
    if differences := compare_manifests(manifest, found):
        return in_one_line(differences)
    if "products" not in found:
        return f"{path.name} does not list the products of its run"
    for name, digest in found["products"].items():
        other = path.parent / Path(name).name
        if not other.is_file():
            return f"there is no {name}"
        if product_hash(other) != digest:
            return f"{name} is of another run, or was changed"
        taken = find_star_list(name, [path.parent]) if "_stars." in name else None
        if taken and Path(taken).name != name and other.suffix != ".reg":
            return f"{Path(taken).name} lies beside {name}"
    try:
        judged = read_table(checks).meta.get(JUDGED, {})
    except HPAstromError:
        return f"{Path(checks).name} is missing or damaged"
    return "" if judged.get(manifest["step"]) == manifest["id"] else f"{Path(checks).name} is of another run"
