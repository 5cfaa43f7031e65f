"""Places of the detectors from one frame of all their exposures: what each exposure sees, put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table, vstack
from scipy.linalg import block_diag
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jwst_hpastrom.frame.transforms.placement import affine_changes, solve_placement
from jwst_hpastrom.frame.transforms.pointings import simultaneous
from jwst_hpastrom.geometry import LinearTransform

__all__ = ["Places", "Sighting", "solve_places"]


class Sighting(NamedTuple):
    """One exposure of a detector.

    Attributes
    ----------
    beam : (str, str)
        Detector and filter.

    epoch : float
        Julian year; NaN if unknown.

    now, expected : `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels to V2V3, arcsec: through the frame, and as known before.
    """

    beam: tuple[str, str]
    epoch: float
    now: LinearTransform
    expected: LinearTransform


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


def solve_places(
    fits: Sequence[Any], sightings: Sequence[Sequence[Sighting]], before: dict, *, absolute_scale: bool
) -> Places:
    """Solve for the places of the detectors relative to each other.

    Parameters
    ----------
    fits : sequence of `~jwst_hpastrom.frame.transforms.mosaic.MosaicFit`
        Of each frame: the common solution of its exposures.

    sightings : sequence of sequence of `Sighting`
        Of each frame's exposures.

    before : dict of (detector, filter) to `~jwst_hpastrom.geometry.LinearTransform` or None
        What is known of each from its own correction.

    absolute_scale : bool
        Whether a catalog gave the scale.

    Returns
    -------
    `Places`
    """
    beams, seen = list(before), [s for own in sightings for s in own]
    which = np.array([beams.index(s.beam) for s in seen])
    pointing = simultaneous(np.array([s.epoch for s in seen]), which)
    changes, middles, covariance = _changes(fits, sightings, which)
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


def _changes(fits, sightings, which):
    """Each exposure's change of place, its middle in V2V3, and the covariance of all changes."""
    changes, middles, blocks, common = [], [], [], []
    for fit, own in zip(fits, sightings, strict=True):
        jacobian = np.zeros((4 * len(own), 2, fit.covariance.shape[1]))
        for k, s in enumerate(own):
            change, by = affine_changes(fit, k, s.now, s.expected)
            for axis in (0, 1):
                jacobian[4 * k : 4 * k + 4, axis, 3 * k : 3 * k + 3] = by[:, 3 * axis : 3 * axis + 3]
            changes.append(change)
            middles.append(s.expected.forward(*fit.center[k]))
            common.append(by @ fit.shared[k] @ by.T)
        blocks.append(np.einsum("iaj,ajk,lak->il", jacobian, fit.covariance, jacobian))
    covariance = block_diag(*blocks)
    for d in np.unique(which):  # the correction of a detector errs in all its exposures alike
        rows = np.flatnonzero(which == d)
        index = (4 * rows[:, None] + np.arange(4)).ravel()
        covariance[np.ix_(index, index)] += np.tile(common[rows[0]], (len(rows), len(rows)))
    return np.array(changes), np.array(middles), covariance


def _moved(placement, k):
    """The change of one detector's place as a map of V2V3."""
    *shift, turn, scale = placement.changes[k]
    matrix = (1 + scale) * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = placement.centers[k]
    return LinearTransform(matrix, center + shift, center)


def _connected(which, pointing):
    """Detectors that pointings connect: only their relative places mean something."""
    n = which.max() + 1
    shape = (n + pointing.max() + 1,) * 2
    label = connected_components(coo_array((np.ones(which.size), (which, n + pointing)), shape))[1]
    seen = np.unique(which)
    return [seen[label[seen] == k] for k in np.unique(label[seen])]
