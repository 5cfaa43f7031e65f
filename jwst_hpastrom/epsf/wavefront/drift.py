"""What a drift of the telescope's wavefront does to the ePSFs of a library, and how far it has drifted.

From one exposure to the next the wavefront changes by a few nanometers. To first order the ePSF changes by
its derivatives by a handful of Zernike coefficients, times the same coefficients in all stars: a few dozen
bright stars tell those, while they cannot tell an image of the change. The derivatives are those of a model
of the optics whose wavefront is found from the library itself (this project's choice).
"""

import logging
from dataclasses import dataclass, replace

import numpy as np

from jwst_hpastrom.epsf.brighter_fatter import shifted_by_charge
from jwst_hpastrom.epsf.image import bright_boxes
from jwst_hpastrom.epsf.wavefront.modes import FARTHEST, LINEAR, modes_of
from jwst_hpastrom.epsf.wavefront.optics import MODES
from jwst_hpastrom.epsf.weights import BRIGHT_PIXEL, MEAN_ABSOLUTE, MOST_STARS, NO_STAR

__all__ = ["Drift", "drift_of", "field_equations", "follow", "most_likely", "solve_field"]

log = logging.getLogger("stpipe.hpastrom.epsf")

REACH = 2  # pixels: half the box around a star that tells
LEAST_STARS = 5  # their pixels are ten times as many as modes, and halves of them are asked
FLAT = 0.005  # of a pixel's light: the flat field's errors, and those of the library that no mode takes
AMPLITUDES = np.geomspace(0.1, FARTHEST / np.sqrt(MODES), 21)  # nm: the drift's standard deviations tried
LIKELY = 0.03, 0.1, 0.3, 1.0  # times the errors a priori, where a library says what its blur is
CHARGE = 1.0  # a priori: shift of the pixels' boundaries by charge, pixels per million DN
CLIP = 4.0  # standard deviations beyond which a pixel counts less
SURE = 3.0  # of ln(evidence) from which on a drift is believed
SURE_BLUR = 10.0  # the same of a blur or band that a given library lacks: wrong ones had 3 and more
FAR = 3.0  # standard errors beyond the farthest wavefront from which on a warning names one
SHARES = 1.0, 0.5, 0.25  # of a drift that are tried
TRUE = 0.5  # of the gain that the derivatives foretell: less, and they do not hold so far


@dataclass(frozen=True)
class Drift:
    """Change of the wavefront from a library to an exposure.

    Attributes
    ----------
    nm : ndarray, shape (modes,)
        Coefficients of Zernikes 4 to 15; 0 where none is beyond doubt.
    evidence : float
        Logarithm of the odds for it.
    gain : float
        Share of the χ² of one half of the stars that the drift of the other half takes.

    n_stars : int
    """

    nm: np.ndarray
    evidence: float = 0.0
    gain: float = 0.0
    n_stars: int = 0

    @property
    def found(self):
        """Whether there is any."""
        return bool(np.any(self.nm))

    @property
    def rms(self):
        """Of the change over the pupil, nm."""
        return float(np.sqrt(np.square(self.nm).sum()))

    def __str__(self):
        return (
            f"the wavefront is {self.rms:.1f} nm off the ePSF's (Zernikes 4-8: "
            f"{' '.join(f'{c:.1f}' for c in self.nm[:5])}), as {self.n_stars} bright stars tell; "
            f"followed, χ² falls by {100 * self.gain:.1f} %"
        )


