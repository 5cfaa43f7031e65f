"""A field with known truth: configuration, exposures, everything that is known about them."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy.table import Table
from astropy.time import Time

from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.simulation import detector, sky
from jwst_hpastrom.simulation.camera import (
    CENTRE,
    DETECTOR,
    PARITY,
    SCALE,
    V2_REF,
    V3_ANGLE,
    V3_REF,
    FineStructure,
    OfficialDistortion,
    Pointing,
    TrueDistortion,
)
from jwst_hpastrom.simulation.optics import BANDS, OpticsConfig, make_epsf

__all__ = ["FieldConfig", "SimulatedExposure", "SimulatedField", "demo_config", "simulate_field"]


@dataclass(frozen=True)
class FieldConfig:
    """All that a simulated field depends on.

    Parameters
    ----------
    filter : str
        Key of `~jwst_hpastrom.simulation.optics.BANDS`.

    size : int or (int, int)
        Side of the exposures, or (ny, nx), pixels. Less than 2048 is a subarray in the detector's middle
        unless ``start`` says where.

    start : (int, int), optional
        0-based x and y of the subarray's first pixel.

    n_exposures : int
        Dithered exposures, on a square pattern.

    n_repeat : int
        Exposures at each dither.

    dither_arcsec : float, optional
        Step of the pattern; 17 % of the exposures' side by default.

    n_stars : int
        Mean number of stars on one exposure.

    mag_bright, mag_faint, mag_slope : float
        Range of instrumental magnitudes, and the luminosity function's slope (numbers as 10**(slope mag)).

    min_separation : float
        Pixels within which no second (fainter) star is left; 0 leaves the field crowded.

    cluster_fraction : float
        Share of the stars in a cluster with one common motion.

    target : (float, float)
        Sky position of the field's centre, degrees.

    epoch, catalog_epoch : float
        Julian years of the exposures and of the first-epoch catalogue.

    roll, rolls : float, sequence of float
        Position angle, degrees, and what is added to it, dither by dither in turn.

    va_scale : float
        Velocity aberration of all exposures.

    pointing_error_arcsec : float
        Standard deviation per axis of the true pointing about what the header says.

    roll_error_deg : float
        The same of the roll angle.

    wave_pix, void_pix, filter_pix : float
        Fine structure of the distortion, see `~jwst_hpastrom.simulation.camera.FineStructure`.

    catalog_error_mas, catalog_pm_error, catalog_faint : float
        Errors of the bright stars in the first-epoch catalogue (mas, mas/yr), and its limiting magnitude.

    focus_nm : float
        Standard deviation of the exposures' defocus (nm): the PSF changes in time.

    noise : `~jwst_hpastrom.simulation.detector.NoiseConfig`

    optics : `~jwst_hpastrom.simulation.optics.OpticsConfig`

    program, observation : str
        Numbers in the file names.

    seed : int
        Seed of everything, where no generator is given.
    """

    filter: str = "F150W"
    size: int | tuple = 2048
    start: tuple | None = None
    n_exposures: int = 9
    n_repeat: int = 1
    dither_arcsec: float | None = None
    n_stars: int = 6000
    mag_bright: float = -8.0
    mag_faint: float = -3.0
    mag_slope: float = 0.25
    min_separation: float = 0.0
    cluster_fraction: float = 0.0
    target: tuple = (80.5, -69.5)
    epoch: float = 2022.33
    catalog_epoch: float = 2006.4
    roll: float = 38.0
    rolls: tuple = (0.0,)
    va_scale: float = 1.00002
    pointing_error_arcsec: float = 0.05
    roll_error_deg: float = 0.005
    wave_pix: float = 0.035
    void_pix: float = 0.05
    filter_pix: float = 0.25
    catalog_error_mas: float = 0.4
    catalog_pm_error: float = 0.05
    catalog_faint: float = -2.0
    focus_nm: float = 0.0
    noise: detector.NoiseConfig = field(default_factory=detector.NoiseConfig)
    optics: OpticsConfig = field(default_factory=OpticsConfig)
    program: str = "09999"
    observation: str = "001"
    seed: int = 1

    def __post_init__(self):
        if self.filter not in BANDS:
            raise ParameterError(f"filter {self.filter}", f"one of {', '.join(BANDS)}")
        if min(self.shape) < 64 or max(self.shape) > DETECTOR:
            raise ParameterError(f"exposures of {self.shape} pixels", f"64 to {DETECTOR}")
        if self.n_exposures < 1 or self.n_repeat < 1 or self.n_stars < 1:
            raise ParameterError("no exposures or no stars", "at least one of each")
        x0, y0 = self.origin
        if x0 < 0 or y0 < 0 or x0 + self.shape[1] > DETECTOR or y0 + self.shape[0] > DETECTOR:
            raise ParameterError(f"a subarray at {self.origin}", "one inside the detector")

    @property
    def shape(self):
        """(ny, nx) of the exposures."""
        return (self.size, self.size) if np.ndim(self.size) == 0 else tuple(self.size)

    @property
    def origin(self):
        """0-based (x, y) of the exposures' first pixel on the full detector."""
        if self.start is not None:
            return tuple(int(v) for v in self.start)
        return (DETECTOR - self.shape[1]) // 2, (DETECTOR - self.shape[0]) // 2

    @property
    def dither(self):
        """Step of the dither pattern, arcsec."""
        return 0.17 * min(self.shape) * SCALE if self.dither_arcsec is None else self.dither_arcsec

    @property
    def half_field(self):
        """Half sides of the sky that holds stars (to the East and North), arcsec."""
        side = int(np.ceil(np.sqrt(self.n_exposures)))
        reach = (side - 1) / 2 * self.dither
        # any roll angle; the subarray's centre is the field's
        half = max(self.shape) * SCALE / 2 * np.sqrt(2) + reach + 2.0
        return half, half


