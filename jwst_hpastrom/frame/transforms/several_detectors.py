"""What a master frame of several detectors does otherwise than that of one."""

import logging

import numpy as np
from scipy.sparse.csgraph import connected_components

from jwst_hpastrom.errors import HPAstromError, NoOverlapError
from jwst_hpastrom.frame.systematics import (
    DetectorErrors,
    Profile,
    SharedErrors,
    correction_errors,
    curvature_error,
    detector_errors,
    same_places,
    shared_weight,
)
from jwst_hpastrom.frame.transforms.correction_terms import border_variances
from jwst_hpastrom.frame.transforms.mosaic import shared_area, solve_mosaic
from jwst_hpastrom.frame.transforms.pointings import Pointings, simultaneous
from jwst_hpastrom.frame.transforms.registration import align, first_transforms
from jwst_hpastrom.frame.transforms.tie import reference_positions, years_without_motions
from jwst_hpastrom.geometry import LinearTransform, match_nearest

__all__ = ["ErrorsByDetector", "SeveralDetectors"]

#: part of a detector that two of its exposures share if they are to be registered to each other; tiles of a
#: mosaic share less
OVERLAP = 0.1

log = logging.getLogger("stpipe.hpastrom.frame")


class SeveralDetectors:
    """Registration and transformations of exposures of several detectors.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    detectors : list of str

    which : ndarray of int, shape (n_exposures,)
        Detector of each exposure.

    epochs : ndarray, shape (n_exposures,)
        Julian years.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    reference : `~astropy.table.Table` or None
        Catalog.

    epoch : float
        That the catalog is carried to.

    radius : float
        Of the match, master pixels.

    corrections : sequence of `~jwst_hpastrom.geometry.Mapping`
        Of each exposure.

    Attributes
    ----------
    fit : `~jwst_hpastrom.frame.transforms.mosaic.MosaicFit`
        The last solution.
    """

    def __init__(self, m, detectors, which, epochs, plane, reference, epoch, radius, corrections):
        self.m, self.detectors, self.which, self.plane, self.radius = m, detectors, which, plane, radius
        self.corrections = corrections
        self.pointing = simultaneous(np.asarray(epochs, float), which)
        self.wcs = Pointings(m, plane, which, self.pointing)
        self.known = []  # exposures that the catalog itself has placed
        self.catalog = self.first = self.groups = self.fit = None
        self.reach = radius
        if reference is not None:
            x, y, ex, ey = reference_positions(reference, plane, epoch)
            self.without_motions = years_without_motions(reference, epoch)
            mag = np.asarray(reference["mag"], float) if "mag" in reference.colnames else np.zeros(x.size)
            ok = np.isfinite(x + y)
            self.catalog = [c[ok] for c in (x, y, ex, ey, mag)]

    def register(self, order, *, max_shift, max_rotation, names):
        """First transformations: of each detector's tiles, and these to the catalog or by their pointings.

        Parameters
        ----------
        order : sequence of int
            Exposures, central one first.

        max_shift, max_rotation, names
            As of `~jwst_hpastrom.frame.transforms.registration.first_transforms`.

        Returns
        -------
        list of `~jwst_hpastrom.geometry.LinearTransform`
        """
        limits = {"max_shift": max_shift, "max_rotation": max_rotation}
        groups, transforms = {}, [None] * self.m.n_exposures
        tiles = self._tiles()
        for d in dict.fromkeys(tiles[k] for k in order):
            own = [k for k in order if tiles[k] == d]
            # of the first one's pointing, whose error they then share
            own.sort(key=lambda k: self.pointing[k] != self.pointing[order[0]])
            for k, t in enumerate(first_transforms(self.m, self.plane, own, names=names, **limits)):
                transforms[k] = t if k in own else transforms[k]
            groups[d] = own
        self._place(groups, transforms, {k: 1.5 * v for k, v in limits.items()}, names)
        self.first, self.groups = list(transforms), list(groups.values())
        return transforms

    def _tiles(self):
        """Number the exposures' groups: of one detector, and overlapping by their WCS, maybe in a chain."""
        linked = (self.which[:, None] == self.which) & (shared_area(self.m, self.wcs.transforms) > OVERLAP)
        return connected_components(linked, directed=False)[1]

    def _place(self, groups, transforms, limits, names):
        """Move each group of a detector's exposures, as one, to the catalog or to what is placed already."""
        placed, waiting = [], dict(groups)

        def place(d, move):
            own = waiting.pop(d)
            for k in own:
                transforms[k] = transforms[k].then(move)
                self.m.apply(k, transforms[k])
            placed.extend(own)

        if self.catalog is None:
            place(next(iter(waiting)), LinearTransform())
        else:
            for d, own in groups.items():
                move = self._aligned(self.m.of(own[0]), self.catalog, limits, names[own[0]])
                if move is not None:
                    place(d, move)
            self.known = list(placed)
            if not placed:
                raise NoOverlapError(
                    "no detector with stars of the reference catalog", "one", "check that it covers the field"
                )
        while waiting:
            d, move = self._next(waiting, placed, transforms, limits, names)
            place(d, move)

    def _next(self, waiting, placed, transforms, limits, names):
        """Return a detector whose place the placed exposures tell, and its move: by a pointing, by stars."""
        for d, own in waiting.items():
            move = self.wcs.move(own, placed, transforms)
            if move is not None:
                return d, move
        m = self.m
        if self.catalog is None:
            there = np.isin(m.exposure, placed)
            known = m.u[there], m.v[there], None, None, m.mag[there]
            for d, own in waiting.items():
                rows = np.flatnonzero(np.isin(m.exposure, own))
                move = self._aligned(rows, known, limits, names[own[0]])
                if move is not None:
                    return d, move
        d = next(iter(waiting))
        log.warning(
            "%s: placed by its WCS alone, no pointing is shared with the others", names[waiting[d][0]]
        )
        return d, LinearTransform()

    def _aligned(self, rows, known, limits, name):
        """Transformation of detections to stars of known places by their pattern; None if not found."""
        m, (x, y, _, _, mag) = self.m, known
        try:
            return align(m.u[rows], m.v[rows], m.mag[rows], x, y, mag, **limits).transform
        except HPAstromError as error:
            log.warning("%s: not placed by its stars, %s", name, error)
            return None

    def refit(self, star, averages, transforms, floor):
        """Transformations of all exposures from the current averages, and the detections they rest on."""
        catalog = None
        if self.catalog is not None:
            catalog = self._matched(averages)
            floor = np.sqrt(floor**2 + border_variances(self.m, star, self.corrections, self.which))
        self.fit = solve_mosaic(
            self.m, star, averages, transforms, self._expected(transforms), floor=floor, catalog=catalog,
            trust=self.wcs.trust(self.known, transforms, self.radius),
        )  # fmt: skip
        for k, t in enumerate(self.fit.transforms):
            self.m.apply(k, t)
        return self.fit.transforms, self.fit.rows

    def _expected(self, transforms):
        """First transformations; those off the catalog as the WCS of the exposures on it err by now.

        These were aligned to it without skew at first, and so lack what all WCS have of that in common.
        """
        first, known = list(self.first), set(self.known)
        now = [t if k in known else first[k] for k, t in enumerate(transforms)]
        for own in self.groups:
            move = None if own[0] in known else self.wcs.move(own, self.known, now)
            for k in own if move else ():
                first[k] = first[k].then(move)
        return first

    def _matched(self, averages):
        """Catalog's stars among the averages: star, x, y, x_err, y_err."""
        x, y, ex, ey, _ = self.catalog
        i, j, _ = match_nearest(*averages.mean.T, x, y, self.reach)
        if i.size < 4:
            raise NoOverlapError(
                f"{i.size} stars of the reference catalog", "4", "check that it covers the field",
                "reference catalog",
            )  # fmt: skip
        off = np.hypot(averages.mean[i, 0] - x[j], averages.mean[i, 1] - y[j])
        typical = float(np.median(off)) / 1.18  # of a two-dimensional normal distribution
        self.reach = float(np.clip(6 * typical, 0.2, self.radius))
        floor = np.nanmedian(np.r_[ex, ey]) if np.isfinite(np.r_[ex, ey]).any() else max(typical, 1e-3)
        errors = [np.hypot(np.where(e[j] > 0, e[j], floor), 0.1 * floor) for e in (ex, ey)]
        return (i, x[j], y[j], *errors)

    def tie_meta(self):
        """Metadata of the tie to the catalog; turn and scale against the exposures' WCS in the mean."""
        du, dv = self.fit.tie[1:3]
        errors = [self.wcs.error(k, self.fit.transforms)[1] for k in range(self.m.n_exposures)]
        turn = LinearTransform(np.eye(2) + np.mean(errors, axis=0))
        return {
            "tied_to": "reference",
            "n_tie": int(du.size),
            "tie_rms_mas": float(np.sqrt(np.mean(du**2 + dv**2) / 2)) * self.plane.scale_mas,
            "tie_rotation_deg": turn.rotation,
            "tie_scale": turn.scale,
            **self.without_motions,
        }