def drift_of(modes, library, x, y, flux, left, weight, i, j, since=None):
    """Find the drift from the residuals of bright stars, free of what position and flux take up.

    One is believed where the evidence for it is beyond doubt, the blur of the detector not known; where it
    lowers the χ² of stars that have not told it; and where the changed ePSF lowers χ² indeed, as its
    derivatives foretell. At long waves these hardly change the ePSF, and any misfit of it would be explained
    by some large wavefront: one beyond `Modes.farthest` is none.

    Parameters
    ----------
    modes : `Modes`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        That the stars were fitted with.

    x, y, flux : ndarray, shape (n,)
        The stars.

    left, weight : ndarray, shape (n, k, k)
        Pixels less sky and models of all stars, and 1/σ², 0 for those that must not count.

    i, j : ndarray of int, shapes (n, 1, k) and (n, k, 1)
        Columns and rows of the pixels.

    since : ndarray, shape (modes,), optional
        Drift that the library follows already; 0 by default.

    Returns
    -------
    `Drift`
        From the library of no drift; ``since`` where the stars tell no more.
    """
    since = np.zeros(MODES) if since is None else since
    told = _told(modes, library, x, y, flux, left, weight, i, j)
    if told is None:
        return Drift(since, n_stars=len(x))
    n = len(told.residual)
    nm, evidence = told.solve()
    half = np.arange(n) % 2 == 0
    gain = sum(told.of(~one).foretold(told.of(one).solve()[0]) for one in (half, ~half))
    sure = min(evidence, gain) > SURE
    nm = since + (_as_far_as_true(told, modes, library, nm, since) if sure else 0.0)
    if (off := np.linalg.norm(nm)) > modes.farthest:
        error = told.error(nm / off)
        log.log(
            logging.WARNING if off > modes.farthest + FAR * error else logging.INFO,
            "a wavefront %.0f +- %.0f nm off would explain the ePSF's misfit: no drift, not followed",
            off, error,
        )  # fmt: skip
        nm = np.zeros(MODES)
    return Drift(nm, float(evidence), float(gain / max(told.chi2, 1e-300)), n)


def _as_far_as_true(told, modes, library, nm, since):
    """As much of a drift, beyond one that is followed, as lowers χ² indeed; 0 where none does."""
    for share in SHARES:
        more, foretold = share * nm, told.foretold(share * nm)
        if np.linalg.norm(since + more) < LINEAR:
            fall = foretold
        else:
            fall = told.fall(modes.change(since, library), modes.change(since + more, library))
        if fall > max(SURE, TRUE * foretold):
            return more
    return np.zeros(MODES)


def field_equations(modes, library, x, y, flux, left, weight, i, j, charge=None):
    """Normal equations of a change of the wavefront that is linear over the field, and of the blur.

    Parameters
    ----------
    modes, library, x, y, flux, left, weight, i, j
        As in `drift_of`.

    charge : float or ndarray, shape (ny, nx), optional
        DN at the ramp's end for a rate of one, where what charge does is not undone: it looks like a blur.

    Returns
    -------
    normal : ndarray, shape (3 modes + blurs + 1, 3 modes + blurs + 1)
        Of the changes in the middle, and from there to half a span in x and in y; of diffusion, coupling and
        the light (`Modes.blurs`), and of the segments where these are told; of the shift of the pixels'
        boundaries by charge, pixels per million DN.

    right : ndarray, shape (3 modes + blurs + 1,)
        Both zero where too few stars tell.
    """
    told = _told(modes, library, x, y, flux, left, weight, i, j, over_field=True)
    n = 3 * MODES + len(modes.optics.field_errors) + 1
    if told is None:
        return np.zeros((n, n)), np.zeros(n)
    over_field = modes.wavefront.weights(told.x, told.y)[:, None, :, None] * told.changes[:, :, None]
    each = over_field.reshape(*told.residual.shape, -1), told.blurs, told.pushed(library, charge)
    all_ = np.concatenate(each, -1).reshape(-1, n)
    weighted = all_ * told.keep.reshape(-1, 1)
    return weighted.T @ all_, weighted.T @ told.residual.ravel()


def solve_field(normal, right, errors, *, likely=False):
    """Solve the equations of `field_equations`, or their sum over exposures.

    Parameters
    ----------
    normal, right : ndarray
        As from `field_equations`.

    errors : ndarray, shape (blurs,)
        To which diffusion, coupling and light are known a priori.

    likely : bool
        Give only a blur that is beyond doubt, with as much of these errors as has the largest evidence.
        Charge explains what it can, here as there.

    Returns
    -------
    nm : ndarray, shape (3, modes)
        Changes of the wavefront, for a blur that is known no better than that.

    blur : ndarray, shape (blurs,)
        Those that go with it, of diffusion, coupling and light.
    """
    errors = np.asarray(errors, float)
    nm, blur, _ = _with_blur(normal, right, errors)
    if likely:
        each = [_with_blur(normal, right, share * errors) for share in LIKELY]
        best = max(each, key=lambda one: one[2])
        none = _with_blur(normal, right, 0 * errors)[2]
        nm, blur = best[:2] if best[2] - none > SURE_BLUR else (nm, 0 * blur)
    return nm.reshape(3, -1), blur