@dataclass(frozen=True, eq=False)
class SimulatedExposure:
    """One simulated exposure. Pixels are drawn when `image` is first asked for.

    Attributes
    ----------
    name : str
        Root name, as ``jw09999001001_02101_00001_nis``.

    meta : dict
        The keys of `~jwst_hpastrom.io.exposures.Exposure` ``.meta``.

    index : int
        Number in the field.

    true_pointing, header_pointing : `~jwst_hpastrom.simulation.camera.Pointing`
        Where the telescope looked, and where its header says.

    truth : `~astropy.table.Table`
        Stars on the exposure: ``id x y`` (0-based pixels of the exposure) ``mag flux ra dec``.
    """

    name: str
    meta: dict
    index: int
    true_pointing: Pointing
    header_pointing: Pointing
    truth: Table
    parent: object

    @cached_property
    def pixels(self):
        """`~jwst_hpastrom.simulation.detector.Pixels`: data, err, dq, variances, cosmic rays."""
        return self.parent.expose(self.index)

    @cached_property
    def image(self):
        """`~jwst_hpastrom.epsf.image.Image`."""
        p = self.pixels
        bad = ((p.dq & 5) > 0) | ~np.isfinite(p.data) | ~np.isfinite(p.err)
        saturated = (p.dq & 2) > 0
        data = np.where(np.isfinite(p.data), p.data, 0).astype(np.float32)
        err = np.where(bad | saturated, np.inf, p.err).astype(np.float32)
        return Image(data, err, bad & ~saturated, saturated, f"{self.name}_cal.fits")

    def _full(self, x, y):
        x0, y0 = self.parent.config.origin
        return np.asarray(x, float) + x0, np.asarray(y, float) + y0

    def to_sky(self, x, y):
        """Raw pixels to the sky through the header's WCS: official polynomial, header pointing."""
        return self.header_pointing.to_sky(*self.parent.distortion.official.forward(*self._full(x, y)))

    def to_sky_true(self, x, y):
        """Raw pixels to where they truly look."""
        return self.true_pointing.to_sky(*self.parent.distortion.forward(*self._full(x, y)))

    def to_plane(self, x, y):
        """Raw pixels to the field's tangent plane, 50 mas pixels, through the header's WCS."""
        plane = self.parent.plane
        return plane.to_pixels(*plane.from_sky(*self.to_sky(x, y)))

    def from_sky_true(self, ra, dec):
        """Ray-trace: sky to raw pixels of the exposure, by inverting the true distortion."""
        x0, y0 = self.parent.config.origin
        x, y = self.parent.distortion.inverse(*self.true_pointing.to_ideal(ra, dec), tolerance=1e-9)
        return x - x0, y - y0


