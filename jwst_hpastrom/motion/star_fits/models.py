"""Kinematic models for many epochs: Gaussian processes about straight lines (H25 §3.2, App. B)."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion.kinematic_models import MODEL_CODES, MODEL_SETS, N_CODES
from jwst_hpastrom.motion.star_fits._star_kernels import FitSettings, Measurements, Results, fit_paths
from jwst_hpastrom.motion.star_fits.config import FitMotionsConfig
from jwst_hpastrom.motion.star_fits.field_systematics.choices import reconsidered
from jwst_hpastrom.motion.star_fits.field_systematics.marginal import marginalize

__all__ = ["MODEL_CODES", "MODEL_SETS", "MotionFits", "elpd_margin", "fit_motions"]


def elpd_margin(probability):
    """ELPD by which a model must exceed poly-only: ln(p/(1 − p)).

    Parameters
    ----------
    probability : float
        Probability that the richer model is the better one.
    """
    if not 0 < probability < 1:
        raise ParameterError(f"probability={probability}", "a number between 0 and 1")
    return float(np.log(probability / (1 - probability)))


@dataclass(frozen=True)
class MotionFits(Displayed):
    """Motions of many stars, from `fit_motions`.

    Attributes
    ----------
    model : ndarray of int, shape (n,)
        Model code; -1 where no motion could be fitted.

    t0 : ndarray, shape (n,)
        Reference epoch: the error-weighted mean time, one for both axes.

    coefficients : ndarray, shape (n, q)
        x0, vx[, ax], y0, vy[, ay][, parallax]: mas, mas/yr, mas/yr².

    covariance : ndarray, shape (n, q, q)

    elpd : ndarray, shape (n, highest code + 1)
        Expected log predictive density by model code; NaN where not tried.

    chi2_loo : ndarray, shape (n, 2)
        H25 eq. 8 per axis.

    theta : ndarray, shape (n, 2, 2)
        Logarithms of the chosen model's hyper-parameters per axis: amplitude (mas) and time or angular scale.

    used : ndarray of bool, shape (n, n_epochs)

    loo_mean, loo_error : ndarray, shape (n, 2, n_epochs)
        Leave-one-out predictions and their errors; NaN where unused.

    doubt : ndarray, shape (n, 2)
        Probability that the motion along an axis is more than three errors off, over the choices of
        measurements that may be wrong; NaN where none was weighed.
    """

    model: np.ndarray
    t0: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    elpd: np.ndarray
    chi2_loo: np.ndarray
    theta: np.ndarray
    used: np.ndarray
    loo_mean: np.ndarray
    loo_error: np.ndarray
    doubt: np.ndarray
    degree: int
    has_parallax: bool

    @property
    def position(self) -> np.ndarray:
        """X and y at t0, shape (n, 2)."""
        return self.coefficients[:, [0, self.degree + 1]]

    @property
    def motion(self) -> np.ndarray:
        """Velocity at t0, shape (n, 2)."""
        return self.coefficients[:, [1, self.degree + 2]]

    def take(self, rows: Any) -> "MotionFits":
        """Return some of the stars."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)[:-2]})

    def block(self, *index: int) -> np.ndarray:
        """Covariance of some coefficients, shape (n, k, k)."""
        return self.covariance[:, index][:, :, index]

    @property
    def motion_covariance(self) -> np.ndarray:
        """Covariance of the velocity, shape (n, 2, 2)."""
        return self.block(1, self.degree + 2)

    @property
    def position_error(self) -> np.ndarray:
        """Standard errors of x and y, shape (n, 2)."""
        return np.sqrt(np.diagonal(self.block(0, self.degree + 1), axis1=1, axis2=2))

    @property
    def motion_error(self) -> np.ndarray:
        """Standard errors of the velocity, shape (n, 2)."""
        return np.sqrt(np.diagonal(self.motion_covariance, axis1=1, axis2=2))

    def at(self, epoch: Any) -> tuple[np.ndarray, np.ndarray]:
        """Positions at an epoch along the fitted motion, and their errors.

        Returns
        -------
        position, error : ndarray, shape (n, 2)
        """
        k = self.degree + 1
        dt = epoch - self.t0
        basis = np.stack([dt**r / max(r, 1) for r in range(k)], -1)  # 1, dt, dt²/2
        out, err = np.empty((2, self.t0.size)), np.empty((2, self.t0.size))
        for axis in (0, 1):
            rows = slice(axis * k, axis * k + k)
            out[axis] = np.sum(self.coefficients[:, rows] * basis, 1)
            err[axis] = np.sqrt(np.einsum("ni,nij,nj->n", basis, self.covariance[:, rows, rows], basis))
        return out.T, err.T


def _run(data, settings):
    """Fit the stars of one chunk; the arrays of `MotionFits`."""
    n, n_epochs = data.x.shape
    q = 2 * (settings.degree + 1) + int(settings.parallax)
    out = Results(
        model=np.full(n, -1),
        t0=np.full(n, np.nan),
        coefficients=np.full((n, q), np.nan),
        covariance=np.full((n, q, q), np.nan),
        elpd=np.full((n, N_CODES), np.nan),
        chi2_loo=np.full((n, 2), np.nan),
        theta=np.full((n, 2, 2), np.nan),
        loo_mean=np.full((n, 2, n_epochs), np.nan),
        loo_error=np.full((n, 2, n_epochs), np.nan),
    )
    data = data._replace(use=data.use.copy())
    fit_paths(data, settings, out)
    return out._asdict() | {"used": data.use, "doubt": np.full((n, 2), np.nan)}


