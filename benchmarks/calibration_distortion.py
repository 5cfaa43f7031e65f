"""A regime of `calibration.py`: stated errors of a distortion solved with a catalog, against the truth."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.simulation.camera import FineStructure

META = {
    "v2_ref": -290.0, "v3_ref": -698.0, "v3yangle": 0.56, "vparity": -1, "va_scale": 0.99995,
    "filter": "F277W", "instrument": "NIRISS", "detector": "NIS", "epoch": 2022.0, "xstart": 1, "ystart": 1,
    "roll_ref": 30.0,
}  # fmt: skip
SCALE, SIZE = 65.6, 2048


def true_delta(fine, x, y):
    """Polynomial of third degree, and waves and voids: pixels to be added to raw positions."""
    p, q = (x - 1023) / 1024, (y - 1023) / 1024
    dx = 1.5 * p * q - 0.8 * q**2 + 0.5 * p**3 + 0.4 * q
    dy = -1.1 * p**2 + 0.7 * p * q + 0.4 * q**3 + 0.4 * p
    fx, fy = fine.forward(x, y)
    return dx + fx, dy + fy


def field(rng, fine, n, noise, catalog_error, amplitude):
    """Nine dithers of ``n`` stars each, and the catalog."""
    plane = TangentPlane(80.5, -69.5)
    half = 0.5 * SIZE * SCALE / 1e3 * 1.45 + amplitude
    total = int(n * (2 * half / (SIZE * SCALE / 1e3)) ** 2)
    xi, eta = rng.uniform(-half, half, (2, total))
    ra, dec = plane.to_sky(xi, eta)
    mag, lists = rng.uniform(-7, -4, total), []
    for k in range(9):
        ra0, dec0 = plane.to_sky(amplitude * (k % 3 - 1), amplitude * (k // 3 - 1))
        meta = {**META, "ra_ref": float(ra0), "dec_ref": float(dec0), "filename": f"jw{k:03d}_F277W_cal.fits"}
        u, v = IdealPlane(meta, (float(ra0), float(dec0))).from_sky(ra, dec)
        u, v = (c / META["va_scale"] * 1e3 / SCALE + 1023 for c in (u, v))
        x, y = u.copy(), v.copy()
        for _ in range(40):
            dx, dy = true_delta(fine, x, y)
            x, y = u - dx, v - dy
        s = (x > 1) & (x < SIZE - 2) & (y > 1) & (y < SIZE - 2)
        e, m = np.full(s.sum(), noise), int(s.sum())
        columns = {"x": x[s] + rng.normal(0, e), "y": y[s] + rng.normal(0, e), "x_err": e, "y_err": e,
                   "mag": mag[s], "qfit": np.full(m, 0.02), "flags": np.zeros(m, int), "ra": ra[s],
                   "dec": dec[s]}  # fmt: skip
        lists.append(Table(columns, meta=meta))
    e = np.full(total, catalog_error)
    seen = plane.to_sky(xi + rng.normal(0, e) / 1e3, eta + rng.normal(0, e) / 1e3)
    reference = Table({"ra": seen[0], "dec": seen[1], "ra_error": e, "dec_error": e, "mag": mag + 25})
    reference.meta = {"epoch": 2022.0, **plane.to_meta()}
    return lists, reference


def distortion(seed, n=4000, noise=0.006, catalog_error=0.5, method="iterative"):
    """Pulls of the correction's stated errors over the detector, six parameters removed."""
    rng = np.random.default_rng([seed, 41])
    fine = FineStructure(np.random.default_rng(100 + seed), np.random.default_rng(200 + seed),
                         wave_pix=0.035, void_pix=0.05)  # fmt: skip
    lists, reference = field(rng, fine, n, noise, catalog_error, 4.0)
    correction = solve_distortion(lists, reference, shape=(SIZE, SIZE), method=method).correction
    x, y = (c.ravel() for c in np.meshgrid(*2 * [np.arange(0, SIZE, 16.0)]))
    tx, ty = true_delta(fine, x, y)
    design = np.stack([np.ones(x.size), x + tx, y + ty], 1)
    out = {}
    stated = correction.error(x, y)
    for c, found, error in zip("xy", correction.forward(x, y), stated, strict=True):
        left = found - design @ np.linalg.lstsq(design, found, rcond=None)[0]
        out[f"{c}_correction_error"] = left / error
        out[f"of_{c}"] = np.array([np.sqrt(np.mean(left**2) / np.mean(error**2))])
    return out


PARTS = {"distortion": [(distortion, {"n": n}) for n in (1500, 4000)]}
FIELDS = {}
SHARES = {"of_x", "of_y"}
