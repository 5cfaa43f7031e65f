"""All exposures' detections in one set of flat arrays."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.columns import AVERAGED, Flag, values
from jwst_hpastrom.errors import ONE_UNIT, BadCatalogError, MixedExposuresError, NotEnoughStarsError
from jwst_hpastrom.frame.calibrations import calibrated_zeros, warn_of_calibrations
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane, fit_linear, fit_polynomial, sky_middle
from jwst_hpastrom.geometry.window import on_window
from jwst_hpastrom.storage import Store

__all__ = ["Measurements", "collect"]

#: detections that never enter a master frame
UNUSABLE = Flag.NOT_CONVERGED
#: share of rows with an impossible covariance that makes the list a wrong one
BEYOND = 0.05
#: detections that are averaged but define no transformation
NOT_REFERENCE = (
    Flag.SATURATED | Flag.BAD_PIXELS | Flag.NEAR_EDGE | Flag.CROWDED | Flag.FEW_PIXELS
    | Flag.COSMIC_RAY | Flag.EXTENDED | Flag.NOT_CONVERGED
)  # fmt: skip


@dataclass(eq=False)
class Measurements:
    """Detections of all exposures, exposure after exposure; arrays of shape (n,).

    Attributes
    ----------
    exposure : ndarray of int
        Exposure of each detection; that of exposure k are ``slice(first[k], first[k + 1])``.

    row : ndarray of int
        Row in its star list.

    raw_x, raw_y : ndarray
        Positions as measured, pixels.

    x, y : ndarray
        Distortion-corrected positions, pixels.

    vx, vy, vxy : ndarray
        Their variances and covariance, corrected pixels.

    u, v : ndarray
        Positions in the master frame (filled as the frame is built), master pixels.

    vu, vv : ndarray
        Their variances.

    ra, dec : ndarray
        Through the exposures' WCS, degrees; NaN where there is none.

    mag, mag_var, qfit, flags : ndarray
        From the star lists; ``mag`` includes the pixel-area correction.

    averaged : ndarray, shape (n, n_columns)
        Columns of `jwst_hpastrom.columns.AVERAGED`.

    reference : ndarray of bool
        Detections clean enough to define transformations.

    unstated : ndarray of bool, shape (n_exposures,)
        Exposures whose lists state no errors of positions.

    calibrated : ndarray, shape (n_exposures,)
        Magnitudes to add by the flux calibration, see `calibrated_zeros`.
    """

    exposure: np.ndarray
    first: np.ndarray
    row: np.ndarray
    raw_x: np.ndarray
    raw_y: np.ndarray
    x: np.ndarray
    y: np.ndarray
    vx: np.ndarray
    vy: np.ndarray
    vxy: np.ndarray
    u: np.ndarray
    v: np.ndarray
    vu: np.ndarray
    vv: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    mag: np.ndarray
    mag_var: np.ndarray
    qfit: np.ndarray
    averaged: np.ndarray
    flags: np.ndarray
    reference: np.ndarray
    unstated: np.ndarray
    calibrated: np.ndarray

    @property
    def n_exposures(self):
        """Number of exposures."""
        return self.first.size - 1

    def of(self, k):
        """Return the slice of exposure ``k``."""
        return slice(self.first[k], self.first[k + 1])

    def apply(self, k, transform):
        """Fill u, v and their variances of exposure ``k``."""
        s, m = self.of(k), transform.matrix
        self.u[s], self.v[s] = transform.forward(self.x[s], self.y[s])
        vx, vy, c = self.vx[s], self.vy[s], self.vxy[s]
        self.vu[s] = m[0, 0] ** 2 * vx + m[0, 1] ** 2 * vy + 2 * m[0, 0] * m[0, 1] * c
        self.vv[s] = m[1, 0] ** 2 * vx + m[1, 1] ** 2 * vy + 2 * m[1, 0] * m[1, 1] * c


def _wcs_mapping(table):
    """Mapping that takes out the smooth distortion that the WCS knows; pixels like the raw ones."""
    x, y, ra, dec = (values(table, c) for c in ("x", "y", "ra", "dec"))
    ok = np.isfinite(ra + dec + x + y)
    if ok.sum() < 60:
        return IdentityMapping()
    plane = TangentPlane(*sky_middle(ra[ok], dec[ok]))
    xi, eta = plane.from_sky(ra[ok], dec[ok])
    u, v = fit_linear(xi, eta, x[ok], y[ok], parameters=6).transform.forward(xi, eta)
    return fit_polynomial(x[ok], y[ok], u, v, 5 if ok.sum() >= 200 else 3).transform


def _jacobian(correction, x, y, h=16.0):
    """∂corrected/∂raw over ±h pixels: the mean area of a pixel there, without a pixel map's noise."""
    right, left = correction.forward(x + h, y), correction.forward(x - h, y)
    up, down = correction.forward(x, y + h), correction.forward(x, y - h)
    return [(p - q) / (2 * h) for one in range(2) for p, q in ((right[one], left[one]), (up[one], down[one]))]


