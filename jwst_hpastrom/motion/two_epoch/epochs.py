"""The two epochs on one plane: positions, errors and times, and whether they can be compared."""

import logging
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import epoch_of, epsf_cause, row_epochs, values
from jwst_hpastrom.errors import BadCatalogError, HPAstromError, NoBaselineError, OrientationError
from jwst_hpastrom.frame import position_errors
from jwst_hpastrom.frame.transforms.registration import align
from jwst_hpastrom.frame.transforms.tie import carried_off, reference_positions
from jwst_hpastrom.geometry import LinearTransform, TangentPlane, robust_sigma

__all__ = ["TwoEpochs", "check_baseline", "check_epochs", "on_one_plane"]

log = logging.getLogger("stpipe.hpastrom.motion")


@dataclass(frozen=True)
class TwoEpochs:
    """Both epochs in pixels of the first one's tangent plane.

    Attributes
    ----------
    master, first : `~astropy.table.Table`
    plane : `~jwst_hpastrom.geometry.TangentPlane`
    t1 : ndarray
        Julian years of the first epoch's rows.
    t2 : float
        Of the master frame.
    uv, xy, now : tuple of two ndarray
        The master frame, the catalog, the catalog at the master frame's epoch.
    e1, e2 : tuple of two ndarray
        Errors of catalog and master frame.
    scale : float
        Size of the master frame's pixel in these pixels.
    no_errors : bool
        Whether the catalog states no errors.
    to_now : `~jwst_hpastrom.geometry.LinearTransform`
        Master frame to catalog at its epoch, as found blindly.
    """

    master: Table
    first: Table
    plane: TangentPlane
    t1: np.ndarray
    t2: float
    uv: tuple
    xy: tuple
    now: tuple
    e1: tuple
    e2: tuple
    scale: float
    no_errors: bool
    to_now: LinearTransform

    @property
    def baselines(self):
        """Years between the epochs, by row of the catalog."""
        return self.t2 - self.t1

    @property
    def baseline(self):
        """Years between the epochs."""
        return float(np.median(self.baselines))

    @property
    def moved(self):
        """The catalog's own motions over the baseline, pixels."""
        return tuple(n - x for n, x in zip(self.now, self.xy, strict=True))

    @property
    def flags(self):
        """Flags of the master frame."""
        if "flags" in self.master.colnames:
            return np.asarray(self.master["flags"], np.int64)
        return np.zeros(len(self.master), np.int64)


def on_one_plane(master, first_epoch, matching, errors):
    """Put both epochs on one plane.

    Parameters
    ----------
    master, first_epoch : `~astropy.table.Table`

    matching : `~jwst_hpastrom.motion.two_epoch.config.Matching`

    errors : str
        Which errors of the master frame, see `~jwst_hpastrom.motion.two_epoch_motions`.

    Returns
    -------
    `TwoEpochs`
    """
    plane = TangentPlane.from_meta(first_epoch.meta) or TangentPlane.from_meta(master.meta)
    if master.meta.get("n_exposures") == 1:
        log.warning(
            "the master frame is one exposure, nothing was repeated: motions are flagged FEW_EXPOSURES"
        )
    t1, t2 = check_epochs(master, first_epoch)
    if plane is None:
        raise BadCatalogError("no tangent plane in either table's metadata", "ra_tangent and dec_tangent")
    to_now, uv, now = _first_pairs(master, first_epoch, plane, matching)
    x1, y1, ex1, ey1 = reference_positions(first_epoch, plane, None)
    scale = (TangentPlane.from_meta(master.meta) or plane).scale_mas / plane.scale_mas
    e2 = tuple(e * scale for e in position_errors(master, "empirical" if errors == "l23" else errors))
    unknown = ~np.isfinite(np.where(np.r_[ex1, ey1] > 0, np.r_[ex1, ey1], np.nan)).any()
    return TwoEpochs(
        master, first_epoch, plane, t1, t2, uv, (x1, y1), now, (_known(ex1), _known(ey1)), e2,
        scale, bool(unknown), to_now,
    )  # fmt: skip