def _with_blur(normal, right, errors):
    """Wavefront, blur of these errors a priori, and the logarithm of the odds for both and for charge."""
    k, prior = right.size - errors.size - 1, np.append(errors, CHARGE)
    across, own = prior[:, None] * normal[k:, :k], prior * right[k:]  # blurs in units of their errors
    inner = np.eye(prior.size) + prior[:, None] * normal[k:, k:] * prior
    taken = np.linalg.solve(inner, across)
    nm, odds = most_likely(normal[:k, :k] - across.T @ taken, right[:k] - taken.T @ own)
    blur = prior * np.linalg.solve(inner, own - across @ nm)
    odds += 0.5 * own @ np.linalg.solve(inner, own)
    return nm, blur[:-1], odds - 0.5 * np.linalg.slogdet(inner)[1]


@dataclass(frozen=True, eq=False)
class _Told:
    """What bright stars tell, a row a star, in units of the errors, free of position and flux."""

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray  # (n, 1, 1)
    residual: np.ndarray  # (n, pixels)
    changes: np.ndarray  # (n, pixels, modes): of the residuals with the wavefront, 1/nm
    blurs: np.ndarray  # (n, pixels, blurs): with the blur
    errors: np.ndarray  # (blurs,): of the blur a priori
    keep: np.ndarray  # (n, pixels): weights
    basis: np.ndarray  # (n, pixels, 3): of position and flux
    scale: np.ndarray  # (n, pixels): flux over error
    offsets: tuple  # of the pixels from the stars
    pixels: tuple  # their columns and rows

    def of(self, rows):
        """Return what some stars tell."""
        names = "x", "y", "residual", "changes", "blurs", "keep"
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def chi2(self):
        return np.sum(self.keep * self.residual**2)

    def equations(self):
        """Normal equations of the wavefront, for a blur that is known no better than a priori."""
        flat = [a.reshape(self.keep.size, -1) for a in (self.changes, self.residual, self.blurs)]
        changes, residual, blurs = (a * np.sqrt(self.keep).reshape(-1, 1) for a in flat)
        blur = blurs.T @ blurs + np.diag(1 / np.square(self.errors))
        free = changes - blurs @ np.linalg.solve(blur, blurs.T @ changes)
        return free.T @ changes, (free.T @ residual)[:, 0]

    def solve(self):
        return most_likely(*self.equations())

    def error(self, direction):
        """Standard error of the change along a direction, for wavefronts up to `FARTHEST` a priori."""
        normal = self.equations()[0] + np.eye(MODES) / AMPLITUDES[-1] ** 2
        return float(np.sqrt(direction @ np.linalg.solve(normal, direction)))

    def foretold(self, nm):
        """Fall of χ² as the derivatives tell it."""
        return self.chi2 - np.sum(self.keep * np.square(self.residual - self.changes @ nm))

    def pushed(self, library, charge):
        """Changes of the residuals with the shift of boundaries by charge, (n, pixels, 1)."""
        if charge is None:
            return np.zeros((*self.scale.shape, 1))
        gain = self.flux * shifted_by_charge(library, self.x, self.y, *self.pixels, charge)
        return self._in_errors(1e-6 * gain)

    def fall(self, old, new):
        """Fall of χ² from one library to another."""
        change = self._in_errors(new.evaluate(*self.offsets) - old.evaluate(*self.offsets))[..., 0]
        return self.chi2 - np.sum(self.keep * np.square(self.residual - change))

    def _in_errors(self, change):
        """Change of stars of flux one, in units of the errors, free of position and flux."""
        return _free(self.basis, change.reshape(*self.scale.shape, 1) * self.scale[..., None])


def _free(basis, values):
    return values - basis @ (basis.transpose(0, 2, 1) @ values)


