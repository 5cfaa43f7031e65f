"""The result of a many-epoch run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion.gaia_frame.frame_quality import FrameBias
from jwst_hpastrom.motion.gaia_frame.reference import ReferenceStars
from jwst_hpastrom.motion.kinematic_models import MODEL_CODES
from jwst_hpastrom.motion.many_epoch.linking import LinkedStars
from jwst_hpastrom.motion.many_epoch.registration import list_to_sky
from jwst_hpastrom.motion.star_fits.epoch_quality import epoch_quality, list_scatter
from jwst_hpastrom.motion.star_fits.loo_check import expected_chi2_loo
from jwst_hpastrom.motion.star_fits.models import MotionFits
from jwst_hpastrom.motion.star_fits.reference_columns import named_axes, reference_motions, stated_errors
from jwst_hpastrom.motion.star_fits.reference_times import ReferenceLines, lines, reference_time

__all__ = ["EpochMotions"]


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

    candidates : `ReferenceStars`, optional
        The same in the catalog.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    settings : dict
        Errors, covariances and groups that went into the fits.

    position_angles : ndarray, shape (n_epochs,)
        Degrees; NaN where the lists do not say.

    shift : ndarray, shape (2, n_stars, n_epochs), or None
        What epochs of a group share at a star's magnitude, mas East and North, where it was learned: the
        positions are without it.

    names : tuple of str
        Of the lists.
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
    names: tuple = ()
    shift: Any = None
    candidates: ReferenceStars | None = None

    def expected_chi2(self, **kwargs: Any) -> np.ndarray:
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

    def plot(self, ax: Any = None) -> Any:
        """Draw the vector-point diagram, see `jwst_hpastrom.plot.motion_diagram`."""
        return plot.motion_diagram(self.table, ax)

    def expected_chi2_quantiles(self, most: int = 500, n_draws: int = 200) -> list[float]:
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

    def epoch_quality(self) -> Table:
        """Each list against the motions of all, years, errors, shares used."""
        position, error = self._measured()
        names = self.names or [f"{e:.4f}" for e in self.epochs]
        return epoch_quality(
            self.epochs, position, error, self.fits, self.links.usable, names, self.links.mag
        )

    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and their errors, shape (2, n_stars, n_epochs)."""
        return np.stack([self.xi, self.eta]), np.stack([self.xi_error, self.eta_error])

    def timed_references(self) -> Table:
        """All candidate reference stars; the metadata have the years by which all lists are late.

        And what their motions and positions tell of the catalog's columns (`reference_motions`,
        `stated_errors`; axes_deg, by which the catalog's axes are turned against the lists', and
        axes_of, turn_of, the frame that has such ones), the number of epochs, and the lists' scatter about
        the motions over their errors.
        """
        table, fits = self.references, self.fits
        table.meta["n_epochs"] = len(self.epochs)
        position, listed = self._measured()
        table.meta["list_scatter"] = list_scatter(self.epochs, position, listed, fits, self.links.usable)
        if {"d_xi", "d_pm_xi"} <= set(table.colnames) and len(table):
            rows = np.asarray(table["star"], int)
            d, change = (
                np.stack([np.asarray(table[f"{kind}_{c}"], float) for c in ("xi", "eta")], 1)
                for kind in ("d", "d_pm")
            )
            cos_dec, error, place = float(np.cos(np.deg2rad(self.plane.dec))), fits.motion_error[rows], None
            if (catalog := self.candidates) is not None:
                theirs = np.diagonal(catalog.covariance, axis1=1, axis2=2)[:, 2:]
                error, place = np.sqrt(error**2 + theirs), np.stack([catalog.xi, catalog.eta], 1)
                table.meta |= stated_errors(catalog)
            table.meta |= reference_motions(change, fits.motion[rows], cos_dec, error, place) | self._axes()
            if np.isfinite(table.meta["turn_deg"]):
                turn, within = table.meta["turn_deg"], max(1.0, 2 * table.meta["turn_error_deg"])
                table.meta["turn_of"] = named_axes(turn, self.plane.ra, self.plane.dec, within=within)
            if self.candidates is not None:
                late = reference_time(self._reference_lines(d, change, rows))
                table.meta |= dict(zip(("time_error", "time_error_error"), late, strict=True))
        return table

    def _axes(self):
        """Angle of the catalog's axes against those of the lists' position angles, and whose they are."""
        turns = []
        for tie, angle in zip(self.ties, self.position_angles, strict=True):
            stated = list_to_sky({"position_angle": angle}).matrix
            (xx, xy), (yx, yy) = tie.jacobian(*tie.center[:, None])[0] @ stated.T
            turns.append(np.exp(1j * np.arctan2(yx - xy, xx + yy)))
        known = np.array(turns)[np.isfinite(self.position_angles)]
        if not known.size:
            return {"axes_deg": np.nan, "axes_of": ""}
        turn = float(np.rad2deg(np.angle(np.median(known.real) + 1j * np.median(known.imag))))
        return {"axes_deg": turn, "axes_of": named_axes(turn, self.plane.ra, self.plane.dec, given=False)}

    def _reference_lines(self, d, change, rows):
        catalog = self.candidates
        error = np.stack([self.settings["x_err"][rows], self.settings["y_err"][rows]], 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(self.fits.used[rows][:, None] & (error > 0), error**-2.0, 0.0)
        c = [catalog.covariance[:, (0, 1), (0, 1)], catalog.covariance[:, (0, 1), (2, 3)],
             catalog.covariance[:, (2, 3), (2, 3)]]  # fmt: skip
        # the epoch at which the catalog's position and motion have no error in common
        theirs = np.stack([catalog.epoch[:, None] - c[1] / c[2], c[0] - c[1] ** 2 / c[2], c[2]], -1)
        motion = np.stack([catalog.pm_xi, catalog.pm_eta], 1)
        epoch = self.references.meta.get("compared_at", catalog.epoch)
        return ReferenceLines(d, change, epoch, motion, lines(self.epochs, weight), theirs)

    def residuals(self) -> Table:
        """Every measurement and its leave-one-out prediction, as a table, one row a star and epoch."""
        star, epoch = np.nonzero(self.links.index >= 0)
        fits = self.fits
        table = Table(
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
        if self.shift is not None:  # xi and eta are without it
            table["shift_xi"], table["shift_eta"] = self.shift[:, star, epoch]
        return table

    def summary(self) -> dict[str, Any]:
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