def _one(table, correction, qfit_max, pixel_area):
    name = table.meta.get("filename", "star list")
    n = len(table)
    x, y = values(table, "x"), values(table, "y")
    own = correction is None  # the list's own corrected positions
    correction = correction or IdentityMapping()
    flags = np.asarray(table["flags"], np.int64) if "flags" in table.colnames else np.zeros(n, np.int64)
    ex, ey = values(table, "x_err"), values(table, "y_err")
    vx, vy, vxy = ex**2, ey**2, values(table, "xy_cov", 0.0)
    mag = values(table, "mag_corr" if own and "mag_corr" in table.colnames else "mag")
    with np.errstate(invalid="ignore"):  # unknown errors; squared, a negative one would look good
        vx, vy = np.where(ex > 0, vx, np.nan), np.where(ey > 0, vy, np.nan)
    unstated = not np.isfinite(vx + vy).any()
    if unstated:  # equal ones, until the scatter tells
        vx, vy = np.full(n, 0.01**2), np.full(n, 0.01**2)
    xc, yc = (values(table, c) for c in ("x_corr", "y_corr")) if own else correction.forward(x, y)
    if not isinstance(correction, IdentityMapping):
        a, b, c, d = _jacobian(correction, x, y)
        vx, vy, vxy = (
            a * a * vx + b * b * vy + 2 * a * b * vxy,
            c * c * vx + d * d * vy + 2 * c * d * vxy,
            a * c * vx + b * d * vy + (a * d + b * c) * vxy,
        )
        if pixel_area:
            mag = mag - 2.5 * np.log10(np.abs(a * d - b * c))
    with np.errstate(invalid="ignore"):
        ok = np.isfinite(xc + yc + vx + vy + mag) & (vx > 0) & (vy > 0) & (flags & int(UNUSABLE) == 0)
        vxy = np.where(np.isfinite(vxy), vxy, 0.0)
        beyond = ok & (np.abs(vxy) > np.sqrt(vx * vy))
    if ok.sum() < 4:
        raise NotEnoughStarsError(
            f"{int(ok.sum())} usable stars",
            "4 in every exposure",
            "are positions, errors and magnitudes finite, and does the ePSF fit: qfit below qfit_max?",
            name,
        )
    if beyond.sum() > BEYOND * ok.sum():
        raise BadCatalogError(
            f"{beyond.sum()} of {ok.sum()} rows with xy_cov larger than x_err times y_err",
            "errors and covariances of one kind",
            "scale xy_cov with the square of the errors, or leave it out",
            name,
        )
    vxy[beyond] = 0.0
    qfit = values(table, "qfit")
    data = {
        "row": np.arange(n), "raw_x": x, "raw_y": y, "x": xc, "y": yc, "vx": vx, "vy": vy, "vxy": vxy,
        "ra": values(table, "ra"), "dec": values(table, "dec"),
        "mag": mag, "mag_var": values(table, "mag_err") ** 2,
        "qfit": qfit, "flags": flags,
        "averaged": np.stack([values(table, name) for name in AVERAGED], 1),
        "reference": (flags & int(NOT_REFERENCE) == 0) & ~(qfit > qfit_max),
    }  # fmt: skip
    return {key: value[ok] for key, value in data.items()}, unstated


