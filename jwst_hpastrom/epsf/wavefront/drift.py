"""What a drift of the telescope's wavefront does to the ePSFs of a library, and how far it has drifted.

From one exposure to the next the wavefront changes by a few nanometers. To first order the ePSF changes by
its derivatives by a handful of Zernike coefficients, times the same coefficients in all stars: a few dozen
bright stars tell those, while they cannot tell an image of the change. The derivatives are those of a model
of the optics whose wavefront is found from the library itself (this project's choice).
"""

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from jwst_hpastrom.epsf.image import bright_boxes
from jwst_hpastrom.epsf.library import NORMALIZATION_RADIUS, EPSFLibrary
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.epsf.wavefront.phase_retrieval import Wavefront, retrieve
from jwst_hpastrom.epsf.weights import BRIGHT_PIXEL, MEAN_ABSOLUTE, MOST_STARS, NO_STAR
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.instrument import filter_of, nominal_scale

__all__ = ["Drift", "Modes", "drift_of", "field_equations", "follow", "modes_of", "most_likely"]

log = logging.getLogger("stpipe.hpastrom.epsf")

POOR_OPTICS = 0.03  # of the light: with a model that is 4 % off, drifts are followed that are none
REACH = 2  # pixels: half the box around a star that tells
LEAST_STARS = 20
FLAT = 0.005  # of a pixel's light: the flat field's errors, and those of the library that no mode takes
AMPLITUDES = np.geomspace(0.1, 30.0, 21)  # nm: standard deviations of the drift that are tried
FARTHEST = 60.0  # nm RMS: beyond, another misfit of the ePSF is taken for a drift, at long waves
LINEAR = 6.0  # nm RMS: up to here the change of the ePSF follows from its derivatives
CLIP = 4.0  # standard deviations beyond which a pixel counts less
SURE = 3.0  # of ln(evidence) from which on a drift is believed
WAVES, SHIFT = slice(1, 1 + MODES), slice(1 + MODES, 3 + MODES)  # derivatives of `Optics.image`
CACHED = "_wavefront_modes"  # name under which a library keeps them


@dataclass(frozen=True, eq=False)
class Modes:
    """Derivatives of ePSFs by the coefficients of the wavefront.

    Attributes
    ----------
    wavefront : `~jwst_hpastrom.epsf.wavefront.phase_retrieval.Wavefront`
        Of the library's optics.

    optics : `~jwst_hpastrom.epsf.wavefront.optics.Optics`
        On the library's grid.

    x, y : ndarray
        Field positions, 0-based pixels.
    """

    wavefront: Wavefront
    optics: Optics
    x: np.ndarray
    y: np.ndarray

    def change(self, nm, library):
        """Return the library with a change of the wavefront.

        Parameters
        ----------
        nm : ndarray, shape (modes,) or (3, modes)
            Coefficients of Zernikes 4 to 15, nm RMS; or those in the middle of the field, and their change
            from there to half a span in x and in y.

        library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

        Returns
        -------
        `~jwst_hpastrom.epsf.library.EPSFLibrary`
        """
        if not np.any(nm):
            return library
        if np.ndim(nm) == 2:
            places = [(a, b) for b in self.y for a in self.x]
            delta = [
                self._image(k, self.wavefront.weights(*places[k]) @ nm) - base
                for k, (_, base, _) in enumerate(self._bases)
            ]
        elif np.sqrt(np.square(nm).sum()) < LINEAR:
            delta = sum(c * m.data for c, m in zip(nm, self.libraries, strict=True))
        else:
            delta = [self._image(k, nm) - base for k, (_, base, _) in enumerate(self._bases)]
        return library.perturbed(np.array(delta), x=self.x, y=self.y)

    def model(self, library):
        """Return the library with the model's ePSFs in place of its own, at its field positions."""
        data = [self._centered(self.wavefront.at(a, b)) for b in library.y for a in library.x]
        return replace(library, data=np.array(data))

    def moved(self, nm):
        """Return those about a wavefront changed by coefficients (3, modes), linear over the field."""
        return replace(self, wavefront=replace(self.wavefront, nm=self.wavefront.nm + nm))

    def _image(self, k, nm):
        """Centered and normalized ePSF of a changed wavefront at a field position."""
        base, _, inverse = self._bases[k]
        return self._centered(base + nm, inverse)

    def _centered(self, nm, inverse=None):
        step, shift = self.optics.oversampling, np.zeros(2)
        inverse = self._bases[0][2] if inverse is None else inverse
        for _ in range(3):
            image = self.optics.image(nm, shift)
            shift = shift - inverse @ _off_center(image, step)
        return _normalized(image, step)

    @cached_property
    def _derivatives(self):
        """Coefficients, and the ePSF with all its derivatives, at each field position."""
        each = [self.wavefront.at(a, b) for b in self.y for a in self.x]
        return [(nm, self.optics.image(nm, derivatives=True)) for nm in each]

    @cached_property
    def _bases(self):
        """Coefficients, ePSF, and shift for what the center is off, at each field position."""
        step, out = self.optics.oversampling, []
        for nm, images in self._derivatives:
            inverse = np.linalg.inv(_off_center(images[SHIFT], step))
            shift = -inverse @ _off_center(images[0], step)
            out.append((nm, _normalized(self.optics.image(nm, shift), step), inverse))
        return out

    @cached_property
    def libraries(self):
        """Changes per nm that keep the ePSF's center and sum: each mode as a library."""
        each = [_gauged(images, self.optics.oversampling) for _, images in self._derivatives]
        return [EPSFLibrary(m, self.x, self.y, self.optics.oversampling) for m in np.swapaxes(each, 0, 1)]


