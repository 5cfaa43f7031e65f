"""How good a master frame is: scatter against magnitude, and a line for every exposure."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.instrument import pixel_mas
from jwst_hpastrom.numerics import robust_sigma

__all__ = ["exposure_table", "rms_against_magnitude"]


def rms_against_magnitude(
    table: Table,
    *,
    step: float = 0.5,
    pixel_scale_mas: float | None = None,
    scale_mas: float | None = None,
    min_used: int = 3,
    min_stars: int = 5,
) -> Table:
    """One-dimensional positional RMS against magnitude (L23 Fig. 16).

    Parameters
    ----------
    table : `~astropy.table.Table`
        Master frame.

    step : float
        Width of the magnitude bins.

    pixel_scale_mas : float, optional
        Detector pixel that the RMS is given in; by default that of the table's instrument.

    scale_mas : float, optional
        Master pixel; by default that of the table's metadata.

    min_used : int
        Fewest measurements of a star.

    min_stars : int
        Fewest stars in a bin.

    Returns
    -------
    `~astropy.table.Table`
        mag (bin center), n, rms_x, rms_y, rms (median one-dimensional RMS), all in detector pixels, and
        rms_mas.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.frame import rms_against_magnitude
    >>> table = Table({"mag": np.full(20, -6.3), "x_rms": np.full(20, 0.01), "y_rms": np.full(20, 0.01)})
    >>> table["n_used"] = 9
    >>> found = rms_against_magnitude(table, pixel_scale_mas=65.6, scale_mas=65.6)
    >>> found["mag", "n", "rms"].as_array().tolist()
    [(-6.25, 20, 0.01)]
    """
    scale = float(scale_mas or table.meta.get("scale_mas", 50.0))
    pixel = float(pixel_scale_mas or pixel_mas(table.meta))
    ok = np.asarray(table["n_used"]) >= min_used
    mag = np.asarray(table["mag"], float)
    ok &= np.isfinite(mag)
    rows = []
    if ok.any():
        edges = np.arange(np.floor(mag[ok].min() / step), np.ceil(mag[ok].max() / step) + 1) * step
        for low in edges[:-1]:
            b = ok & (mag >= low) & (mag < low + step)
            if b.sum() < min_stars:
                continue
            x, y = np.asarray(table["x_rms"][b], float), np.asarray(table["y_rms"][b], float)
            f = scale / pixel
            both = np.sqrt(0.5 * (x**2 + y**2))
            med = [float(np.nanmedian(a)) for a in (x, y, both)]
            rows.append((low + step / 2, int(b.sum()), *(v * f for v in med), med[2] * scale))
    names = ("mag", "n", "rms_x", "rms_y", "rms", "rms_mas")
    return Table(rows=rows or None, names=names, dtype=(float, int, float, float, float, float))


def exposure_table(m, star, used, residuals, transforms, zero, zero_error, names, plane):
    """One line for every exposure: stars found, matched and used, residuals, orientation, scale, zero point.

    Returns
    -------
    `~astropy.table.Table`
    """
    rows = []
    for k in range(m.n_exposures):
        s = m.of(k)
        u = used[s]
        t = transforms[k]
        dx, dy = residuals[0][s][u & m.reference[s]], residuals[1][s][u & m.reference[s]]
        a, b = t.matrix[0], t.matrix[1]
        skew = np.rad2deg(np.arcsin(np.clip(np.dot(a, b) / np.hypot(*a) / np.hypot(*b), -1, 1)))
        # the transformation takes detector pixels to master pixels: its inverse scale turns residuals back
        f = 1.0 / t.scale
        rms = [float(robust_sigma(d)) * f for d in (dx, dy)]
        rows.append(
            (names[k], int(u.size), int((star[s] >= 0).sum()), int(u.sum()), *rms,
             t.rotation, t.scale * plane.scale_mas, float(skew), float(zero[k]), float(zero_error[k]))
        )  # fmt: skip
    names_ = (
        "exposure", "n_found", "n_matched", "n_used", "rms_x_pix", "rms_y_pix",
        "rotation_deg", "scale_mas", "skew_deg", "zero_point", "zero_point_error",
    )  # fmt: skip
    return Table(rows=rows, names=names_)
