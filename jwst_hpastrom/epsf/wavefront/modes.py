"""Derivatives of a library's ePSFs by the wavefront, and the ePSFs of a changed wavefront.

They are those of a model of the optics whose wavefront is found from the library itself (this project's
choice).
"""

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from jwst_hpastrom.epsf.kernels.spline import PAD
from jwst_hpastrom.epsf.library import NORMALIZATION_RADIUS, EPSFLibrary
from jwst_hpastrom.epsf.resampling import spline_coefficients
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.epsf.wavefront.phase_retrieval import COUPLING, DIFFUSION, Wavefront, retrieve
from jwst_hpastrom.epsf.wavefront.unfiltered import Unfiltered
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.instrument import INSTRUMENTS, filter_of, nominal_scale

__all__ = ["FARTHEST", "FOUND", "LINEAR", "Modes", "modes_of", "off_center"]

log = logging.getLogger("stpipe.hpastrom.epsf")

POOR_OPTICS = 0.03  # of the light: with a model that is 4 % off, drifts are followed that are none
LINEAR = 6.0  # nm RMS: up to here the change of the ePSF follows from its derivatives
FARTHEST = 60.0  # nm RMS: JWST's mirrors are aligned anew before they are as far off
SMALL_PHASE = 1 / 3  # rad RMS: beyond, the change of the ePSF is no longer a small one
WAVES, SHIFT = slice(1, 1 + MODES), slice(1 + MODES, 3 + MODES)  # derivatives of `Optics.image`
BLUR = slice(3 + MODES, 5 + MODES)
CACHED, FOUND = "_wavefront_modes", "_wavefront"  # names under which a library keeps them


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
        nm : ndarray, shape (modes,)
            Coefficients of Zernikes 4 to 15, nm RMS.

        library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

        Returns
        -------
        `~jwst_hpastrom.epsf.library.EPSFLibrary`
        """
        if not np.any(nm):
            return library
        if np.sqrt(np.square(nm).sum()) < LINEAR:
            return self._slightly_changed(nm, library)
        delta = [self._image(k, nm) - base for k, (_, base, _) in enumerate(self._bases)]
        return library.perturbed(np.array(delta), x=self.x, y=self.y)

    def _slightly_changed(self, nm, library):
        """Change a library by the derivatives; its splines, too, without filtering them anew."""
        delta = np.tensordot(nm, [m.data for m in self.libraries], 1)
        share = np.kron(_hats(self.y, library.y), _hats(self.x, library.x))
        volumes = EPSFLibrary(delta, self.x, self.y, library.oversampling).volumes()
        volumes = (library.volumes() + share @ volumes)[:, None, None]
        spline = spline_coefficients(delta, library.knots // library.oversampling, PAD)
        new = replace(library, data=(library.data + np.tensordot(share, delta, 1)) / volumes)
        coefficients = (library.coefficients + np.tensordot(share, spline, 1)) / volumes
        new.__dict__.update(knots=library.knots, coefficients=coefficients)  # as cached properties
        return new

    def changed_to(self, other, library):
        """Return the library with the change of the model's ePSFs to those of other optics.

        Parameters
        ----------
        other : `Modes`
            At the same field positions, as from `moved`.

        library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

        Returns
        -------
        `~jwst_hpastrom.epsf.library.EPSFLibrary`
        """
        delta = [new - old for (_, new, _), (_, old, _) in zip(other._bases, self._bases, strict=True)]
        return library.perturbed(np.array(delta), x=self.x, y=self.y)

    @property
    def farthest(self):
        """Largest RMS of a change that is taken for one of the wavefront, nm."""
        return min(FARTHEST, SMALL_PHASE * 1e3 * self.optics.wavelength / (2 * np.pi))

    def model(self, library):
        """Return the library with the model's ePSFs in place of its own, at its field positions."""
        data = [self._centered(self.wavefront.at(a, b)) for b in library.y for a in library.x]
        return replace(library, data=np.array(data))

    def moved(self, nm, blur=(0.0, 0.0)):
        """Return those about another wavefront and blur.

        Parameters
        ----------
        nm : ndarray, shape (3, modes)
            Changes of its coefficients, linear over the field.

        blur : sequence of float
            Changes of diffusion and coupling, and of the light (`Optics.of_light`).
        """
        now = self.optics.diffusion, self.optics.coupling
        limits = zip((DIFFUSION, COUPLING), now, blur[:2], strict=True)
        optics = self.optics.blurred(*(np.clip(a + b, *limit) for limit, a, b in limits))
        if np.any(blur[2:]):
            optics = optics.of_light(blur[2:])
        return replace(self, optics=optics, wavefront=replace(self.wavefront, nm=self.wavefront.nm + nm))

    def _image(self, k, nm):
        """Centered and normalized ePSF of a changed wavefront at a field position."""
        base, _, inverse = self._bases[k]
        return self._centered(base + nm, inverse)

    def _centered(self, nm, inverse=None):
        step, shift = self.optics.oversampling, np.zeros(2)
        inverse = self._bases[0][2] if inverse is None else inverse
        transfer = self.optics.transfer(nm)
        away = np.unique([step // 2, step - step // 2])  # that the center depends on, as in `off_center`
        points = round(self.optics.half_width * step) + np.r_[-away[::-1], 0, away]
        for _ in range(2):
            shift = shift - inverse @ off_center(self.optics.part(transfer, shift, points), away.size + 1)
        return _normalized(self.optics.part(transfer, shift, slice(None)), step)

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
            inverse = np.linalg.inv(off_center(images[SHIFT], step))
            shift = -inverse @ off_center(images[0], step)
            out.append((nm, _normalized(self.optics.image(nm, shift), step), inverse))
        return out

    @cached_property
    def libraries(self):
        """Changes per nm that keep the ePSF's center and sum: each mode as a library."""
        return self._changes(lambda _, images: images[WAVES])

    @cached_property
    def blurs(self):
        """The same by diffusion (1/pixel), pixels' coupling, and what `Optics.of_light` changes.

        Of a filter that is scale and width of the band, which stars' colors and the model's few waves make
        another one.
        """
        return self._changes(lambda nm, images: [*images[BLUR], *self.optics.by_light(images[0], nm)])

    @cached_property
    def segments(self):
        """The same per nm of the segments, in the middle of the field; of a filter none."""
        nm = self.wavefront.at(self.x.mean(), self.y.mean())
        by_segments = self.optics.by_segments(nm)
        if not len(by_segments):
            return []
        step = self.optics.oversampling
        kept = _gauged(self.optics.image(nm, derivatives=True), np.array(by_segments), step)
        return [EPSFLibrary(m[None], [self.x.mean()], [self.y.mean()], step) for m in kept]

    def _changes(self, wanted):
        step = self.optics.oversampling
        each = [_gauged(images, np.array(wanted(nm, images)), step) for nm, images in self._derivatives]
        return [EPSFLibrary(m, self.x, self.y, step) for m in np.swapaxes(each, 0, 1)]


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
    found = _wavefront_of(library)
    if found is None or found.misfit > POOR_OPTICS:
        return None
    optics = replace(found.optics, half_width=library.half_width)
    x, y = (np.unique(p[[0, p.size // 2, -1]]) for p in (library.x, library.y))
    return Modes(found, optics, x, y)


def _wavefront_of(library):
    name, instrument = (str(library.meta.get(key)) for key in ("filter", "instrument"))
    known = INSTRUMENTS.get(instrument)
    free = known is not None and known.light is not None and name == known.unfiltered
    try:
        band = known.light if free else filter_of(name, instrument)
        pixel = nominal_scale(library.meta)
    except HPAstromError:
        return None
    if not pixel or not band.wavelength:
        return None
    kind = Unfiltered if free else Optics
    found = library.__dict__[FOUND] = retrieve(library, band.wavelength, band.width, pixel, kind)
    log.info(
        "wavefront of the ePSF's optics: %.0f nm RMS%s; the model differs by %.1f %% of the light",
        np.sqrt(np.square(found.nm[0]).sum()), found.optics.light, 100 * found.misfit,
    )  # fmt: skip
    return found


def _hats(nodes, at):
    """Weights of nodes in linear interpolation, a row for each place."""
    return np.array([np.interp(at, nodes, one) for one in np.eye(nodes.size)]).T


def _gauged(images, wanted, step):
    """Some derivatives, but so that they keep the ePSF's center and its sum within 5 pixels."""
    psi, by_shift = images[0], images[SHIFT]
    shifts = np.linalg.solve(off_center(by_shift, step), off_center(wanted, step))
    kept = wanted - np.tensordot(shifts.T, by_shift, 1)
    inside = _inside(psi.shape[-1], step)
    volume = psi[inside].sum()
    return (kept - kept[:, inside].sum(1)[:, None, None] / volume * psi) * step**2 / volume


def off_center(image, step):
    """ψ(½, 0) - ψ(-½, 0), and the same in y: 0 for a centered ePSF; linear in it.

    Of an odd number of samples a pixel none is at ½: the mean of those on either side is.
    """
    middle, out = image.shape[-1] // 2, 0.0
    for half in (step // 2, step - step // 2):
        low, high = middle - half, middle + half
        x = image[..., middle, high] - image[..., middle, low]
        out = out + 0.5 * np.stack([x, image[..., high, middle] - image[..., low, middle]])
    return out


def _inside(n, step):
    offset = (np.arange(n) - n // 2) / step
    return np.hypot(*np.meshgrid(offset, offset)) <= NORMALIZATION_RADIUS + 1e-9


def _normalized(image, step):
    return image * step**2 / image[_inside(image.shape[-1], step)].sum()
