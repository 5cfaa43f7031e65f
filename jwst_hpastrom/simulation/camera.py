"""From the sky to raw pixels and back: pointing, velocity aberration, distortion."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jwst_hpastrom.geometry import Mapping
from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.numerics import polynomial_basis

__all__ = ["FineStructure", "OfficialDistortion", "Pointing", "TrueDistortion"]

_NIS = INSTRUMENTS["NIRISS"].detectors["NIS"]
DETECTOR = _NIS.shape[0]
CENTER = 1023.5  # 0-based, of 2048 pixels
SCALE = _NIS.scale  # arcsec per pixel
#: the simulated observatory's own: reference point of the aperture (arcsec), angle of its y axis (degrees)
V2_REF, V3_REF, V3_ANGLE, PARITY = -291.1, -698.0, 0.56, -1

# A polynomial of the size and shape of NIRISS's flight one (pysiaf, BSD-3: CLEAR/F150W of 2022 May, rounded):
# (i, j): pixels at the detector's edge in x and in y, for u**i v**j, u = (x - 1023.5) / 1024.
_TERMS = {
    (1, 0): (1019.7, -4.67),
    (0, 1): (0.0, 1027.36),
    (2, 0): (-0.27, 0.90),
    (1, 1): (0.18, -0.52),
    (0, 2): (-0.01, 1.09),
    (3, 0): (-0.21, 0.02),
    (2, 1): (-0.15, -0.27),
    (1, 2): (-0.16, -0.13),
    (0, 3): (-0.08, -1.67),
    (4, 0): (-0.05, -0.01),
    (3, 1): (0.04, -0.04),
    (2, 2): (-0.05, -0.46),
    (1, 3): (-0.35, 0.20),
    (0, 4): (0.02, -0.66),
    (5, 0): (0.02, -0.03),
    (4, 1): (0.04, 0.0),
    (3, 2): (-0.24, 0.10),
    (2, 3): (0.16, 0.04),
    (1, 4): (0.08, -0.02),
    (0, 5): (0.02, 0.68),
}


class OfficialDistortion(Mapping):
    """The polynomial that the simulated observatory believes in: raw pixels -> ideal frame (arcsec)."""

    def __init__(self):
        self.terms = tuple(_TERMS)
        self.coefficients = SCALE * np.array([_TERMS[t] for t in self.terms])

    def forward(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        u, v = (np.asarray(x, float) - CENTER) / 1024.0, (np.asarray(y, float) - CENTER) / 1024.0
        pu, pv = [np.ones_like(u)], [np.ones_like(v)]
        for _ in range(5):
            pu.append(pu[-1] * u)
            pv.append(pv[-1] * v)
        design = np.stack([pu[i] * pv[j] for i, j in self.terms])
        return np.tensordot(self.coefficients[:, 0], design, 1), np.tensordot(
            self.coefficients[:, 1], design, 1
        )

    def starting_point(self, u: Any, v: Any) -> tuple[np.ndarray, np.ndarray]:
        return u / SCALE + CENTER, v / SCALE + CENTER

    def to_astropy(self) -> Any:
        """Return the model in the official layout, with an inverse fitted to 1e-4 pixels."""
        from astropy.modeling.models import Mapping as Select
        from astropy.modeling.models import Polynomial2D, Shift

        def model(coefficients, terms, degree, unit):
            values = {f"c{i}_{j}": c / unit ** (i + j) for (i, j), c in zip(terms, coefficients, strict=True)}
            return Polynomial2D(degree, **{k: float(v) for k, v in values.items()})

        grid = np.linspace(-0.5, DETECTOR - 0.5, 65)
        x, y = (a.ravel() for a in np.meshgrid(grid, grid))
        u, v = self.forward(x, y)
        degree, unit = 7, 67.0
        terms = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
        design = polynomial_basis(u / unit, v / unit, terms)
        back_x = np.linalg.lstsq(design, x - CENTER, rcond=None)[0]
        back_y = np.linalg.lstsq(design, y - CENTER, rcond=None)[0]
        shift = Shift(-CENTER) & Shift(-CENTER)
        split = Select((0, 1, 0, 1))
        forward = (
            shift
            | split
            | model(self.coefficients[:, 0], self.terms, 5, 1024.0)
            & model(self.coefficients[:, 1], self.terms, 5, 1024.0)
        )
        forward.inverse = (
            split
            | model(back_x, terms, degree, unit) & model(back_y, terms, degree, unit)
            | Shift(CENTER) & Shift(CENTER)
        )
        return forward


class FineStructure:
    """What the official polynomial does not know, in pixels: (dx, dy) of the raw position.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Draws the detector's part (waves, voids): one detector, one generator state.

    filter_rng : `~numpy.random.Generator`
        Draws the filter's part, a smooth polynomial.

    wave_pix : float
        Amplitude of the waves along x (different in each of the four amplifiers' stripes) and y.

    void_pix : float
        Largest displacement at the rim of the great oval; a few small ones have less.

    filter_pix : float
        Size of the filter's polynomial at the edge.
    """

    def __init__(self, rng, filter_rng, *, wave_pix=0.035, void_pix=0.05, filter_pix=0.25):
        self.wave_pix, self.void_pix = wave_pix, void_pix
        self.phase = rng.uniform(0, 2 * np.pi, (4, 2))
        self.phase_y = rng.uniform(0, 2 * np.pi, 2)
        small = [
            (
                *rng.uniform(150, 1900, 2),
                *rng.uniform(35, 90, 2),
                rng.uniform(0, np.pi),
                rng.uniform(0.2, 0.6),
            )
            for _ in range(9)
        ]
        # center, semi-axes (pixels), position angle, strength
        self.voids = [(650.0, 1310.0, 260.0, 165.0, 0.5, 1.0), *small]
        self.terms = [(i, j) for i in range(6) for j in range(6 - i) if i + j >= 2]
        order = np.array([i + j for i, j in self.terms])
        self.smooth = filter_pix * filter_rng.normal(0, 1, (2, len(self.terms))) / order

    def forward(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        u, v = (x - CENTER) / 1024.0, (y - CENTER) / 1024.0
        design = np.stack([u**i * v**j for i, j in self.terms])
        dx, dy = np.tensordot(self.smooth, design, 1)
        for k in range(4):
            # the stripes of 512 rows pass into each other within a few pixels: the map stays invertible
            low = 0.5 * (1 + np.tanh((y - 512 * k) / 6)) if k > 0 else 1.0
            high = 0.5 * (1 + np.tanh((y - 512 * (k + 1)) / 6)) if k < 3 else 0.0
            wave = np.sin(2 * np.pi * x / 272 + self.phase[k, 0])
            wave = wave + 0.5 * np.sin(2 * np.pi * x / 174 + self.phase[k, 1])
            dx = dx + self.wave_pix * (low - high) * wave
        wave = np.sin(2 * np.pi * y / 355 + self.phase_y[0]) + 0.4 * np.sin(
            2 * np.pi * y / 197 + self.phase_y[1]
        )
        dy = dy + 0.8 * self.wave_pix * wave
        for cx, cy, a, b, angle, strength in self.voids:
            c, s = np.cos(angle), np.sin(angle)
            p, q = ((x - cx) * c + (y - cy) * s) / a, (-(x - cx) * s + (y - cy) * c) / b
            # outward, greatest at the rim (r = 1), nothing at the center and far away
            r4 = (p * p + q * q) ** 2
            size = self.void_pix * strength * (p * p + q * q) * np.exp(0.75 * (1 - r4))
            dx = dx + size * (p * c - q * s)
            dy = dy + size * (p * s + q * c)
        return dx, dy


class TrueDistortion(Mapping):
    """The truth: raw pixels (full detector, 0-based) -> ideal frame (arcsec).

    Parameters
    ----------
    official : `OfficialDistortion`

    fine : `FineStructure`
    """

    def __init__(self, official, fine):
        self.official, self.fine = official, fine

    def forward(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = self.fine.forward(x, y)
        return self.official.forward(x + dx, y + dy)

    def starting_point(self, u: Any, v: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.official.inverse(u, v, tolerance=1e-4)

    def to_astropy(self) -> Any:
        raise NotImplementedError("the truth has no file format")


@dataclass(frozen=True)
class Pointing:
    """Where the telescope looks, and how fast it moves.

    Parameters
    ----------
    ra, dec : float
        Sky position of the aperture's reference point, degrees.

    roll : float
        Position angle of the V3 axis there, degrees East of North.

    va_scale : float
        Velocity aberration: apparent (detector) separations times this give true ones.
    """

    ra: float
    dec: float
    roll: float
    va_scale: float = 1.0

    def _matrix(self):
        def turn(axis, degrees):
            c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
            i, j = [(1, 2), (2, 0), (0, 1)][axis]
            out = np.eye(3)
            out[i, i] = out[j, j] = c
            out[i, j], out[j, i] = -s, s
            return out

        # telescope -> sky: reference point to the x axis, roll about it, then out to (ra, dec)
        to_axis = turn(1, V3_REF / 3600) @ turn(2, -V2_REF / 3600)
        return turn(2, self.ra) @ turn(1, -self.dec) @ turn(0, -self.roll) @ to_axis

    def to_ideal(self, ra: Any, dec: Any) -> tuple[np.ndarray, np.ndarray]:
        """Sky (degrees) -> apparent ideal-frame coordinates (arcsec)."""
        ra, dec = np.deg2rad(ra), np.deg2rad(dec)
        sky = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
        tel = np.tensordot(self._matrix().T, sky, 1)
        arcsec = 3600 * 180 / np.pi
        v2, v3 = np.arctan2(tel[1], tel[0]) * arcsec, np.arcsin(tel[2]) * arcsec
        a, b = (v2 - V2_REF) / self.va_scale, (v3 - V3_REF) / self.va_scale
        c, s = np.cos(np.deg2rad(V3_ANGLE)), np.sin(np.deg2rad(V3_ANGLE))
        return PARITY * (a * c - b * s), a * s + b * c

    def to_sky(self, u: Any, v: Any) -> tuple[np.ndarray, np.ndarray]:
        """Ideal frame (arcsec) -> sky (degrees): the inverse of `to_ideal`."""
        c, s = np.cos(np.deg2rad(V3_ANGLE)), np.sin(np.deg2rad(V3_ANGLE))
        u, v = np.asarray(u, float), np.asarray(v, float)
        v2 = V2_REF + self.va_scale * (PARITY * u * c + v * s)
        v3 = V3_REF + self.va_scale * (-PARITY * u * s + v * c)
        v2, v3 = np.deg2rad(v2 / 3600), np.deg2rad(v3 / 3600)
        tel = np.stack([np.cos(v3) * np.cos(v2), np.cos(v3) * np.sin(v2), np.sin(v3)])
        sky = np.tensordot(self._matrix(), tel, 1)
        ra = np.rad2deg(np.arctan2(sky[1], sky[0])) % 360
        return ra, np.rad2deg(np.arcsin(sky[2]))