def modes_of(library):
    """Return the derivatives of a library's ePSFs by the wavefront, or None where no model tells them.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        Its metadata name instrument, detector and filter.

    Returns
    -------
    `Modes` or None
    """
    known = library.__dict__  # as a cached property: it goes along to workers
    if CACHED not in known:
        known[CACHED] = _modes_of(library)
    return known[CACHED]


def _modes_of(library):
    try:
        band = filter_of(str(library.meta.get("filter")), str(library.meta.get("instrument")))
        pixel = nominal_scale(library.meta)
    except HPAstromError:
        return None
    if not pixel or not band.wavelength:
        return None
    found = retrieve(library, band.wavelength, band.width, pixel)
    log.info(
        "wavefront of the ePSF's optics: %.0f nm RMS; the model differs by %.1f %% of the light",
        np.sqrt(np.square(found.nm[0]).sum()), 100 * found.misfit,
    )  # fmt: skip
    if found.misfit > POOR_OPTICS:
        return None
    optics = replace(found.optics, half_width=library.half_width)
    x, y = (np.unique(p[[0, -1]]) for p in (library.x, library.y))
    return Modes(found, optics, x, y)


def _gauged(images, step):
    """Derivatives by the wavefront that keep the ePSF's center and its sum within 5 pixels."""
    psi, by_nm, by_shift = images[0], images[WAVES], images[SHIFT]
    shifts = np.linalg.solve(_off_center(by_shift, step), _off_center(by_nm, step))
    kept = by_nm - np.tensordot(shifts.T, by_shift, 1)
    inside = _inside(psi.shape[-1], step)
    volume = psi[inside].sum()
    return (kept - kept[:, inside].sum(1)[:, None, None] / volume * psi) * step**2 / volume


def _off_center(image, step):
    """ψ(½, 0) - ψ(-½, 0), and the same in y: 0 for a centered ePSF; linear in it."""
    middle, half = image.shape[-1] // 2, step // 2
    low, high = middle - half, middle + step - half
    x = image[..., middle, high] - image[..., middle, low]
    return np.stack([x, image[..., high, middle] - image[..., low, middle]])


