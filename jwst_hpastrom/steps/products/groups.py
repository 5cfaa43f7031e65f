"""An association divided by detector and filter; each group has products of its own."""

import logging
from dataclasses import replace
from pathlib import Path

from jwst.datamodels import ModelLibrary

from jwst_hpastrom.errors import MixedExposuresError
from jwst_hpastrom.io.association import read_association, write_association
from jwst_hpastrom.io.calibrations.by_detector import group_name
from jwst_hpastrom.io.exposures.beams import read_beam
from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["divide", "join_catfiles", "sub_associations"]

log = logging.getLogger("stpipe.hpastrom.steps")


def _beams(members, force):
    """Members by (detector, filter), in the order of the first of each; those unknown join the first."""
    groups = {}
    for member in members:
        groups.setdefault(tuple(sorted(read_beam(member, force=force).items())), []).append(member)
    unknown = groups.pop((), [])
    if not groups:
        return [({}, list(members))]
    for detector in {dict(beam)["detector"] for beam in groups}:
        of_it = [b for b in map(dict, groups) if b["detector"] == detector]
        MixedExposuresError.unless_same(of_it, "filter", do=f"take the filters of {detector} one by one")
    out = [(dict(beam), found) for beam, found in groups.items()]
    if unknown:  # whatever is wrong with them is said where they are read
        first = {id(m) for m in (*out[0][1], *unknown)}
        out[0] = (out[0][0], [m for m in members if id(m) in first])
    return out


def divide(inputs, *, force=False):
    """Divide a Step's inputs by detector and filter.

    Parameters
    ----------
    inputs : `~jwst_hpastrom.steps._inputs.Inputs`

    force : bool
        As of `~jwst_hpastrom.instrument.identify`.

    Returns
    -------
    list of (dict, `~jwst_hpastrom.steps._inputs.Inputs`)
        What each group was taken with, and its inputs; the inputs themselves where there is one group. A
        library in memory is not divided.
    """
    if isinstance(inputs.returned, ModelLibrary):
        return [({}, inputs)]
    groups = _beams(inputs.members, force)
    if len(groups) == 1:
        return [(groups[0][0], inputs)]
    out = []
    for beam, members in groups:
        name = group_name(inputs.product, beam)
        log.info("%s: %d exposures of %s in %s", name, len(members), beam["detector"], beam["filter"])
        out.append((beam, replace(inputs, product=name, members=tuple(members))))
    return out


def sub_associations(association, folder, *, force=False):
    """Write an association for each detector and filter of one that has several.

    Parameters
    ----------
    association : `~jwst_hpastrom.io.association.Association`

    folder : path-like

    force : bool
        As of `~jwst_hpastrom.instrument.identify`.

    Returns
    -------
    list of `~jwst_hpastrom.io.association.Association`
        ``PRODUCT_detector_filter_asn.json`` in ``folder``; the association itself where it is of one.
    """
    groups = _beams(association.members, force)
    if len(groups) == 1:
        return [association]
    out = []
    for beam, members in groups:
        name = group_name(association.product, beam)
        path = write_association(Path(folder) / f"{name}_asn.json", name, members)
        out.append(read_association(path))
    return out


def join_catfiles(folder, product, parts):
    """Write the catfile of all detectors and filters from those of each: ``tweakreg`` takes one.

    Parameters
    ----------
    folder : path-like

    product : str
        Of the whole: ``PRODUCT_catfile.txt``.

    parts : sequence of str
        Products of the groups.
    """
    paths = [Path(folder) / f"{name}_catfile.txt" for name in parts]
    lines = [line for p in paths if p.exists() for line in p.read_bytes().splitlines() if line[:1] != b"#"]
    with atomic_path(Path(folder) / f"{product}_catfile.txt") as path:
        path.write_bytes(b"".join(line + b"\n" for line in lines))
