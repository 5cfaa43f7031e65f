"""From light to pixels as the level-2 pipeline would deliver them: noise, flags, cosmic rays, saturation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import minimum_filter

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.simulation._kernels import add_stars
from jwst_hpastrom.simulation.camera import DETECTOR, SCALE

__all__ = ["NoiseConfig", "Pixels", "Sensor", "make_sensor", "read_out", "render"]

DO_NOT_USE, SATURATED, JUMP_DET, DEAD, HOT, REFERENCE_PIXEL = 1, 2, 4, 1024, 2048, 1 << 31
BORDER = 4  # reference pixels
PIXEL_AREA_SR = (SCALE * np.pi / 180 / 3600) ** 2


@dataclass(frozen=True)
class NoiseConfig:
    """Detector and exposure.

    Parameters
    ----------
    background : float
        Sky, MJy/sr.

    mjsr_per_dns : float
        Calibration, MJy/sr per DN/s.

    gain : float
        Electrons per DN.

    n_groups, group_time : int, float
        Up-the-ramp groups and their time (s).

    read_noise : float
        Electrons, of the fitted slope over the exposure.

    full_well : float
        Electrons; the groups in which a pixel or a neighbor is above it are left out, and it is flagged
        as saturated; with fewer than two groups left it has no value at all.

    bad_fraction : float
        Share of dead and hot pixels that DQ knows.

    hot_fraction : float
        Share of pixels with a dark current of 1 to 300 electrons per second that DQ does not know.

    brighter_fatter : float
        Shift of the boundary between two pixels, in pixels for a difference of the full well in charge.

    flat_error : float
        Relative error of the flat field, pixel to pixel.

    cosmic_rays : float
        Hits per million pixels; in nine of ten the jump is found, and the group left out.
    """

    background: float = 0.22
    mjsr_per_dns: float = 0.28
    gain: float = 1.6
    n_groups: int = 5
    group_time: float = 10.737
    read_noise: float = 11.0
    full_well: float = 100000.0
    bad_fraction: float = 0.003
    hot_fraction: float = 1e-4
    brighter_fatter: float = 0.0
    flat_error: float = 0.0004
    cosmic_rays: float = 100.0

    @property
    def exposure_time(self) -> float:
        """Seconds."""
        return self.n_groups * self.group_time

    @property
    def electrons(self) -> float:
        """Electrons per MJy/sr."""
        return self.gain * self.exposure_time / self.mjsr_per_dns


@dataclass(frozen=True, eq=False)
class Sensor(Displayed):
    """What stays the same from exposure to exposure.

    Attributes
    ----------
    flag : ndarray of uint32, shape (ny, nx)
        DQ of the dead and hot pixels, and of the reference pixels.

    flat : ndarray, shape (ny, nx)
        True sensitivity over the assumed one.

    dark : ndarray, shape (ny, nx)
        Dark current that calibration leaves, electrons per second.
    """

    flag: np.ndarray
    flat: np.ndarray
    dark: np.ndarray


@dataclass(frozen=True, eq=False)
class Pixels(Displayed):
    """One exposure's arrays, shape (ny, nx), MJy/sr.

    Attributes
    ----------
    data, err, var_poisson, var_rnoise, var_flat : ndarray of float32

    dq : ndarray of uint32

    cosmic_rays : ndarray, shape (n, 4)
        x, y, electrons, flagged (0 or 1) of every pixel hit.
    """

    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    var_poisson: np.ndarray
    var_rnoise: np.ndarray
    var_flat: np.ndarray
    cosmic_rays: np.ndarray


def make_sensor(
    shape: tuple[int, int],
    config: NoiseConfig,
    rng: np.random.Generator,
    origin: tuple[int, int] | None = None,
) -> Sensor:
    """Draw the detector's bad pixels and flat-field errors.

    Parameters
    ----------
    shape : (int, int)

    config : `NoiseConfig`

    rng : `~numpy.random.Generator`

    origin : (int, int), optional
        0-based x, y of the first pixel on the full detector, whose outermost 4 rows and columns are reference
        pixels. None: somewhere inside.

    Returns
    -------
    `Sensor`
    """
    draw = rng.uniform(size=shape)
    flag = np.zeros(shape, np.uint32)
    flag[draw < config.bad_fraction] = DO_NOT_USE | HOT
    flag[draw < 0.4 * config.bad_fraction] = DO_NOT_USE | DEAD
    flat = 1 + config.flat_error * rng.standard_normal(shape, dtype=np.float32)
    hot = rng.uniform(size=shape) < config.hot_fraction
    dark = np.where(hot, 10 ** rng.uniform(0, 2.5, shape), 0)
    if origin is not None:
        place = (np.arange(n) + o for n, o in zip(shape, origin[::-1], strict=True))
        rows, columns = ((p < BORDER) | (p >= DETECTOR - BORDER) for p in place)
        flag[rows[:, None] | columns] |= DO_NOT_USE | REFERENCE_PIXEL
    return Sensor(flag, flat, dark)


def render(
    shape: tuple[int, int], origin: tuple[int, int], epsf: Any, x: np.ndarray, y: np.ndarray, flux: np.ndarray
) -> np.ndarray:
    """Light of all stars in every pixel.

    Parameters
    ----------
    shape : (int, int)

    origin : (int, int)
        0-based x, y of the first pixel on the full detector.

    epsf : `~jwst_hpastrom.simulation.optics.TrueEPSF`

    x, y : ndarray
        Positions in the exposure.

    flux : ndarray
        MJy/sr, summed over pixels.

    Returns
    -------
    ndarray, shape (ny, nx)
        MJy/sr; each pixel the integral of the optical PSF over its area (the effective PSF holds it).
    """
    image = np.zeros(shape)
    x, y, flux = (np.ascontiguousarray(a, float) for a in (x, y, flux))
    radius = np.where(flux > 60.0, epsf.half_width - 1, 12).astype(np.int64)
    radius = np.minimum(radius, epsf.half_width - 1)
    add_stars(image, epsf.grid, x, y, x + origin[0], y + origin[1], flux, radius)
    return image


def read_out(light: np.ndarray, sensor: Sensor, config: NoiseConfig, rng: np.random.Generator) -> Pixels:
    """Turn light into an exposure as the level-2 pipeline delivers it.

    The variances are estimated from the noisy signal, as a ramp fit's are. Groups that a jump or saturation
    takes are left out of the slope: its error grows as that of the official ramp fit does (the variance by
    photons with 1 / (groups - 1), that by reads with 1 / (groups³ - groups)), JUMP_DET or SATURATED is set,
    and the pixel is good.
    SATURATED is set on the neighbors, too, as the saturation Step does. Fewer than two groups give no slope:
    DO_NOT_USE.

    Parameters
    ----------
    light : ndarray, shape (ny, nx)
        MJy/sr, without sky.

    sensor : `Sensor`

    config : `NoiseConfig`

    rng : `~numpy.random.Generator`

    Returns
    -------
    `Pixels`
    """
    per = config.electrons
    expected = (light + config.background) * per * sensor.flat + sensor.dark * config.exposure_time
    if config.brighter_fatter:
        # charge grows in proportion to time: fewer groups see less of it
        share = _groups(expected, config) / config.n_groups
        pushed = _push(expected, 0.5 * config.brighter_fatter / config.full_well)
        expected += share * (pushed - expected)
    signal = rng.poisson(np.maximum(expected, 0)).astype(float)
    noise = config.read_noise * rng.standard_normal(light.shape, dtype=np.float32)
    total = signal + noise
    dq = sensor.flag.copy()
    hits = _cosmic_rays(light.shape, config, rng)
    for i, j, charge, flagged in hits:
        i, j = int(i), int(j)
        if flagged:
            dq[j, i] |= JUMP_DET
        else:
            total[j, i] += charge
    groups = _groups(total, config)
    dq[groups < config.n_groups] |= SATURATED
    groups -= (dq & JUMP_DET) > 0
    dq[groups < 2] |= DO_NOT_USE
    n, left = config.n_groups, np.maximum(groups, 2.0)
    fewer, coarser = (n - 1) / (left - 1), (n**3 - n) / (left**3 - left)  # of photons, of reads
    photons, reads = np.maximum(total, 1.0), config.read_noise**2
    short = left < n
    more = photons * (fewer - 1) + reads * (coarser - 1)
    total[short] += np.sqrt(more[short]) * rng.standard_normal(short.sum())
    data = total / per
    var_poisson = np.maximum(total, 1.0) * fewer / per**2
    var_rnoise = reads * coarser / per**2
    var_flat = (data * config.flat_error) ** 2
    err = np.sqrt(var_poisson + var_rnoise + var_flat)
    lost = (dq & DO_NOT_USE) > 0
    data[lost] = err[lost] = np.nan
    single = [a.astype(np.float32) for a in (data, err, var_poisson, var_rnoise, var_flat)]
    return Pixels(single[0], single[1], dq, single[2], single[3], single[4], hits)


def _groups(charge, config):
    """Groups before a pixel or one beside it is full."""
    groups = np.floor(config.full_well * config.n_groups / np.maximum(charge, 1.0))
    return minimum_filter(np.minimum(config.n_groups, groups), 3, mode="nearest")


def _push(charge, shift):
    """Let light cross the boundaries between pixels, moved by ``shift`` pixels per electron of difference."""
    out = charge.copy()
    across = shift * 0.5 * np.diff(charge**2, axis=0)  # difference times mean
    out[:-1] += across
    out[1:] -= across
    across = shift * 0.5 * np.diff(charge**2, axis=1)
    out[:, :-1] += across
    out[:, 1:] -= across
    return np.maximum(out, 0)


def _cosmic_rays(shape, config, rng):
    """Pixels hit: x, y, electrons, flagged."""
    ny, nx = shape
    rows = []
    for _ in range(rng.poisson(config.cosmic_rays * nx * ny / 1e6)):
        x, y, angle = rng.uniform(0, nx), rng.uniform(0, ny), rng.uniform(0, np.pi)
        charge, flagged = 10 ** rng.uniform(2.7, 4.2), rng.uniform() < 0.9
        for step in range(rng.integers(1, 5)):
            i, j = int(x + step * np.cos(angle)), int(y + step * np.sin(angle))
            if 0 <= i < nx and 0 <= j < ny:
                rows.append((i, j, charge, flagged))
    return np.array(rows, float).reshape(-1, 4)
