"""The wavefront of a library's optics, found from its ePSFs."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics

__all__ = ["Wavefront", "retrieve"]

REACH = 5.0  # pixels from the star that are compared
FLOOR = 0.02  # of the peak: light below it weighs like that much
# a wavefront and its mirror image with the even terms' signs turned look alike: defocus may be taken positive
STARTS = ((30.0, 20.0, 20.0), (30.0, -20.0, 20.0), (30.0, 20.0, -20.0), (30.0, -20.0, -20.0))  # nm
FIRST_STEPS, STEPS, FIELD_STEPS = 3, 12, 5
# of the squared light per nm²: what keeps coefficients near where they start; 30 nm weigh like 0.1, 0.3 % of
# the light, the misfit of a model that fits
WEAK, STRONG = 1e-9, 1e-8
NEAR = 0.03  # of the light: a start that comes so near is not in a wrong valley
SETTLED = 1e-3  # of the χ²: smaller gains end the search
INWARD = 0.8  # of the way from the field's middle to its corners
DIFFUSION = (0.02, 0.8)  # pixels: limits
COUPLING = (0.0, 0.03)  # limits; 0.005 to 0.008 in JWST's detectors


@dataclass(frozen=True, eq=False)
class Wavefront:
    """A wavefront that varies linearly over the field.

    Attributes
    ----------
    nm : ndarray, shape (3, modes)
        Coefficients in the middle, and their change from there to half a span in x and in y.

    middle, span : ndarray, shape (2,)
        Of the field positions, pixels.

    optics : `~jwst_hpastrom.epsf.wavefront.optics.Optics`

    misfit : float
        RMS of the ePSF less the model in units of the ePSF's, weighted by its noise.
    """

    nm: np.ndarray
    middle: np.ndarray
    span: np.ndarray
    optics: Optics
    misfit: float

    def at(self, x, y):
        """Coefficients at a field position, shape (modes,)."""
        return self.weights(x, y) @ self.nm

    def weights(self, x, y):
        """Weights of the rows of ``nm`` at field positions, shape (..., 3)."""
        place = (np.stack([x, y], -1) - self.middle) / self.span
        return np.concatenate([np.ones((*place.shape[:-1], 1)), place], -1)


def retrieve(library, wavelength, width, pixel):
    """Find the wavefront by least squares between a model of the optics and the library's ePSFs.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    wavelength, width : float
        Of the band, µm.

    pixel : float
        Side of a pixel, arcsec.

    Returns
    -------
    `Wavefront`
    """
    optics = Optics(wavelength, width, pixel, min(REACH, library.half_width), library.oversampling)
    ends = np.array([[p[0], p[-1]] for p in (library.x, library.y)])
    middle, span = ends.mean(1), np.maximum(0.5 * np.ptp(ends, axis=1), 1.0)
    target = _inner(library, *middle, optics)
    weight = 1 / np.sqrt(np.maximum(target, 0) + FLOOR * target.max())
    total = np.sum(np.square(weight * target))
    best = None

    def begin(nm):
        return _State(nm, np.zeros(2), optics.diffusion, optics.coupling)

    for start in STARTS:
        nm = np.zeros(MODES)
        nm[: len(start)] = start
        found = _search(optics, target, weight, begin(nm), WEAK, FIRST_STEPS)
        best = found if best is None or found[1] < best[1] else best
        if best[1] < NEAR**2 * total:
            break
    state, cost = _search(optics, target, weight, best[0], WEAK, STEPS)
    nm, optics = state.nm, optics.blurred(state.diffusion, state.coupling)
    places, each = [(0.0, 0.0)], [nm]
    for u in (-INWARD, INWARD) if library.x.size > 1 else ():
        for v in (-INWARD, INWARD) if library.y.size > 1 else ():
            there = _inner(library, *(middle + span * (u, v)), optics)
            places.append((u, v))
            each.append(_search(optics, there, weight, state, STRONG, FIELD_STEPS)[0].nm)
    basis = np.c_[np.ones(len(places)), places]
    fit = (
        np.linalg.lstsq(basis, np.array(each), rcond=None)[0]
        if len(places) > 1
        else np.stack([nm, 0 * nm, 0 * nm])
    )
    return Wavefront(fit, middle, span, optics, float(np.sqrt(cost / total)))


@dataclass(frozen=True, eq=False)
class _State:
    nm: np.ndarray
    shift: np.ndarray
    diffusion: float
    coupling: float

    def moved(self, step):
        diffusion = float(np.clip(self.diffusion + step[MODES + 2], *DIFFUSION))
        coupling = float(np.clip(self.coupling + step[MODES + 3], *COUPLING))
        return _State(self.nm + step[:MODES], self.shift + step[MODES : MODES + 2], diffusion, coupling)


def _inner(library, x, y, optics):
    reach, middle = round(optics.half_width * optics.oversampling), library.data.shape[1] // 2
    cut = slice(middle - reach, middle + reach + 1)
    return library.at(x, y)[cut, cut]


def _search(optics, target, weight, start, prior, steps):
    """Levenberg and Marquardt's search; the state found and its χ²."""
    prior = prior * np.sum(np.square(weight * target))

    def images(state, derivatives=False):
        return optics.blurred(state.diffusion, state.coupling).image(state.nm, state.shift, derivatives)

    def judge(state):
        model = weight * images(state)
        scale = np.sum(model * weight * target) / np.sum(model * model)
        off = np.sum(np.square(scale * model - weight * target))
        return off + prior * np.sum(np.square(state.nm - start.nm)), scale

    state, damping = start, 1e-2
    cost, scale = judge(state)
    for _ in range(steps):
        stack = images(state, derivatives=True)
        a = (np.concatenate([scale * stack[1:], stack[:1]]) * weight).reshape(len(stack), -1)
        normal, right = a @ a.T, a @ (weight * (target - scale * stack[0])).ravel()
        normal[range(MODES), range(MODES)] += prior
        right[:MODES] += prior * (start.nm - state.nm)
        for _ in range(4):
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), right)
            new = state.moved(step)
            new_cost, new_scale = judge(new)
            if new_cost < cost:
                break
            damping *= 8
        else:
            break
        gained = cost - new_cost
        state, cost, scale, damping = new, new_cost, new_scale, damping / 8
        if gained < SETTLED * cost:
            break
    return state, cost