def _first_pairs(master, first_epoch, plane, matching):
    """Linear transformation of the master to the catalog at the master's epoch, and the catalog there."""
    epoch = epoch_of(master)
    x, y, *_ = reference_positions(first_epoch, plane, epoch)
    own = TangentPlane.from_meta(master.meta) or plane
    if {"ra", "dec"} <= set(master.colnames):
        u, v = plane.to_pixels(*plane.from_sky(values(master, "ra"), values(master, "dec")))
    else:
        u, v = plane.to_pixels(*own.from_pixels(values(master, "x"), values(master, "y")))
    seen = np.isfinite(x + y)
    mag = values(master, "mag")
    limits = {
        "max_shift": 1.5 * matching.max_shift * 1e3 / plane.scale_mas,
        "max_rotation": 1.5 * matching.max_rotation,
    }
    try:
        found = align(u, v, mag, x[seen], y[seen], values(first_epoch, "mag")[seen], **limits)
    except OrientationError:
        raise
    except HPAstromError as error:
        carried_off(u, v, mag, first_epoch, plane, epoch, **limits)
        cause = epsf_cause(mag, values(master, "qfit"))
        cause = cause or "check that the first epoch covers the field"
        raise type(error)(error.found, error.needed, cause) from None
    return found.transform, (u, v), (x, y)


def check_epochs(master, first_epoch):
    """Julian years of the first epoch's rows and of the master; an error where unknown or the same."""
    t2 = epoch_of(master)
    t1 = row_epochs(first_epoch)
    sky = np.isfinite(values(first_epoch, "ra") + values(first_epoch, "dec"))
    if not np.isfinite(t2) or not np.isfinite(t1[sky]).all():
        whose, default = (first_epoch, "first epoch") if np.isfinite(t2) else (master, "master frame")
        raise BadCatalogError(
            "no epoch", "the Julian year of the positions, as metadata epoch or column ref_epoch", "add it",
            whose.meta.get("catalog", default),
        )  # fmt: skip
    if (near := np.abs(t2 - t1[sky]) < 0.02).any():
        raise NoBaselineError(
            f"{near.sum()} rows of epoch {t1[sky][near][0]}, which is the master frame's ({t2})",
            "epochs that differ", "for motions, give a catalog of another epoch",
            first_epoch.meta.get("catalog", "first epoch"),
        )  # fmt: skip
    typical = float(np.median(t1[sky])) if sky.any() else np.nan
    return np.where(np.isfinite(t1), t1, typical), t2


def check_baseline(relative, error, absolute, name, t1, t2):
    """Refuse epochs with which the motions are far from proportional to the catalog's own."""
    r, a, e = (np.asarray(c, float) for c in (relative, absolute, error))
    ok = np.isfinite(r + a + e).all(0)
    if ok.sum() < 50:
        return
    cov = var = noise = scatter = 0.0
    ratios = []
    for k in (0, 1):
        dr, da = (c[k, ok] - np.median(c[k, ok]) for c in (r, a))
        keep = (np.abs(dr) < 4 * robust_sigma(dr)) & (np.abs(da) < 4 * robust_sigma(da))
        dr, da = dr[keep], da[keep]
        if dr.size < 40:
            return
        cov, var, scatter = cov + dr @ da / dr.size, var + dr @ dr / dr.size, scatter + da @ da / dr.size
        noise += np.mean(e[k, ok][keep] ** 2)
        ratios.append(da @ da / (dr @ dr))
    own = var - noise
    if own < 2 * noise or cov < 0.5 * np.sqrt(var * scatter):
        return  # too little in common to judge by
    if cov <= var and cov <= scatter:
        return  # noise in either explains it, whatever the stated errors: see the checks
    ratio = cov / own
    if not 0.6 < ratio < 1.5:
        if not 0.6 < np.sqrt(ratios[0] / ratios[1]) < 1.6:  # one axis only: no time does that
            raise BadCatalogError(
                f"own motions of {np.sqrt(ratios[0]):.2f} (pmra) and {np.sqrt(ratios[1]):.2f} (pmdec) times "
                "those measured", "pmra with its factor cos(dec), once, and both axes in one unit",
                "multiply pmra by cos(dec), or divide it", name or "first epoch",
            )  # fmt: skip
        raise BadCatalogError(
            f"own motions {ratio:.2f} times those between epochs {np.median(t1):.2f} and {t2:.2f}",
            "epochs that fit the catalog's motions",
            "check both tables' epochs" if 0.1 < ratio < 10 else "check the units of the catalog's motions",
            name or "first epoch",
        )  # fmt: skip


def _known(error):
    """Fill unknown errors with the typical one; zero where none is known."""
    good = np.isfinite(error) & (error > 0)
    return np.where(good, error, np.median(error[good]) if good.any() else 0.0)