@dataclass(frozen=True, eq=False)
class SimulatedField:
    """A field with known truth.

    Attributes
    ----------
    config : `FieldConfig`

    plane : `~jwst_hpastrom.geometry.TangentPlane`
        About the field's centre.

    stars : `~astropy.table.Table`
        Truth, see `~jwst_hpastrom.simulation.sky.make_stars`.

    reference_catalog : `~astropy.table.Table`
        First epoch.

    distortion : `~jwst_hpastrom.simulation.camera.TrueDistortion`
        Truth, on the full detector; its ``.official`` is what the header's WCS knows.

    epsf : `~jwst_hpastrom.simulation.optics.TrueEPSF`
        Truth, on the full detector.
    """

    config: FieldConfig
    plane: TangentPlane
    stars: Table
    reference_catalog: Table
    distortion: TrueDistortion
    epsf: object
    sensor: object
    _seeds: tuple = field(repr=False, default=())
    _focus: object = field(repr=False, default=None)
    exposures: list = field(repr=False, default_factory=list)

    @property
    def images(self):
        """Images of all exposures (drawn on first use)."""
        return [e.image for e in self.exposures]

    def expose(self, index):
        """Draw one exposure's pixels; the same at every call."""
        config, exposure = self.config, self.exposures[index]
        rng = np.random.default_rng([self._seeds[4], index])
        epsf = self.epsf
        if self._focus is not None:
            change = rng.normal(0, config.focus_nm) / 10.0
            coefficients = epsf.coefficients + change * (self._focus.coefficients - epsf.coefficients)
            epsf = replace(epsf, coefficients=coefficients)
        light = detector.render(
            config.shape, config.origin, epsf, *(np.asarray(exposure.truth[c]) for c in ("x", "y", "flux"))
        )
        return detector.read_out(light, self.sensor, config.noise, rng)

    def corrected(self, x, y):
        """True correction of raw full-detector pixels in pixels of the mean scale (no gauge removed)."""
        u, v = self.distortion.forward(x, y)
        return u / SCALE + CENTRE, v / SCALE + CENTRE


def demo_config(*, quick=False, seed=1):
    """Configuration of the field of ``hpastrom demo``.

    Parameters
    ----------
    quick : bool
        Fewer exposures and stars.

    seed : int

    Returns
    -------
    `FieldConfig`
    """
    optics = OpticsConfig(n_field=5, n_wavelengths=3)
    if quick:
        return FieldConfig(n_exposures=4, n_stars=1200, optics=optics, seed=seed)
    return FieldConfig(n_exposures=6, n_stars=2500, optics=optics, seed=seed)


def simulate_field(config=None, *, rng=None, **changes):
    """Simulate a field.

    Parameters
    ----------
    config : `FieldConfig`, optional

    rng : `~numpy.random.Generator`, optional
        Source of all randomness; by default one made from ``config.seed``.

    **changes
        Fields of the configuration to change, as ``size=512, n_exposures=4, n_stars=400``.

    Returns
    -------
    `SimulatedField`
        Its exposures' pixels are drawn when first used.
    """
    config = replace(config or FieldConfig(), **changes)
    rng = np.random.default_rng(config.seed) if rng is None else rng
    seeds = tuple(int(s) for s in rng.integers(0, 2**62, 6))
    band = list(BANDS).index(config.filter)
    plane = TangentPlane(*config.target)
    stars = sky.make_stars(config, plane, np.random.default_rng(seeds[0]))
    catalog = sky.first_epoch_catalog(stars, config, np.random.default_rng(seeds[1]))
    fine = FineStructure(
        np.random.default_rng(seeds[2]),
        np.random.default_rng([seeds[2], band]),
        wave_pix=config.wave_pix,
        void_pix=config.void_pix,
        filter_pix=config.filter_pix,
    )
    sensor = detector.make_sensor(config.shape, config.noise, np.random.default_rng([seeds[2], 99]))
    epsf, focus = (
        make_epsf(config.filter, np.random.default_rng([seeds[3], band]), config.optics, defocus_nm=d)
        if d == 0 or config.focus_nm
        else None
        for d in (0.0, 10.0)
    )
    truth = TrueDistortion(OfficialDistortion(), fine)
    out = SimulatedField(config, plane, stars, catalog, truth, epsf, sensor, seeds, focus)
    for k, (header, true) in enumerate(
        _pointings(config, truth, plane, np.random.default_rng([seeds[5], band]))
    ):
        out.exposures.append(_exposure(out, k, header, true))
    return out