def _told(modes, library, x, y, flux, left, weight, i, j, over_field=False):
    """What the stars tell; None where they are too few. What they have in common does not drift."""
    blurs, errors = modes.blurs, modes.optics.errors
    if over_field:
        blurs, errors = blurs + modes.segments, modes.optics.field_errors
    noise = np.where(weight > 0, MEAN_ABSOLUTE / np.sqrt(np.maximum(weight, 1e-30)), 0)
    off = np.sum(np.where(weight > 0, np.abs(left), 0) - noise, axis=(1, 2))
    star = off < NO_STAR * np.asarray(flux, float)
    x, y, flux, left, weight, i, j = (a[star] for a in (x, y, flux, left, weight, i, j))
    n = x.size
    if n < LEAST_STARS:
        return None
    x, y = (np.asarray(p, float) for p in (x, y))
    a, b = x[:, None, None], y[:, None, None]
    offsets = i - a, j - b, a, b
    psi, by_x, by_y = library.evaluate(*offsets, gradient=True)
    z = np.asarray(flux, float)[:, None, None]
    variance = 1 / np.maximum(weight, 1e-30) + np.square(FLAT * z * psi)
    scale = np.where(weight > 0, z / np.sqrt(variance), 0).reshape(n, -1)
    basis, _ = np.linalg.qr(np.stack([psi, by_x, by_y], -1).reshape(n, -1, 3) * scale[..., None])
    each = [m.evaluate(*offsets) for m in modes.libraries + blurs]
    free = _free(basis, np.stack([left / z, *each], -1).reshape(n, -1, 1 + len(each)) * scale[..., None])
    residual, changes, blurs = free[..., 0], free[..., 1 : 1 + MODES], free[..., 1 + MODES :]
    told = _Told(
        x, y, z, residual, changes, blurs, errors, np.ones(residual.shape), basis, scale, offsets, (i, j)
    )  # fmt: skip
    for _ in range(3):  # pixels beyond the limit, as of cosmic rays, count less
        off = np.abs(residual - changes @ told.solve()[0])
        noise = max(1.0, np.median(off[scale > 0]) / 0.6745)
        told = replace(told, keep=np.minimum(1.0, CLIP * noise / np.maximum(off, 1e-30)) / noise**2)
    return told


def most_likely(normal, right):
    """Coefficients with the prior that has the largest evidence, and the logarithm of its odds to none."""
    value, vector = np.linalg.eigh(normal)
    value, turned = np.maximum(value, 0), vector.T @ right
    prior = 1 / AMPLITUDES[:, None] ** 2
    odds = 0.5 * np.sum(turned**2 / (value + prior) - np.log1p(value / prior), axis=1)
    best = int(np.argmax(odds))
    return vector @ (turned / (value + prior[best])), float(max(odds[best], 0.0))


def follow(library, pixels, residual, x, y, flux, sky, since=None):
    """Return how far an exposure's wavefront is off a library's, and the library that follows it.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    pixels : `~jwst_hpastrom.epsf.fit.Pixels`
        The exposure.

    residual : ndarray, shape (ny, nx)
        The image with all stars subtracted.

    x, y, flux, sky : ndarray, shape (n,)
        The stars.

    since : `Drift`, optional
        That the stars were subtracted with.

    Returns
    -------
    drift : `Drift`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        The same where there is none.
    """
    peak = library.central_value(library.x.mean(), library.y.mean())
    rows, j, i = bright_boxes(pixels.weight, x, y, flux, peak, REACH, BRIGHT_PIXEL)
    rows, j, i = rows[:MOST_STARS], j[:MOST_STARS], i[:MOST_STARS]
    modes = modes_of(library) if rows.size >= LEAST_STARS else None
    if modes is None:
        return Drift(np.zeros(MODES)), library
    nm = None if since is None else since.nm
    before = library if since is None else modes.change(nm, library)
    left = residual[j, i] - sky[rows][:, None, None]
    stars = x[rows], y[rows], flux[rows]
    drift = drift_of(modes, before, *stars, left, pixels.weight[j, i], i, j, since=nm)
    if since is not None:
        drift = replace(drift, evidence=since.evidence, gain=since.gain)
    return drift, modes.change(drift.nm, library)