def _inside(n, step):
    offset = (np.arange(n) - n // 2) / step
    return np.hypot(*np.meshgrid(offset, offset)) <= NORMALIZATION_RADIUS + 1e-9


def _normalized(image, step):
    return image * step**2 / image[_inside(image.shape[-1], step)].sum()


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


def drift_of(modes, library, x, y, flux, left, weight, i, j):
    """Find the drift from the residuals of bright stars, free of what position and flux take up.

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

    Returns
    -------
    `Drift`
    """
    free = _free_residuals(modes, library, x, y, flux, left, weight, i, j)
    if free is None:
        return Drift(np.zeros(MODES), n_stars=len(x))
    residual, changes, keep, _ = free
    n = len(residual)
    nm, evidence = _solve(residual, changes, keep)
    half = np.arange(n) % 2 == 0
    before = after = 0.0
    for one in (half, ~half):
        told, _ = _solve(residual[one], changes[one], keep[one])
        other = residual[~one], changes[~one], keep[~one]
        before += np.sum(other[2] * other[0] ** 2)
        after += np.sum(other[2] * (other[0] - other[1] @ told) ** 2)
    gain = 1 - after / max(before, 1e-300)
    sure = evidence > SURE and before - after > SURE
    return Drift(nm if sure else np.zeros(MODES), float(evidence), float(gain), n)


def field_equations(modes, library, x, y, flux, left, weight, i, j):
    """Normal equations of a change of the wavefront that is linear over the field.

    Parameters
    ----------
    modes, library, x, y, flux, left, weight, i, j
        As in `drift_of`.

    Returns
    -------
    normal : ndarray, shape (3 modes, 3 modes)
        Of the changes in the middle, and from there to half a span in x and in y.

    right : ndarray, shape (3 modes,)
        Both zero where too few stars tell.
    """
    free = _free_residuals(modes, library, x, y, flux, left, weight, i, j)
    if free is None:
        return np.zeros((3 * MODES, 3 * MODES)), np.zeros(3 * MODES)
    residual, changes, keep, (x, y) = free
    u, v = (np.stack([x, y]) - modes.wavefront.middle[:, None]) / modes.wavefront.span[:, None]
    over_field = np.stack([np.ones(x.size), u, v], 1)[:, None, :, None] * changes[:, :, None]
    return _normal(residual, over_field.reshape(*residual.shape, -1), keep)


def _free_residuals(modes, library, x, y, flux, left, weight, i, j):
    """Residuals and their changes by the modes in units of the errors, free of position and flux.

    Also the weights that pixels keep, and where the stars are; None where there are too few.
    """
    noise = np.where(weight > 0, MEAN_ABSOLUTE / np.sqrt(np.maximum(weight, 1e-30)), 0)
    off = np.sum(np.where(weight > 0, np.abs(left), 0) - noise, axis=(1, 2))
    star = off < NO_STAR * np.asarray(flux, float)
    x, y, flux, left, weight, i, j = (a[star] for a in (x, y, flux, left, weight, i, j))
    n = x.size
    if n < LEAST_STARS:
        return None
    at = [np.asarray(p, float)[:, None, None] for p in (x, y)]
    psi, by_x, by_y = library.evaluate(i - at[0], j - at[1], *at, gradient=True)
    z = np.asarray(flux, float)[:, None, None]
    variance = 1 / np.maximum(weight, 1e-30) + np.square(FLAT * z * psi)
    root = np.where(weight > 0, 1 / np.sqrt(variance), 0)
    each = [m.evaluate(i - at[0], j - at[1], *at) for m in modes.libraries]
    own = np.stack([psi, by_x, by_y], -1).reshape(n, -1, 3) * (root * z).reshape(n, -1, 1)
    basis, _ = np.linalg.qr(own)
    b = np.stack([left / z, *each], -1).reshape(n, -1, 1 + len(each)) * (root * z).reshape(n, -1, 1)
    b -= basis @ (basis.transpose(0, 2, 1) @ b)
    residual, changes = b[..., 0], b[..., 1:]
    keep = np.ones(residual.shape)
    for _ in range(3):  # pixels beyond the limit, as of cosmic rays, count less
        nm, *_ = _solve(residual, changes, keep)
        off = np.abs(residual - changes @ nm)
        noise = max(1.0, np.median(off[root.reshape(n, -1) > 0]) / 0.6745)
        keep = np.minimum(1.0, CLIP * noise / np.maximum(off, 1e-30)) / noise**2
    return residual, changes, keep, (np.asarray(x, float), np.asarray(y, float))


def _normal(residual, changes, keep):
    changes = changes.reshape(-1, changes.shape[-1])
    weighted = changes * keep.reshape(-1, 1)
    return weighted.T @ changes, weighted.T @ residual.ravel()


def _solve(residual, changes, keep):
    return most_likely(*_normal(residual, changes, keep))


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
        What the stars were subtracted with.

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
    before = library if since is None else modes.change(since.nm, library)
    left = residual[j, i] - sky[rows][:, None, None]
    drift = drift_of(modes, before, x[rows], y[rows], flux[rows], left, pixels.weight[j, i], i, j)
    if since is not None:
        drift = replace(drift, nm=since.nm + drift.nm, evidence=since.evidence, gain=since.gain)
    if drift.rms > FARTHEST:
        log.warning(
            "a wavefront %.0f nm off would explain the ePSF's misfit: no drift, not followed", drift.rms
        )
        return replace(drift, nm=np.zeros(MODES), gain=0.0), library
    return drift, modes.change(drift.nm, library)
