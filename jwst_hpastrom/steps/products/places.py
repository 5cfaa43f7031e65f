"""Star lists of several detectors and filters: their corrections, and where the detectors lie in V2V3."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from jwst_hpastrom.distortion import place_frame
from jwst_hpastrom.distortion.model.ideal import IdealPlane, v2v3_from_ideal
from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.frame.transforms.mosaic import simultaneous
from jwst_hpastrom.frame.transforms.placement import affine_changes, solve_placement
from jwst_hpastrom.geometry import LinearTransform, fit_linear
from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.exposures.beams import read_beam

__all__ = ["Places", "beam_of", "by_filter", "corrections_of", "place_detectors"]

log = logging.getLogger("stpipe.hpastrom.frame")


@dataclass
class Places:
    """Places of the detectors.

    Attributes
    ----------
    table : `~astropy.table.Table`
        See `~jwst_hpastrom.frame.transforms.placement.Placement.table`; column ``filter`` in addition.

    transforms : dict of (detector, filter) to `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels to V2V3, arcsec.

    errors : dict
        Rows of the table's errors.
    """

    table: Table
    transforms: dict
    errors: dict


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
    `Places`

    Raises
    ------
    MissingDataError
        Star lists without pointing keywords or sky positions.
    """
    beams, exposures = list(corrections), []
    before = {b: _expected(c, [t for own in lists for t in own if beam_of(t) == b])
              for b, c in corrections.items()}  # fmt: skip
    blocks, common = [], []
    for frame, join, own in zip(frames, joins, lists, strict=True):
        fit = frame.mosaic
        jacobian = np.zeros((4 * len(own), 2, fit.covariance.shape[1]))
        for k, table in enumerate(own):
            now = _to_v2v3(frame, join, fit, k, table.meta)
            expected = before[beam_of(table)] or _expected(frame.corrections[k], [table])
            change, by = affine_changes(fit, k, now, expected)
            for axis in (0, 1):
                jacobian[4 * k : 4 * k + 4, axis, 3 * k : 3 * k + 3] = by[:, 3 * axis : 3 * axis + 3]
            epoch = float(table.meta.get("epoch") or np.nan)
            exposures.append((beams.index(beam_of(table)), epoch, change, expected.forward(*fit.center[k])))
            common.append(by @ fit.shared[k] @ by.T)
        blocks.append(np.einsum("iaj,ajk,lak->il", jacobian, fit.covariance, jacobian))
    which = np.array([e[0] for e in exposures])
    pointing = simultaneous(np.array([e[1] for e in exposures]), which)
    changes = np.array([e[2] for e in exposures])
    middles = np.array([e[3] for e in exposures])
    covariance = _block_diagonal(blocks)
    for d in np.unique(which):  # the correction of a detector errs in all its exposures alike
        rows = np.flatnonzero(which == d)
        index = (4 * rows[:, None] + np.arange(4)).ravel()
        covariance[np.ix_(index, index)] += np.tile(common[rows[0]], (len(rows), len(rows)))
    tables, transforms, errors = [], {}, {}
    for part in _connected(which, pointing):
        rows = np.flatnonzero(np.isin(which, part))
        local = np.searchsorted(part, which[rows])
        _, shots = np.unique(pointing[rows], return_inverse=True)
        centers = np.array([middles[which == d].mean(0) for d in part])
        index = (4 * rows[:, None] + np.arange(4)).ravel()
        found = solve_placement(
            changes[rows], covariance[np.ix_(index, index)], local, shots, centers,
            absolute_scale=absolute_scale,
        )  # fmt: skip
        table = found.table([beams[d][0] for d in part])
        table.add_column([beams[d][1] for d in part], 1, "filter")
        tables.append(table)
        for k, d in enumerate(part):
            row = table[k]
            errors[beams[d]] = {c: row[c] for c in table.colnames if c.endswith("_error")}
            if before[beams[d]] is not None:
                transforms[beams[d]] = before[beams[d]].then(_moved(found, k))
    return Places(vstack(tables), transforms, errors)


def _expected(correction, tables):
    return None if correction is None else place_frame(correction, tables).transform


def _moved(placement, k):
    """The change of one detector's place as a map of V2V3."""
    *shift, turn, scale = placement.changes[k]
    matrix = (1 + scale) * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = placement.centers[k]
    return LinearTransform(matrix, center + shift, center)


def _block_diagonal(blocks):
    n = sum(len(b) for b in blocks)
    out, first = np.zeros((n, n)), 0
    for b in blocks:
        out[first : first + len(b), first : first + len(b)] = b
        first += len(b)
    return out


def _connected(which, pointing):
    """Detectors that pointings connect: only their relative places mean something."""
    left, parts = set(which.tolist()), []
    while left:
        part = {min(left)}
        while True:
            shots = set(pointing[np.isin(which, list(part))].tolist())
            more = set(which[np.isin(pointing, list(shots))].tolist())
            if more <= part:
                break
            part |= more
        parts.append(np.array(sorted(part)))
        left -= part
    return parts
