"""Gaia's stars as reference: which ones, where at each epoch, and in which list entries."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import row_epochs, values
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.errors import BadCatalogError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry import (
    CompositeMapping,
    TangentPlane,
    fit_polynomial,
    match_blind,
    match_nearest,
    sky_axes,
)
from jwst_hpastrom.motion.gaia_frame.config import GaiaCuts
from jwst_hpastrom.motion.star_fits.parallax import parallax_factors

__all__ = ["ReferenceStars", "find_reference", "none_agrees", "reference_stars", "select_gaia"]

log = logging.getLogger("stpipe.hpastrom.motion")


@configured(GaiaCuts)
def select_gaia(gaia, *, config, mixture=False):
    """Gaia's stars with trustworthy astrometry: the cuts of H25 §3.1.

    Parameters
    ----------
    gaia : `~astropy.table.Table`
        Gaia's own column names. A cut whose column is missing is not made (and the log says so).

    {options}

    mixture : bool
        Take stars of any ``astrometric_excess_noise_sig`` and, unless ``max_ruwe`` is 1 or less, ``ruwe``.

    Returns
    -------
    ndarray of bool
        Stars that pass, have a motion, and finite positive errors.

    """
    excess_noise = np.inf if mixture else config.max_excess_noise_sig
    ruwe = np.inf if mixture and config.max_ruwe > 1 else config.max_ruwe
    keep = np.ones(len(gaia), bool)
    for name in ("ra", "dec", "pmra", "pmdec"):
        keep &= np.isfinite(values(gaia, name))
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        error = values(gaia, name)
        keep &= np.isfinite(error) & (error > 0)
    if not keep.any():
        raise BadCatalogError(
            f"{len(gaia)} rows, none with positions, motions and their errors",
            "ra dec pmra pmdec and *_error",
            "give a Gaia table with five-parameter solutions",
        )
    cuts = {
        "astrometric_params_solved": lambda v: (v == config.params_solved) | (config.params_solved == 0),
        "duplicated_source": lambda v: (v == 0) | config.allow_duplicated,
        "parallax_over_error": lambda v: v >= config.min_parallax_over_error,
        "astrometric_excess_noise_sig": lambda v: v <= excess_noise,
        "ruwe": lambda v: v < ruwe,
        "phot_g_mean_mag": lambda v: v > config.min_g_mag,
    }
    for name, test in cuts.items():
        if name not in gaia.colnames:
            log.info("the Gaia table has no %s: cut not made", name)
            continue
        with np.errstate(invalid="ignore"):
            keep &= test(values(gaia, name))
    return keep


@dataclass(frozen=True)
class ReferenceStars(Displayed):
    """Reference stars on the tangent plane; arrays of shape (n,).

    Attributes
    ----------
    row : ndarray of int
        Rows of the Gaia table.

    xi, eta : ndarray
        mas East and North of the tangent point at ``epoch``.

    pm_xi, pm_eta : ndarray
        mas/yr on the plane.

    covariance : ndarray, shape (n, 4, 4)
        Of (xi, eta, pm_xi, pm_eta), mas and mas/yr, with Gaia's correlations where given.

    epoch : ndarray
        Julian years.

    parallax : ndarray
        mas; zero where it is not used.

    mag : ndarray
        G.

    l2 : tuple of float
        Epochs that were observed from L2, for the parallax.
    """

    row: np.ndarray
    xi: np.ndarray
    eta: np.ndarray
    pm_xi: np.ndarray
    pm_eta: np.ndarray
    covariance: np.ndarray
    epoch: np.ndarray
    parallax: np.ndarray
    mag: np.ndarray
    plane: TangentPlane
    l2: tuple = ()

    def take(self, rows: Any) -> "ReferenceStars":
        """Return some of the stars."""
        names = ("row", "xi", "eta", "pm_xi", "pm_eta", "covariance", "epoch", "parallax", "mag")
        return replace(self, **{n: getattr(self, n)[rows] for n in names})

    def at(self, epoch: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Propagate to an epoch.

        Returns
        -------
        xi, eta : ndarray
            mas.

        covariance : ndarray, shape (n, 2, 2)
            mas²: C_pp + Δt (C_pµ + C_µp) + Δt² C_µµ.
        """
        dt = epoch - self.epoch
        xi, eta = self.xi + self.pm_xi * dt, self.eta + self.pm_eta * dt
        if np.any(self.parallax != 0):
            f = parallax_factors(np.array([epoch]), self.plane.ra, self.plane.dec, l2=epoch in self.l2)[:, 0]
            xi, eta = xi + self.parallax * f[0], eta + self.parallax * f[1]
        c, d = self.covariance, dt[:, None, None]
        cross = c[:, :2, 2:]
        return xi, eta, c[:, :2, :2] + d * (cross + np.swapaxes(cross, 1, 2)) + d * d * c[:, 2:, 2:]