def _on_windows(corrections, star_lists):
    """Corrections are of the full detector, positions in a sub-array's own pixels: the origins between them.

    Exposures that share a correction and an origin share one map, and its errors.
    """
    made, out = {}, []
    for c, t in zip(corrections, star_lists, strict=True):
        x0, y0 = (int(t.meta.get(k) or 1) - 1 for k in ("xstart", "ystart"))
        key = (id(c), x0, y0)
        if c is not None and key not in made:
            made[key] = on_window(c, x0, y0)
        out.append(made.get(key))
    return out


def collect(star_lists, correction=None, *, qfit_max=0.1, pixel_area=True, store=None):
    """Read star lists into `Measurements`.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`
        Columns of `jwst_hpastrom.columns.STAR_LIST`; x, y, mag are needed.

    correction : `~jwst_hpastrom.geometry.Mapping` or sequence of them, optional
        From pixels of the full detector; ``xstart ystart`` of a list's metadata say where a sub-array lies.
        Raw to corrected pixels. Without it, a list's own ``x_corr y_corr`` (and ``mag_corr``) are taken where
        it has them, else what the exposures' WCS knows of the distortion is taken out.

    qfit_max : float
        Worst QFIT of a detection that may define a transformation.

    pixel_area : bool
        Add the pixel-area correction −2.5 log10|∂corrected/∂raw| to the magnitudes (Methods §2.7).

    store : `~jwst_hpastrom.storage.Store`, optional
        Has the columns.

    Returns
    -------
    measurements : `Measurements`

    corrections : list of `~jwst_hpastrom.geometry.Mapping`
        The correction of each exposure.
    """
    n = len(star_lists)
    corrections = list(correction) if isinstance(correction, list | tuple) else [correction] * n
    star_lists = list(star_lists)
    for table in star_lists:
        missing = [c for c in ("x", "y", "mag") if c not in table.colnames]
        if missing:
            name = table.meta.get("filename", "star list")
            raise BadCatalogError(f"no column {', '.join(missing)}", "x, y and mag in a star list", file=name)
    corrections = _on_windows(corrections, star_lists)
    corrections = [
        c or (None if {"x_corr", "y_corr"} <= set(t.colnames) else _wcs_mapping(t))
        for c, t in zip(corrections, star_lists, strict=True)
    ]
    MixedExposuresError.unless_same([t.meta for t in star_lists], "unit", do=ONE_UNIT)
    metas = [t.meta for t in star_lists]
    warn_of_calibrations(metas)
    most, first, unstated, data = sum(map(len, star_lists)), np.zeros(n + 1, int), np.zeros(n, bool), {}
    make = (store or Store()).array
    for k, (table, c) in enumerate(zip(star_lists, corrections, strict=True)):
        part, unstated[k] = _one(table, c, qfit_max, pixel_area)
        first[k + 1] = first[k] + part["x"].size
        part |= {key: np.full(part["x"].size, np.nan) for key in ("u", "v", "vu", "vv")}
        for key, found in part.items():
            if k == 0:
                data[key] = make((most, *found.shape[1:]), found.dtype)
            data[key][first[k] : first[k + 1]] = found
    data = {key: column[: first[-1]] for key, column in data.items()}
    exposure = np.repeat(np.arange(n), np.diff(first))
    m = Measurements(
        exposure=exposure, first=first, unstated=unstated, calibrated=calibrated_zeros(metas), **data
    )
    return m, [c or IdentityMapping() for c in corrections]