def _pointings(config, distortion, plane, rng):
    """Header's and true pointing of every exposure."""
    side = int(np.ceil(np.sqrt(config.n_exposures)))
    steps = (np.arange(side) - (side - 1) / 2) * config.dither
    dithers = np.array([(a, b) for b in steps for a in steps][: config.n_exposures])
    dithers -= dithers.mean(0)
    x0, y0 = config.origin
    middle = distortion.official.forward(x0 + (config.shape[1] - 1) / 2, y0 + (config.shape[0] - 1) / 2)
    out = []
    for k, dither in enumerate(dithers):
        for _ in range(config.n_repeat):
            roll = config.roll + config.rolls[k % len(config.rolls)]
            # small random steps, so that stars fall everywhere in the pixels
            de, dn = dither + rng.uniform(-0.15, 0.15, 2)
            wanted = plane.to_sky(de, dn)
            header = Pointing(float(wanted[0]), float(wanted[1]), roll, config.va_scale)
            # move the reference point so that the middle of the exposure, not the aperture, looks there
            xi, eta = plane.from_sky(*header.to_sky(*middle))
            ra, dec = plane.to_sky(2 * de - xi, 2 * dn - eta)
            header = replace(header, ra=float(ra), dec=float(dec))
            xi, eta = plane.from_sky(ra, dec)
            miss = rng.normal(0, config.pointing_error_arcsec, 2)
            ra, dec = plane.to_sky(xi + miss[0], eta + miss[1])
            true = replace(
                header, ra=float(ra), dec=float(dec), roll=roll + rng.normal(0, config.roll_error_deg)
            )
            out.append((header, true))
    return out


def _exposure(parent, k, header, true):
    """One exposure's metadata and true stars."""
    config = parent.config
    x0, y0 = config.origin
    name = f"jw{config.program}{config.observation}001_02101_{k + 1:05d}_nis"
    mjd = Time(config.epoch, format="jyear").mjd + 0.01 * (k - (config.n_exposures * config.n_repeat - 1) / 2)
    meta = {
        "filename": f"{name}_cal.fits",
        "telescope": "JWST",
        "instrument": "NIRISS",
        "detector": "NIS",
        "filter": config.filter,
        "pupil": config.filter if BANDS[config.filter][0] < 2.3 else "CLEARP",
        "epoch": float(Time(mjd, format="mjd").jyear),
        "exposure_time": config.noise.exposure_time,
        "va_scale": config.va_scale,
        "pixel_area_sr": detector.PIXEL_AREA_SR,
        "unit": "MJy/sr",
        "xstart": x0 + 1,
        "ystart": y0 + 1,
        "v2_ref": V2_REF,
        "v3_ref": V3_REF,
        "v3yangle": V3_ANGLE,
        "vparity": PARITY,
        "ra_ref": header.ra,
        "dec_ref": header.dec,
        "roll_ref": header.roll,
    }
    exposure = SimulatedExposure(name, meta, k, true, header, Table(), parent)
    ra, dec = sky.positions_at(parent.stars, meta["epoch"])
    u, v = true.to_ideal(ra, dec)
    ny, nx = config.shape
    margin = 12.0
    lo_u, lo_v = parent.distortion.official.forward(x0 - margin, y0 - margin)
    hi_u, hi_v = parent.distortion.official.forward(x0 + nx + margin, y0 + ny + margin)
    slack = 8 * SCALE
    near = (u > lo_u - slack) & (u < hi_u + slack) & (v > lo_v - slack) & (v < hi_v + slack)
    near = np.flatnonzero(near)
    x, y = exposure.from_sky_true(ra[near], dec[near])
    on = (x > -margin) & (x < nx - 1 + margin) & (y > -margin) & (y < ny - 1 + margin)
    near, x, y = near[on], x[on], y[on]
    mag = np.asarray(parent.stars["mag"])[near]
    columns = {
        "id": near,
        "x": x,
        "y": y,
        "mag": mag,
        "flux": 10 ** (-0.4 * mag),
        "ra": ra[near],
        "dec": dec[near],
    }
    truth = Table(columns, meta={"filename": meta["filename"], "epoch": meta["epoch"]})
    return replace(exposure, truth=truth)