@configured(FitMotionsConfig)
def fit_motions(
    t: Any, x: Any, y: Any, x_err: Any, y_err: Any, *, config, executor: Any = None, progress: bool = False
) -> MotionFits:
    """Fit motions to stars measured at many epochs, and choose each star's kinematic model.

    Parameters
    ----------
    t : ndarray, shape (n_epochs,)
        Julian years.

    x, y, x_err, y_err : ndarray, shape (n_stars, n_epochs)
        Positions on the plane and standard errors, mas; NaN where a star was not found. Values without a
        finite positive error are left out.

    {options}

    executor : `concurrent.futures.Executor`, optional
        Chunks of stars go to it; results do not depend on it.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `MotionFits`

    Notes
    -----
    Methods: y ~ N(H β, K_sys + diag(σ²)) with the polynomial projected out; hyper-parameters by maximum
    marginal likelihood. Priors and bounds, this project's choice: ln A normal about ln of the residuals'
    scatter with sd 2, A between 0.02 σ and five times the largest residual; ln τ normal about the middle of
    [ln(shortest gap/2), ln(baseline)] with half its width as sd, and inside it; the confusion length
    between σ (or half a step of the star's motion) and twice the star's path. With a parallax,
    hyper-parameters are found with one parallax per axis, the final solution with one for both. The errors
    of x and y at one epoch are taken as uncorrelated.

    With "auto", and without a parallax, motions and their covariances are averages over the systematics that
    the field makes likely (`~jwst_hpastrom.motion.star_fits.field_systematics.marginal.marginalize`), and
    over which measurements are wrong where a star has few, not those of the chosen model at its best
    hyper-parameters, which are too certain where time and group coincide; ``model``, ``theta`` and the
    leave-one-out columns remain the chosen model's.
    """
    kinematics, search, known = config.kinematics, config.search, config.context
    t = np.ascontiguousarray(t, float)
    x, y, ex, ey = (np.ascontiguousarray(np.atleast_2d(a), float) for a in (x, y, x_err, y_err))
    if x.shape[1] != t.size:
        raise ParameterError(f"{x.shape[1]} columns of positions", f"{t.size}, one an epoch")
    with np.errstate(invalid="ignore"):
        good = np.isfinite(x + y + ex + ey) & (ex > 0) & (ey > 0)
    use = good if known.use is None else good & known.use
    group = np.arange(t.size) if known.group is None else np.unique(known.group, return_inverse=True)[1]
    parallax = known.factors is not None
    factors = np.ascontiguousarray(known.factors, float) if parallax else np.zeros((2, t.size))
    names = _names(kinematics.models, group)
    settings = _settings(names, kinematics, search, parallax)

    def job(rows, use=use):
        extra = np.zeros((0, 2, 1, 1))
        if known.extra_covariance is not None and len(x):
            extra = np.ascontiguousarray(known.extra_covariance[rows], float)
            extra = extra if extra.any() else extra[:0]
        data = (a[rows] for a in (x, y, ex, ey))
        return Measurements(t, *data, extra, use[rows], group.astype(np.int64), factors)

    chunks = [slice(first, first + search.chunk) for first in range(0, max(len(x), 1), search.chunk)]
    joined = _joined([(job(rows), settings) for rows in chunks], executor, progress)
    fits = MotionFits(**joined, degree=settings.degree, has_parallax=parallax)
    if kinematics.models != "auto" or parallax:
        return fits
    measured = t, np.stack([x, y]), np.stack([ex, ey])
    field = {
        "names": names, "group": group, "extra": known.extra_covariance, "brightness": known.brightness,
        "min_epochs": search.min_epochs_models, "executor": executor,
    }  # fmt: skip
    return _with_the_field(
        fits, measured, use, lambda *a: _run(job(*a), settings._replace(outlier_sigma=0.0)), field
    )


def _joined(jobs, executor, progress):
    """Return the results of `_run` of all chunks together."""
    if executor is None:
        results = (_run(*job) for job in jobs)
    else:
        futures = [executor.submit(_run, *job) for job in jobs]
        results = (f.result() for f in futures)
    bar = tqdm(results, total=len(jobs), desc="motions", unit="chunk", disable=None if progress else True)
    parts = list(bar)
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _with_the_field(fits, measured, use, fit, field):
    """Return the fits with what the field's systematics say of measurements that count, and of motions."""
    use, choices = reconsidered(fits, measured, use, **field)
    again = np.flatnonzero((use != fits.used).any(1))
    if again.size:
        for name, values in fit(again, use).items():
            getattr(fits, name)[again] = values
    return marginalize(fits, measured, choices=choices, **field)


def _names(models, group):
    """Names of the models that compete."""
    names = MODEL_SETS.get(models, models) if isinstance(models, str) else tuple(models)
    if isinstance(names, str) or any(n not in MODEL_CODES for n in names):
        raise ParameterError(
            f"models={models}", f"one of {', '.join(MODEL_SETS)}, or of {', '.join(MODEL_CODES)}"
        )
    # A group an epoch is the additive error: nothing to be learned from it.
    if np.unique(group).size == group.size:
        names = tuple(n for n in names if n != "group")
    return names


def _settings(names, kinematics, search, parallax):
    """What the kernels need to know."""
    test = search.outlier_model or ("group" if "group" in names else "poly")
    return FitSettings(
        degree=2 if kinematics.acceleration else 1,
        parallax=parallax,
        codes=np.array([MODEL_CODES[n] for n in names if n != "poly"], np.int64),
        test=MODEL_CODES[test],
        outlier_sigma=float(kinematics.outlier_sigma),
        margin=elpd_margin(kinematics.probability),
        group_margin=elpd_margin(kinematics.group_probability),
        min_epochs_models=int(search.min_epochs_models),
        n_starts=int(search.n_starts),
    )