class ErrorsByDetector(SharedErrors):
    """Systematic errors of a master frame's stars, those of each detector found from its own exposures.

    The same as `~jwst_hpastrom.frame.systematics.SharedErrors`, and the errors of the detectors' places
    relative to each other.

    Parameters
    ----------
    m, star, averages, transforms, corrections, name, instrument, names
        As of `~jwst_hpastrom.frame.systematics.SharedErrors`.

    several : `SeveralDetectors`
    """

    def __init__(self, m, star, averages, transforms, corrections, name, several, instrument="", names=()):
        n, which = averages.n_used.size, several.which
        self.pixel = float(np.median([t.scale for t in transforms]))
        self.name, self.instrument = name, instrument
        together = same_places(m, transforms) & (which[:, None] == which)
        known = correction_errors(m, star, averages.used, transforms, corrections, n, names)
        self.stated = bool((known > 0).any())
        extra = shared_weight(m, star, averages.used, together, n)
        rows = averages.used & (star >= 0)
        counts = [np.bincount(star[rows & (which[m.exposure] == d)], minlength=n) for d in np.unique(which)]
        main = np.argmax(counts, axis=0)
        found, (guessed, measured), margin = np.full((2, n), np.nan), np.zeros((2, 2, n)), np.ones(n)
        curvature, parts = np.zeros((2, n)), []
        for d in np.unique(which):
            own = np.where(which[m.exposure] == d, star, -1)
            part = detector_errors(m, own, averages, together)
            told = self._measured(several, averages, star, d, main, part)
            mine = main == d
            at = averages.mean[mine].T
            found[:, mine] = part.smooth.at(*at) ** 2 + extra[mine] * part.local[:, None] ** 2
            guessed[:, mine] = np.nan_to_num(found[:, mine]) if part.limit else 0.0
            curvature[:, mine] = (told or part.hidden).at(*at)
            for variance in (found, guessed) if told is None else (measured,):
                variance[:, mine] += curvature[:, mine] ** 2
            margin[mine] = part.margin
            parts.append(part)
        smooth, hidden = (_typical([getattr(p, name).error for p in parts]) for name in ("smooth", "hidden"))
        local = np.sqrt(np.mean([p.local**2 for p in parts], axis=0))
        self.detector = DetectorErrors(smooth, hidden, local, parts[0].spread)
        self.curvature = _typical([curvature])
        self._put_together(known, found, guessed, measured, margin)
        self.add(several.fit.star_errors(m, star, averages.used, n)[1])

    @staticmethod
    def _measured(several, averages, star, d, main, part):
        """Errors by the curvature of one detector as the catalog tells it; None where it does not."""
        if several.fit.tie is None:
            return None
        detection, du, dv, weights = several.fit.tie
        who = star[detection]
        k = (who >= 0) & (main[who] == d)
        rest = du[k], dv[k], tuple(w[k] for w in weights)
        return curvature_error(*averages.mean[who[k]].T, *rest, part.spread)


def _typical(errors):
    """Profile of the root mean square of errors, each (2, n)."""
    squares = [np.mean(np.square(e), axis=1) for e in errors]
    return Profile.constant(np.sqrt(np.mean(squares, axis=0)))