def reference_stars(gaia, keep, plane, *, use_parallax=False, l2=()):
    """Put selected Gaia stars on the tangent plane.

    Parameters
    ----------
    gaia : `~astropy.table.Table`
        Gaia's columns; ``ref_epoch`` or meta ``epoch``.

    keep : ndarray of bool
        From `select_gaia`.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    use_parallax : bool
        Move them along their parallactic ellipses too (H25 does not).

    l2 : sequence of float
        Epochs that were observed from L2.

    Returns
    -------
    `ReferenceStars`

    Notes
    -----
    Motions are straight lines on the plane; over a field of some arcminutes and decades, perspective and
    curvature stay below 1 µas. Across the field the directions of East and North turn with the meridians;
    that is taken into account.
    """
    row = np.flatnonzero(keep)
    t = gaia[row]
    xi, eta = plane.from_sky(values(t, "ra"), values(t, "dec"))
    rotation = sky_axes(plane, xi, eta)
    v = np.stack([values(t, "pmra"), values(t, "pmdec")], -1)
    pm = np.einsum("nij,nj->ni", rotation, v)
    names = ("ra", "dec", "pmra", "pmdec")
    sigma = np.stack([values(t, f"{n}_error") for n in names], -1)
    corr = np.broadcast_to(np.eye(4), (row.size, 4, 4)).copy()
    for i in range(4):
        for j in range(i):
            corr[:, i, j] = corr[:, j, i] = np.nan_to_num(values(t, f"{names[j]}_{names[i]}_corr", 0.0))
    full = np.zeros((row.size, 4, 4))
    full[:, :2, :2] = full[:, 2:, 2:] = rotation
    covariance = full @ (sigma[:, :, None] * corr * sigma[:, None, :]) @ np.swapaxes(full, 1, 2)
    epoch = row_epochs(t)
    if not np.isfinite(epoch).all():
        raise BadCatalogError(
            "no ref_epoch",
            "the epoch of the Gaia positions",
            "add a column ref_epoch",
            gaia.meta.get("catalog"),
        )
    parallax = np.nan_to_num(values(t, "parallax", 0.0)) if use_parallax else np.zeros(row.size)
    mag = values(t, "phot_g_mean_mag")
    return ReferenceStars(
        row, xi * 1e3, eta * 1e3, pm[:, 0], pm[:, 1], covariance, epoch, parallax, mag, plane,
        tuple(l2),
    )  # fmt: skip


def none_agrees(reference):
    """Error where no reference star agrees with a frame that the others make.

    Parameters
    ----------
    reference : `ReferenceStars`

    Returns
    -------
    NotEnoughStarsError
        It names the epochs where the catalog states several.
    """
    epochs, n = np.unique(np.round(reference.epoch, 2), return_counts=True)
    each = ", ".join(f"{e:g} ({k} stars)" for e, k in zip(epochs, n, strict=True))
    return NotEnoughStarsError(
        f"none of {reference.row.size} reference stars in agreement with the others"
        + f", whose rows state the epochs {each}" * (n.size > 1),
        "positions and motions of one catalog, each of its own epoch",
        "check ref_epoch, units and errors of the reference catalog",
    )


