"""All that a star's repeated measurements have in common."""

import numpy as np

from jwst_hpastrom.frame.systematics.correction import correction_errors
from jwst_hpastrom.frame.systematics.detector import (
    curvature_error,
    detector_errors,
    same_places,
    shared_weight,
)
from jwst_hpastrom.frame.systematics.light import light_errors
from jwst_hpastrom.frame.systematics.profile import Profile

__all__ = ["SharedErrors"]


class SharedErrors:
    """Systematic errors of a master frame's stars: of the distortion, of the detector, of other stars' light.

    Parameters
    ----------
    m, star, averages, transforms, corrections
        As the frame has them in the end.

    name : str
        Filter.

    tie : tuple or None
        Arguments of `curvature_error`, where the frame is tied to a catalog.

    instrument : str
        As in `light_errors`.

    names : sequence of str
        File names of the exposures.

    Attributes
    ----------
    detector : `DetectorErrors`

    curvature : `Profile`

    unknown : ndarray of bool, shape (2, n)
        Stars whose errors by distortion and detector neither the dithers nor the correction tell.

    limit : ndarray of bool, shape (2, n)
        Stars whose errors are upper limits: measurements are too few to tell them from noise.

    stated : bool
        Whether the correction states errors: then it was solved for, perhaps from these exposures.
    """

    def __init__(self, m, star, averages, transforms, corrections, name, tie=None, instrument="", names=()):
        n = averages.n_used.size
        self.pixel = float(np.median([t.scale for t in transforms]))
        self.name, self.instrument = name, instrument
        together = same_places(m, transforms)
        self.detector = detector_errors(m, star, averages, together)
        known = correction_errors(m, star, averages.used, transforms, corrections, n, names)
        self.stated = bool((known > 0).any())
        extra = shared_weight(m, star, averages.used, together, n)
        self.curvature = Profile.zero() if tie is None else curvature_error(*tie)
        at = averages.mean.T
        found = self.detector.smooth.at(*at) ** 2 + extra * self.detector.local[:, None] ** 2
        # dithers show the correction's errors, too: not the same ones twice
        # where neither dithers nor the correction tell, the error is not zero but unknown
        self.unknown = np.isnan(found) & ~(known > 0)
        self.limit = self.detector.limit & (found > known**2)
        self.positions = np.sqrt(np.fmax(known**2, found) + self.curvature.at(*at) ** 2)

    def __call__(self, x, y, mag, flags):
        """Return the errors of stars at (x, y), shape (2, n), master pixels."""
        return np.hypot(
            self.positions, light_errors(x, y, mag, flags, self.name, self.pixel, self.instrument)
        )
