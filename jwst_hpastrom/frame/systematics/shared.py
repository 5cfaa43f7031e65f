"""What a star's repeated measurements have in common, and their scatter therefore does not show."""

import numpy as np

from jwst_hpastrom.frame.systematics.correction import correction_errors, measured_errors
from jwst_hpastrom.frame.systematics.curvature import curvature_error
from jwst_hpastrom.frame.systematics.detector import detector_errors, same_places, shared_weight
from jwst_hpastrom.frame.systematics.light import light_errors

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

    unseen : float, optional
        Of exposures that only their WCS corrects: the error, master pixels, where there is no catalog and
        stars and dithers are too few to tell; zero: none is known.

    strains : `~jwst_hpastrom.frame.systematics.strains.Strains`, optional
        Of exposures that only their WCS corrects, without a catalog: they show of quadratic terms what they
        can.

    Attributes
    ----------
    detector : `~jwst_hpastrom.frame.systematics.DetectorErrors`

    curvature : `~jwst_hpastrom.frame.systematics.Profile`
        As the catalog shows it, or, without one, as large as the terms that dithers show.

    unknown : ndarray of bool, shape (2, n)
        Stars whose errors by distortion and detector neither the dithers nor the correction tell.

    limit : ndarray of bool, shape (2, n)
        Stars whose errors are mostly of what is not seen: a pattern that cannot be told from noise, or terms
        that dithers do not show.

    unseen : ndarray, shape (2, n)
        Upper limit of the variances by that.

    wing_shift : float or None
        As in `light_errors`; set where an ePSF tells it.

    stated : bool
        Whether the correction states errors: then it was solved for, perhaps from these exposures.
    """

    wing_shift = None

    def __init__(
        self, m, star, averages, transforms, corrections, name, tie=None, instrument="", names=(),
        unseen=None, strains=None,
    ):  # fmt: skip
        n = averages.n_used.size
        self.pixel = float(np.median([t.scale for t in transforms]))
        self.name, self.instrument = name, instrument
        together = same_places(m, transforms)
        by_wcs = tie is None and unseen is not None
        believed = unseen if by_wcs else 0.0
        self.detector = detector_errors(m, star, averages, together, believed=believed, strains=strains)
        known = correction_errors(m, star, averages.used, transforms, corrections, n, names)
        self.stated = bool((known > 0).any())
        extra = shared_weight(m, star, averages.used, together, n)
        measured = None if tie is None else curvature_error(*tie, self.detector.spread)
        self.curvature = self.detector.hidden if measured is None else measured
        at = averages.mean.T
        found = self.detector.smooth.at(*at) ** 2 + extra * self.detector.local[:, None] ** 2
        bent = self.curvature.at(*at) ** 2
        if names and tie is not None and measured_errors(corrections, names):
            # dithers and residuals show a part of what reference stars have measured whole
            found, bent = np.zeros(found.shape), np.zeros(bent.shape)
        if by_wcs and unseen > 0:
            found[np.isnan(found)] = unseen**2
        guessed = np.nan_to_num(found) if self.detector.limit else np.zeros(found.shape)
        if measured is None:
            found, guessed, bent = found + bent, guessed + bent, 0.0
        self._put_together(known, found, guessed, bent, self.detector.margin)

    def _put_together(self, known, found, guessed, bent, margin):
        """Set the errors and what is said of them from variances (2, n).

        Those the correction states (``known``, errors), dithers show (``found``), of which ``guessed`` is not
        seen but expected, with an upper limit of ``margin`` times that, and a catalog shows (``bent``).
        """
        # where neither dithers nor the correction tell, the error is not zero but unknown
        self.unknown = np.isnan(found) & ~(known > 0)
        # dithers show the correction's errors, too: not the same ones twice
        variance = np.fmax(known**2, found) + bent
        mine = found > known**2
        self._guessed = guessed
        self.limit = mine & (2 * guessed > variance)
        self.unseen = np.where(mine, margin * guessed, 0.0)
        self.positions = np.sqrt(variance)

    def add(self, errors):
        """Add errors of another kind, (2, n), of places within the frame, which are not guessed."""
        self.positions = np.hypot(self.positions, errors)
        self.limit &= 2 * self._guessed > self.positions**2

    def __call__(self, x, y, mag, flags):
        """Return the errors of stars at (x, y), shape (2, n), master pixels."""
        light = light_errors(x, y, mag, flags, self.name, self.pixel, self.instrument, self.wing_shift)
        return np.hypot(self.positions, light)
