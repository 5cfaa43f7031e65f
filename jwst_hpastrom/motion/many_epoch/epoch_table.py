"""The result of a many-epoch run, and its catalog."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.columns import MOTION, Flag, make_table
from jwst_hpastrom.geometry import TangentPlane, sky_axes
from jwst_hpastrom.motion.gaia_frame.frame_quality import FrameBias
from jwst_hpastrom.motion.gaia_frame.reference import ReferenceStars
from jwst_hpastrom.motion.kinematic_models import KERNELS, MODEL_CODES, MODEL_SETS
from jwst_hpastrom.motion.many_epoch.linking import LinkedStars
from jwst_hpastrom.motion.star_fits.loo_check import expected_chi2_loo
from jwst_hpastrom.motion.star_fits.models import MotionFits

__all__ = ["EpochMotions", "motion_table"]


@dataclass(frozen=True)
class EpochMotions(Tabular):
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

    ties : list of `~jwst_hpastrom.motion.gaia_frame.frame_tie.EpochTie`

    reference : `ReferenceStars`
        The reference stars that were kept, and their stars.

    bias : `~jwst_hpastrom.motion.gaia_frame.frame_quality.FrameBias`
        Of the motions and positions against Gaia (H25 eq. 10-12).

    references : `~astropy.table.Table`
        All candidate reference stars: star, differences from Gaia, whether kept.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    settings : dict
        Errors, covariances and groups that went into the fits.

    position_angles : ndarray, shape (n_epochs,)
        Degrees; NaN where the lists do not say.
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
    position_angles: np.ndarray

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

    def __repr__(self):
        years = f"{min(self.epochs):.1f} to {max(self.epochs):.1f}"
        return (
            f"<{type(self).__name__}: {len(self.table)} stars, {len(self.epochs)} epochs from {years}, "
            f"{len(self.references)} reference stars>"
        )

    def plot(self, ax=None):
        """Draw the vector-point diagram, see `jwst_hpastrom.plot.motion_diagram`."""
        return plot.motion_diagram(self.table, ax)

    def expected_chi2_quantiles(self, most=500, n_draws=200):
        """Quantiles (0, 0.05, … 1) of the leave-one-out chi-square that the models expect, from some stars.

        Parameters
        ----------
        most : int
            Stars drawn from, evenly through the table.

        n_draws : int
            Realizations a star.

        Returns
        -------
        list of float
        """
        rows = np.linspace(0, len(self.table) - 1, min(most, len(self.table))).astype(int)
        part = {
            k: v[rows] if k in ("x_err", "y_err", "extra_covariance") and v is not None else v
            for k, v in self.settings.items()
        }
        draws = expected_chi2_loo(self.epochs, fits=self.fits.take(rows), n_draws=n_draws, **part)
        finite = draws[np.isfinite(draws)]
        return [float(v) for v in np.quantile(finite, np.linspace(0, 1, 21))] if finite.size else []

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
                "mag": self.links.mag[star, epoch],
                "group": self.settings["group"][epoch],
                "position_angle": self.position_angles[epoch],
            },
            meta={"units": "mas on the tangent plane, East and North; epochs in Julian years"},
        )

    def summary(self):
        """One row of figures to compare kinematic models by: errors, fits, rejections, models chosen.

        Returns
        -------
        dict
        """
        t = self.table
        mag, codes = np.asarray(t["mag"], float), np.asarray(t["model"])
        half = mag < np.nanmedian(mag)
        error = np.hypot(t["pmra_error"], t["pmdec_error"]) / np.sqrt(2)
        chi2 = np.concatenate([t["chi2_loo_ra"], t["chi2_loo_dec"]])
        used, usable = self.fits.used.sum(), self.links.usable.sum()
        row = {
            "models": t.meta["model_set"],
            "n_stars": int((codes >= 0).sum()),
            "pm_error_bright": float(np.nanmedian(error[half])),
            "pm_error_faint": float(np.nanmedian(error[~half])),
            "frame_pm_error": float(np.mean(t.meta["frame_pm_error_mas_yr"])),
            "bias_pmra": float(self.bias.motion[0]),
            "bias_pmdec": float(self.bias.motion[1]),
            "bias_error": float(np.mean(self.bias.motion_error)),
            "chi2_loo": float(np.nanmedian(chi2)),
            "rejected": float(1 - used / max(usable, 1)),
        }
        return row | {name: float(np.mean(codes == code)) for name, code in MODEL_CODES.items()}


def motion_table(lists, epochs, links, fits, plane, reference, star, bias, gaia, models, frame, shared=None):
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
    ordered = np.sort(np.where(np.isfinite(links.mag), links.mag, np.nan), axis=1)  # NaN last
    n_mag = np.isfinite(ordered).sum(1)
    middle = np.maximum(np.stack([(n_mag - 1) // 2, n_mag // 2], -1), 0)
    mag = np.take_along_axis(ordered, middle, axis=1).mean(1)
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
    if shared is not None:
        data["pmra_error_systematic"], data["pmdec_error_systematic"] = shared.T
    if fits.has_parallax:
        data["parallax"] = fits.coefficients[:, -1]
        data["parallax_error"] = np.sqrt(fits.covariance[:, -1, -1])
    if fits.degree == 2:
        for axis, name in ((2, "ra"), (5, "dec")):
            data[f"acceleration_{name}"] = fits.coefficients[:, axis]
            data[f"acceleration_{name}_error"] = np.sqrt(fits.covariance[:, axis, axis])
    meta = {
        "epochs": [float(e) for e in epochs],
        "model_set": models if isinstance(models, str) else "given",
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
    table = make_table(MOTION, data, meta)
    table["model"].description = ", ".join(f"{k.code} {k.title}" for k in KERNELS.values())
    return table
