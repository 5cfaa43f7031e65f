"""What a simulated field depends on."""

from dataclasses import dataclass, field

import numpy as np

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.instrument import filter_of
from jwst_hpastrom.simulation.camera import DETECTOR, SCALE
from jwst_hpastrom.simulation.detector import NoiseConfig
from jwst_hpastrom.simulation.optics import OpticsConfig

__all__ = ["FieldConfig", "demo_config"]


@dataclass(frozen=True)
class FieldConfig:
    """All that a simulated field depends on.

    Parameters
    ----------
    filter : str
        One of NIRISS's.

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
        Sky position of the field's center, degrees.

    epoch, catalog_epoch : float
        Julian years of the exposures and of the first-epoch catalog.

    star_epoch : float, optional
        Julian year at which the stars are where they are drawn; by default that of the exposures. Fields
        of one seed and ``star_epoch`` are the same stars at different epochs.

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
        Errors of the bright stars in the first-epoch catalog (mas, mas/yr), and its limiting magnitude.

    focus_nm : float
        Standard deviation of the exposures' defocus (nm): the PSF changes in time.

    noise : `~jwst_hpastrom.simulation.detector.NoiseConfig`

    optics : `~jwst_hpastrom.simulation.optics.OpticsConfig`

    program, observation : str
        Numbers in the file names.

    seed : int
        Seed of everything, where no generator is given.

    Examples
    --------
    >>> from jwst_hpastrom.simulation import FieldConfig
    >>> config = FieldConfig(filter="F200W", size=256, n_exposures=4, seed=3)
    >>> config.filter, config.epoch
    ('F200W', 2022.33)
    """

    filter: str = "F150W"
    size: int | tuple = DETECTOR
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
    star_epoch: float | None = None
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
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    optics: OpticsConfig = field(default_factory=OpticsConfig)
    program: str = "09999"
    observation: str = "001"
    seed: int = 1

    def __post_init__(self):
        filter_of(self.filter)
        if min(self.shape) < 64 or max(self.shape) > DETECTOR:
            raise ParameterError(f"exposures of {self.shape} pixels", f"64 to {DETECTOR}")
        if self.n_exposures < 1 or self.n_repeat < 1 or self.n_stars < 1:
            raise ParameterError("no exposures or no stars", "at least one of each")
        x0, y0 = self.origin
        if x0 < 0 or y0 < 0 or x0 + self.shape[1] > DETECTOR or y0 + self.shape[0] > DETECTOR:
            raise ParameterError(f"a subarray at {self.origin}", "one inside the detector")

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the exposures."""
        ny, nx = np.broadcast_to(self.size, 2).tolist()
        return ny, nx

    @property
    def origin(self) -> tuple[int, int]:
        """0-based (x, y) of the exposures' first pixel on the full detector."""
        if self.start is not None:
            x0, y0 = (int(v) for v in self.start)
            return x0, y0
        return (DETECTOR - self.shape[1]) // 2, (DETECTOR - self.shape[0]) // 2

    @property
    def dither(self) -> float:
        """Step of the dither pattern, arcsec."""
        return 0.17 * min(self.shape) * SCALE if self.dither_arcsec is None else self.dither_arcsec

    @property
    def half_field(self) -> tuple[float, float]:
        """Half sides of the sky that holds stars (to the East and North), arcsec."""
        side = int(np.ceil(np.sqrt(self.n_exposures)))
        reach = (side - 1) / 2 * self.dither
        # any roll angle; the subarray's center is the field's
        half = max(self.shape) * SCALE / 2 * np.sqrt(2) + reach + 2.0
        return half, half


def demo_config(*, quick: bool = False, seed: int = 1) -> FieldConfig:
    """Configuration of the field of ``hpastrom demo``.

    Parameters
    ----------
    quick : bool
        Fewer exposures and stars.

    seed : int

    Returns
    -------
    `FieldConfig`

    Examples
    --------
    >>> from jwst_hpastrom.simulation import demo_config
    >>> config = demo_config(quick=True)
    >>> config.filter, config.n_exposures
    ('F150W', 4)
    """
    optics = OpticsConfig(n_field=5, n_wavelengths=3)
    if quick:
        return FieldConfig(n_exposures=4, n_stars=1200, optics=optics, seed=seed)
    return FieldConfig(n_exposures=6, n_stars=2500, optics=optics, seed=seed)
