"""The result of a many-epoch run, and its catalogue."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import MOTION, Flag, make_table
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion.frame_quality import FrameBias
from jwst_hpastrom.motion.linking import LinkedStars
from jwst_hpastrom.motion.loo_check import expected_chi2_loo
from jwst_hpastrom.motion.models import MODEL_SETS, MotionFits
from jwst_hpastrom.motion.reference import ReferenceStars, sky_axes

__all__ = ["EpochMotions", "motion_table"]


@dataclass(frozen=True)
class EpochMotions:
    """Result of `fit_epochs`.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`, then ``source_name`` (the star's name or number in the
        first list that has it), ``gaia_source_id``, ``acceleration_*`` where fitted.

    epochs : ndarray, shape (n_epochs,)

    xi, eta, xi_error, eta_error : ndarray, shape (n_stars, n_epochs)
        Positions on the tangent plane, mas; the errors include those of the transformation.

    links : `LinkedStars`
        Rows of the lists.

    fits : `MotionFits`
        Models and leave-one-out predictions.

    ties : list of `~jwst_hpastrom.motion.frame_tie.EpochTie`

    reference : `ReferenceStars`
        The reference stars that were kept, and their stars.

    bias : `~jwst_hpastrom.motion.frame_quality.FrameBias`
        Of the motions and positions against Gaia (H25 eq. 10-12).

    references : `~astropy.table.Table`
        All candidate reference stars: star, differences from Gaia, whether kept.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    settings : dict
        Errors, covariances and groups that went into the fits.
    """

    table: Table
    epochs: np.ndarray
    xi: np.ndarray
    eta: np.ndarray
    xi_error: np.ndarray
    eta_error: np.ndarray
    links: LinkedStars
    fits: MotionFits
    ties: list
    reference: ReferenceStars
    bias: FrameBias
    references: Table
    plane: TangentPlane
    settings: dict

    def expected_chi2(self, **kwargs):
        """Leave-one-out chi-squares as the models expect them: `expected_chi2_loo` with this run's data.

        Parameters
        ----------
        **kwargs
            ``recipe``, ``n_draws``, ``rng``.

        Returns
        -------
        ndarray, shape (n_stars, n_draws, 2)
        """
        return expected_chi2_loo(self.epochs, fits=self.fits, **self.settings, **kwargs)

    def residuals(self):
        """Every measurement and its leave-one-out prediction, as a table, one row a star and epoch."""
        star, epoch = np.nonzero(self.links.index >= 0)
        fits = self.fits
        return Table(
            {
                "id": self.table["id"][star],
                "epoch": self.epochs[epoch],
                "list_row": self.links.index[star, epoch],
                "xi": self.xi[star, epoch],
                "eta": self.eta[star, epoch],
                "xi_error": self.xi_error[star, epoch],
                "eta_error": self.eta_error[star, epoch],
                "loo_residual_ra": self.xi[star, epoch] - fits.loo_mean[star, 0, epoch],
                "loo_residual_dec": self.eta[star, epoch] - fits.loo_mean[star, 1, epoch],
                "loo_error_ra": fits.loo_error[star, 0, epoch],
                "loo_error_dec": fits.loo_error[star, 1, epoch],
                "used": fits.used[star, epoch],
            },
            meta={"units": "mas on the tangent plane, East and North; epochs in Julian years"},
        )


def motion_table(lists, epochs, links, fits, plane, reference, star, bias, gaia, models, frame):
    """Build the table of `~jwst_hpastrom.motion.many_epoch.EpochMotions` from the parts of a run."""
    n = len(links.index)
    xi, eta = fits.position.T / 1e3
    ra, dec = plane.to_sky(xi, eta)
    back = np.linalg.inv(sky_axes(plane, np.nan_to_num(xi), np.nan_to_num(eta)))
    motion = np.einsum("nij,nj->ni", back, fits.motion)
    covariance = back @ fits.motion_covariance @ np.swapaxes(back, 1, 2)
    pos_cov = back @ fits.block(0, fits.degree + 1) @ np.swapaxes(back, 1, 2)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    pos_error = np.sqrt(np.diagonal(pos_cov, axis1=1, axis2=2))
    flags = np.zeros(n, np.int64)
    n_used, n_found = fits.used.sum(1), (links.index >= 0).sum(1)
    n_bad = ((links.index >= 0) & ~links.usable).sum(1)
    flags[n_used < 5] |= Flag.LINEAR_FIT
    flags[n_bad > 0] |= Flag.BAD_ERRORS
    flags[links.usable.sum(1) > n_used] |= Flag.REJECTED_EPOCHS
    flags[star] |= Flag.REFERENCE
    gaia_id = np.full(n, "", dtype="U20")
    if "source_id" in gaia.colnames:
        gaia_id[star] = np.asarray(gaia["source_id"])[reference.row].astype(str)
    first = np.argmax(links.index >= 0, axis=1)
    names = []
    for s in range(n):
        t = lists[first[s]]
        label = next((c for c in ("name", "id") if c in t.colnames), None)
        row = links.index[s, first[s]]
        names.append(str(t[label][row]) if label else f"{first[s]}:{row}")
    mean = np.average(np.stack([reference.pm_xi, reference.pm_eta], -1), axis=0)
    chosen = np.take_along_axis(fits.elpd, np.maximum(fits.model, 0)[:, None], 1)[:, 0]
    with np.errstate(all="ignore"):
        mag = np.array([np.median(m[np.isfinite(m)]) if np.isfinite(m).any() else np.nan for m in links.mag])
    data = {
        "id": np.arange(1, n + 1),
        "ra": ra,
        "dec": dec,
        "ra_error": pos_error[:, 0],
        "dec_error": pos_error[:, 1],
        "ref_epoch": fits.t0,
        "pmra": motion[:, 0],
        "pmdec": motion[:, 1],
        "pmra_error": error[:, 0],
        "pmdec_error": error[:, 1],
        "pmra_pmdec_corr": covariance[:, 0, 1] / (error[:, 0] * error[:, 1]),
        "mag": mag,
        "pmra_rel": motion[:, 0] - mean[0],
        "pmdec_rel": motion[:, 1] - mean[1],
        "model": fits.model,
        "elpd": chosen,
        "chi2_loo_ra": fits.chi2_loo[:, 0],
        "chi2_loo_dec": fits.chi2_loo[:, 1],
        "n_epochs": n_used,
        "n_rejected": links.usable.sum(1) - n_used,
        "flags": flags,
        "source_name": np.array(names),
        "gaia_source_id": gaia_id,
        "n_found": n_found,
    }
    data["pmra_rel_error"], data["pmdec_rel_error"] = error[:, 0], error[:, 1]
    dt = fits.t0 - frame.epoch
    for axis, name in enumerate(("ra", "dec")):
        c = frame.covariance[axis]
        drift = c[0, 0] + 2 * dt * c[0, 1] + dt**2 * c[1, 1]
        data[f"{name}_error_total"] = np.sqrt(pos_error[:, axis] ** 2 + drift)
        data[f"pm{name}_error_total"] = np.sqrt(error[:, axis] ** 2 + c[1, 1])
    if fits.has_parallax:
        data["parallax"] = fits.coefficients[:, -1]
        data["parallax_error"] = np.sqrt(fits.covariance[:, -1, -1])
    if fits.degree == 2:
        for axis, name in ((2, "ra"), (5, "dec")):
            data[f"acceleration_{name}"] = fits.coefficients[:, axis]
            data[f"acceleration_{name}_error"] = np.sqrt(fits.covariance[:, axis, axis])
    meta = {
        "epochs": [float(e) for e in epochs],
        "models": list(MODEL_SETS.get(models, models)) if isinstance(models, str) else list(models),
        "n_reference": int(star.size),
        "common_epoch": float(bias.epoch),
        "frame_pm_error_mas_yr": [float(np.sqrt(c[1, 1])) for c in frame.covariance],
        "frame_position_error_mas": [float(np.sqrt(c[0, 0])) for c in frame.covariance],
        "errors": "*_error of the fits, *_error_total with the frame's error, which all stars share",
        "frame_error_epoch": float(frame.epoch),
        "frame": "Gaia's, by polynomials through the reference stars",
        **plane.to_meta(),
    }
    return make_table(MOTION, data, meta)
