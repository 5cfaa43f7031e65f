"""A field with known truth: exposures, and everything that is known about them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from astropy.table import Table
from astropy.time import Time

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.instrument import wheels
from jwst_hpastrom.simulation import detector, sky
from jwst_hpastrom.simulation.camera import (
    CENTER,
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
from jwst_hpastrom.simulation.config import FieldConfig
from jwst_hpastrom.simulation.optics import TrueEPSF, make_epsf

__all__ = ["SimulatedExposure", "SimulatedField", "simulate_field"]

# Numbers that the filters' truth is drawn with: those of the first twelve are kept, that seeds mean the same
# fields as before; any other filter's comes from its name.
_SEEDS = {
    "F090W": 0, "F115W": 1, "F140M": 2, "F150W": 3, "F158M": 4, "F200W": 5,
    "F277W": 6, "F356W": 7, "F380M": 8, "F430M": 9, "F444W": 10, "F480M": 11,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SimulatedExposure(Displayed):
    """One simulated exposure. Pixels are drawn when `image` is first asked for.

    Attributes
    ----------
    name : str
        Root name, as ``jw09999001001_02101_00001_nis``.

    meta : dict
        The keys of `~jwst_hpastrom.io.Exposure` ``.meta``.

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
    parent: Any

    @cached_property
    def pixels(self) -> Any:
        """`~jwst_hpastrom.simulation.detector.Pixels`: data, err, dq, variances, cosmic rays."""
        return self.parent.expose(self.index)

    @cached_property
    def image(self) -> Image:
        """`~jwst_hpastrom.epsf.image.Image`."""
        p = self.pixels
        bad = ((p.dq & 1) > 0) | ~np.isfinite(p.data) | ~np.isfinite(p.err)
        saturated = bad & ((p.dq & 2) > 0)
        data = np.where(np.isfinite(p.data), p.data, 0).astype(np.float32)
        err = np.where(bad, np.inf, p.err).astype(np.float32)
        return Image(data, err, bad & ~saturated, saturated, f"{self.name}_cal.fits")

    def _full(self, x, y):
        x0, y0 = self.parent.config.origin
        return np.asarray(x, float) + x0, np.asarray(y, float) + y0

    def to_sky(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Raw pixels to the sky through the header's WCS: official polynomial, header pointing."""
        return self.header_pointing.to_sky(*self.parent.distortion.official.forward(*self._full(x, y)))

    def to_sky_true(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Raw pixels to where they truly look."""
        return self.true_pointing.to_sky(*self.parent.distortion.forward(*self._full(x, y)))

    def to_plane(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Raw pixels to the field's tangent plane, 50 mas pixels, through the header's WCS."""
        plane = self.parent.plane
        return plane.to_pixels(*plane.from_sky(*self.to_sky(x, y)))

    def from_sky_true(self, ra: Any, dec: Any) -> tuple[np.ndarray, np.ndarray]:
        """Ray-trace: sky to raw pixels of the exposure, by inverting the true distortion."""
        x0, y0 = self.parent.config.origin
        x, y = self.parent.distortion.inverse(*self.true_pointing.to_ideal(ra, dec), tolerance=1e-9)
        return x - x0, y - y0


@dataclass(frozen=True, eq=False)
class SimulatedField(Displayed):
    """A field with known truth.

    Attributes
    ----------
    config : `FieldConfig`

    plane : `~jwst_hpastrom.geometry.TangentPlane`
        About the field's center.

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
    epsf: TrueEPSF
    sensor: detector.Sensor
    _seeds: tuple = field(repr=False, default=())
    _focus: TrueEPSF | None = field(repr=False, default=None)
    exposures: list = field(repr=False, default_factory=list)

    @property
    def images(self) -> list[Image]:
        """Images of all exposures (drawn on first use)."""
        return [e.image for e in self.exposures]

    def expose(self, index: int) -> Any:
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

    def corrected(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """True correction of raw full-detector pixels in pixels of the mean scale (no gauge removed)."""
        u, v = self.distortion.forward(x, y)
        return u / SCALE + CENTER, v / SCALE + CENTER


def simulate_field(
    config: FieldConfig | None = None, *, rng: np.random.Generator | None = None, **changes: Any
) -> SimulatedField:
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

    Examples
    --------
    >>> from jwst_hpastrom.simulation import simulate_field
    >>> field = simulate_field(filter="F200W", size=64, n_exposures=2, n_stars=10, seed=3)
    >>> field.exposures[0].image
    <Image jw09999001001_02101_00001_nis_cal.fits: 64 x 64 pixels, 99.8 % with weight>
    """
    config = replace(config or FieldConfig(), **changes)
    rng = np.random.default_rng(config.seed) if rng is None else rng
    seeds = tuple(int(s) for s in rng.integers(0, 2**62, 6))
    band = _SEEDS.get(config.filter, crc32(config.filter.encode()))
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
    sensor = detector.make_sensor(
        config.shape, config.noise, np.random.default_rng([seeds[2], 99]), config.origin
    )

    def optics(defocus):
        rng = np.random.default_rng([seeds[3], band])
        return make_epsf(config.filter, rng, config.optics, defocus_nm=defocus)

    epsf, focus = optics(0.0), optics(10.0) if config.focus_nm else None
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
        "pupil": wheels({"instrument": "NIRISS", "filter": config.filter})[1],
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
