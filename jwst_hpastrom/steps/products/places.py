"""Star lists of several detectors and filters: their corrections, and where the detectors lie in V2V3."""

import logging
from pathlib import Path

import numpy as np

from jwst_hpastrom.distortion import FramePlacement, place_frame
from jwst_hpastrom.distortion.model.ideal import IdealPlane, v2v3_from_ideal
from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.frame.transforms.detector_places import Sighting, solve_places
from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.io.calibrations.by_detector import file_for, group_name
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion, write_distortion
from jwst_hpastrom.io.exposures.beams import read_beam

__all__ = ["beam_of", "by_filter", "corrections_of", "place_detectors", "write_placed"]

log = logging.getLogger("stpipe.hpastrom.frame")


def beam_of(table):
    """Detector and filter of a star list."""
    return tuple(str(table.meta.get(k) or "") for k in ("detector", "filter"))


def by_filter(tables):
    """Star lists of each filter, short wavelengths first: these have the best positions."""
    found = {}
    for table in tables:
        found.setdefault(beam_of(table)[1], []).append(table)
    known = {n: f.wavelength for i in INSTRUMENTS.values() for n, f in i.filters.items()}
    return [found[n] for n in sorted(found, key=lambda n: known.get(n, 0.0))]


def corrections_of(tables, distortion_file, uncorrected=()):
    """Return the distortion correction of each detector and filter, None for the WCS's.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`

    distortion_file : path-like or None
        A file, a folder, or a pattern of names, see `~jwst_hpastrom.io.calibrations.file_for`. Of a pattern
        files may be missing, but not all.

    uncorrected : sequence of str
        Exposures of detectors and filters that have none.
    """
    metas = {beam_of(t): t.meta for t in tables}
    if not distortion_file:
        return dict.fromkeys(metas)
    out, pattern = {}, "{" in str(distortion_file)
    without = [read_beam(path) for path in uncorrected]
    without = [(b.get("detector"), b.get("filter")) for b in without]
    for beam, meta in metas.items():
        if beam in without:
            out[beam] = None
            continue
        path = file_for(distortion_file, meta, "a distortion")
        if pattern and not Path(path).exists():
            log.warning("no %s: what the WCS knows of the distortion of %s in %s is used", path, *beam)
            out[beam] = None
        else:
            out[beam] = read_distortion(path, exposures=meta)
    if not any(out.values()):
        raise BadReferenceFileError("no such file", "a distortion of one detector at least", "",
                                    distortion_file)  # fmt: skip
    return out


def _to_v2v3(frame, join, fit, k, meta):
    """Corrected pixels to V2V3 through the master frame and the exposure's attitude."""
    plane = IdealPlane(dict(meta), (np.nan, np.nan))
    x, y = (c.ravel() for c in np.meshgrid(*(fit.half_width[k] * np.linspace(-1, 1, 5),) * 2))
    x, y = x + fit.center[k, 0], y + fit.center[k, 1]
    u, v = join.forward(*frame.transforms[k].forward(x, y))
    ideal = plane.from_sky(*frame.plane.to_sky(*frame.plane.from_pixels(u, v)))
    matrix, offset = v2v3_from_ideal(meta)
    tel = matrix @ np.stack(ideal) / float(meta.get("va_scale") or 1.0) + offset[:, None]
    return fit_linear(x, y, *tel, parameters=6, sigma=None).transform


def place_detectors(frames, joins, lists, corrections, *, absolute_scale):
    """Solve for the places of the detectors relative to each other.

    Parameters
    ----------
    frames : sequence of `~jwst_hpastrom.frame.MasterFrame`
        One a filter, with ``mosaic``.

    joins : sequence of `~jwst_hpastrom.geometry.LinearTransform`
        Each frame to the first.

    lists : sequence of list of `~astropy.table.Table`
        Star lists of each frame, with the pointing keywords in meta.

    corrections : dict
        Of `corrections_of`.

    absolute_scale : bool
        Whether a catalog gave the scale.

    Returns
    -------
    `~jwst_hpastrom.frame.transforms.detector_places.Places`

    Raises
    ------
    MissingDataError
        Star lists without pointing keywords or sky positions.
    """
    before = {b: _expected(c, [t for own in lists for t in own if beam_of(t) == b])
              for b, c in corrections.items()}  # fmt: skip
    sightings = []
    for frame, join, own in zip(frames, joins, lists, strict=True):
        seen = []
        for k, table in enumerate(own):
            now = _to_v2v3(frame, join, frame.mosaic, k, table.meta)
            expected = before[beam_of(table)] or _expected(frame.corrections[k], [table])
            seen.append(Sighting(beam_of(table), float(table.meta.get("epoch") or np.nan), now, expected))
        sightings.append(seen)
    return solve_places([f.mosaic for f in frames], sightings, before, absolute_scale=absolute_scale)


def write_placed(places, lists, corrections, product, output_path):
    """Write the corrected detectors' distortions with their places.

    Parameters
    ----------
    places
        Of `place_detectors`.

    lists, corrections
        As it takes them.

    product : str
        Root of the names.

    output_path : callable
        (root, suffix, extension) -> path.
    """
    for beam, place in places.transforms.items():
        if corrections[beam] is None:
            continue
        meta = next(t.meta for own in lists for t in own if beam_of(t) == beam)
        name = group_name(product, {"detector": beam[0], "filter": beam[1]})
        write_distortion(
            output_path(f"{name}_placed", "distortion", "asdf"), corrections[beam],
            FramePlacement(place, 0.0, 0.0), meta, place_errors=places.errors[beam],
        )  # fmt: skip


def _expected(correction, tables):
    return None if correction is None else place_frame(correction, tables).transform
