"""A model of the optics where no filter limits the light: a power law between a blue and a red end.

Short waves show what long ones do not: how the mirror's segments stand to each other.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np

from jwst_hpastrom.epsf.wavefront.optics import FLAT_TO_FLAT, Optics, centers_of_segments, image_of, pupil

__all__ = ["Unfiltered"]

WAVELENGTHS = 7  # that stand for the light, at even steps of their logarithm
ENDS = (0.55, 1.6), (1.7, 5.5)  # µm: limits of the blue end and of the red one
SLOPES = -2.0, 5.0  # photons go as λ to minus this: 3 where all stars are hot
STEP = 0.05  # of the logarithms of the ends, and of the slope: for the derivatives
MOST_AT_ONCE = 0.3, 0.3, 1.0
LIGHT = 3  # numbers of the spectrum: the ends and the slope
SEGMENTS = 54  # piston and two tilts of 18 segments


@cache
def _segments():
    """Piston and tilts of each segment at the pupil's samples, of 1 nm there or at its edge."""
    _, x, y = pupil()
    places = np.array(centers_of_segments())
    dx, dy = x - places[:, 0, None, None], y - places[:, 1, None, None]
    nearest = np.argmin(np.hypot(dx, dy), axis=0) == np.arange(len(places))[:, None, None]
    half = FLAT_TO_FLAT / 2
    return np.concatenate([nearest * 1.0, nearest * dx / half, nearest * dy / half])


@dataclass(frozen=True)
class Unfiltered(Optics):
    """Optics of light whose ends and slope are told by the stars, as is how the segments stand.

    Parameters
    ----------
    slope : float
        Photons a wavelength go as λ to minus this.

    segments : tuple of float
        Pistons and tilts of the segments beside the Zernikes, nm.
    """

    slope: float = 1.5
    segments: tuple = (0.0,) * SEGMENTS
    #: a priori errors of the logarithms of the ends, of the slope
    LIGHT_ERRORS: ClassVar[tuple] = 0.3, 0.3, 1.5
    #: and of the segments, nm
    SEGMENT_ERRORS: ClassVar[tuple] = (20.0,) * SEGMENTS

    @property
    def field_errors(self):
        """A priori errors of all that is alike in all of the field."""
        return np.r_[self.errors, self.SEGMENT_ERRORS]

    @property
    def told_errors(self):
        """Those of spectrum and segments, which an ePSF tells where its wavefront is found."""
        return np.array([*self.LIGHT_ERRORS, *self.SEGMENT_ERRORS])

    @property
    def light(self):
        """What is to be said of light that an ePSF has told."""
        return ", light of {:.2f} to {:.2f} µm that goes as λ^{:.1f}".format(*self.ends, -self.slope)

    @property
    def ends(self):
        """Blue and red end, µm."""
        return self.wavelength - 0.5 * self.width, self.wavelength + 0.5 * self.width

    def of_light(self, changes):
        """Return the optics with the logarithms of both ends, the slope and the segments changed."""
        light = np.clip(changes[:LIGHT], np.negative(MOST_AT_ONCE), MOST_AT_ONCE)
        new = self._between(*np.multiply(self.ends, np.exp(light[:2])))
        slope = float(np.clip(self.slope + light[2], *SLOPES))
        segments = changes[LIGHT:] if len(changes) > LIGHT else np.zeros(SEGMENTS)
        return replace(new, slope=slope, segments=tuple(np.add(self.segments, segments)))

    def _between(self, *ends):
        blue, red = (float(np.clip(end, *limit)) for end, limit in zip(ends, ENDS, strict=True))
        return replace(self, wavelength=0.5 * (blue + red), width=red - blue)

    @property  # not cached: it would go along to workers
    def _beside(self):
        """Optics on either side of these, for each number of the spectrum."""
        out = []
        for step in (-STEP, STEP):
            b, r = (self._between(*np.multiply(self.ends, np.exp(c))) for c in ((step, 0), (0, step)))
            out.append((b, r, replace(self, slope=self.slope + step)))
        return list(zip(*out, strict=True))

    def by_light(self, image, nm, shift=(0.0, 0.0)):
        """Derivatives of an image of these optics by the numbers of the spectrum."""
        return [(b.image(nm, shift) - a.image(nm, shift)) / (2 * STEP) for a, b in self._beside]

    def by_segments(self, nm, shift=(0.0, 0.0)):
        """Derivatives by the segments."""
        bands = zip(self._bands, self.transfer(nm, True, _segments()), strict=True)
        return sum(image_of(otf[1:], y, x, f, shift) for (_, y, x, f, *_), otf in bands)

    def _path(self, nm):
        return super()._path(nm) + np.tensordot(self.segments, _segments(), 1)

    def _waves(self):
        edges = np.geomspace(*self.ends, WAVELENGTHS + 1)
        waves = np.sqrt(edges[1:] * edges[:-1])
        light = waves ** (1 - self.slope)
        return list(zip(waves, light.sum() / light, strict=True))