def find_reference(reference, epoch, mapping, x, y, mag, *, oriented, scaled, degree=2, radius_mas=30.0):
    """Find the reference stars among the entries of one list.

    Parameters
    ----------
    reference : `ReferenceStars`

    epoch : float
        Of the list.

    mapping : `~jwst_hpastrom.geometry.Mapping`
        Pixels to a frame that is right up to origin and, unless ``oriented`` and ``scaled``, rotation and
        scale.

    x, y, mag : ndarray
        The list's entries.

    oriented, scaled : bool
        Whether the frame's axes point East and North, and are in mas.

    degree : int
        Degree of the final polynomial; a linear one where fewer than twice its terms match.

    radius_mas : float
        Largest distance of a match; five times the scatter where that is more.

    Returns
    -------
    i, j : ndarray of int
        Reference stars and list entries.

    to_plane : `~jwst_hpastrom.geometry.Mapping`
        Pixels to the tangent plane, mas, approximately.

    Raises
    ------
    NoOverlapError
        If no position, rotation and scale stands out from chance.
    """
    xi, eta, _ = reference.at(epoch)
    u, v = mapping.forward(x, y)
    best = _best_match((xi, eta, reference.mag), (u, v, mag), oriented, scaled)
    to_plane, i, j = best.transform.inverted(), best.i1, best.i2
    for _ in range(4):
        n_terms = (degree + 1) * (degree + 2) // 2
        fit = fit_polynomial(u[j], v[j], xi[i], eta[i], degree if i.size >= 2 * n_terms else 1, sigma=4.0)
        to_plane = fit.transform
        limit = max(5 * fit.rms, radius_mas)
        i, j, _ = match_nearest(xi, eta, *to_plane.forward(u, v), limit)
    log.info("%d Gaia stars found at epoch %.3f, %.3f mas rms per axis", i.size, epoch, fit.rms)
    return i, j, CompositeMapping((mapping, to_plane))


def _best_match(gaia, entries, oriented, scaled):
    """Match of Gaia's stars with a list's entries, both (x, y, mag): the most pairs of all trials."""
    xi, eta, g_mag = gaia
    u, v, mag = entries
    best, problem = None, None
    for turn, scale, tolerance, n_bright in _trials(oriented, scaled, (u, v), (xi, eta)):
        try:
            # From the sparse list to the dense one: the voting cells then suit the denser.
            found = match_blind(
                xi, eta, u, v, mag1=g_mag, mag2=mag, max_rotation=turn, scale=1 / scale,
                scale_tolerance=tolerance, n_bright=n_bright, parameters=6 if len(xi) > 12 else 4,
            )  # fmt: skip
        except (NoOverlapError, NotEnoughStarsError) as err:
            problem = err
            continue
        if best is None or found.i1.size > best.i1.size:
            best = found
        # A wrong scale matches a few by chance; a quarter of the sparser list is no chance.
        if scaled or best.i1.size > max(12, 0.25 * min(len(xi), np.isfinite(u).sum())):
            break
    if best is None:
        raise NoOverlapError(
            f"no match of {len(xi)} Gaia stars with a list of {len(u)} ({problem.found})",
            "Gaia stars in the field",
            "check the field, the epochs and position_angle and pixel_scale_mas of the lists",
        )
    return best


def _trials(oriented, scaled, a, b):
    """Ranges of rotation and scale to search and numbers of stars to use, the likely ones first."""
    if scaled and oriented:
        yield 3.0, 1.0, 0.02, 400
        yield 0.5, 1.0, 0.003, a[0].size  # red and crowded: Gaia's stars are not among the brightest
    if scaled:
        yield 180.0, 1.0, 0.02, 400
        return
    # Unknown pixel size: scales from a tenth to ten times the ratio of the two fields' sizes.
    ratio = np.hypot(*(np.ptp(c[np.isfinite(c)]) for c in b)) / np.hypot(
        *(np.ptp(c[np.isfinite(c)]) for c in a)
    )
    steps = np.arange(0, 36)
    for k in sorted(np.r_[-steps[1:], steps], key=abs):
        yield 180.0, ratio * 1.065**k, 0.035, 400
