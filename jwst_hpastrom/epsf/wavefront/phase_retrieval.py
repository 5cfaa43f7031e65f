"""The wavefront of a library's optics, found from its ePSFs."""

from dataclasses import dataclass, replace

import numpy as np

from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics

__all__ = ["Wavefront", "retrieve"]

REACH = 5.0  # pixels from the star that are compared
FLOOR = 0.02  # of the peak: light below it weighs like that much
# a wavefront and its mirror image with the even terms' signs turned look alike: defocus may be taken positive
STARTS = ((30.0, 20.0, 20.0), (30.0, -20.0, 20.0), (30.0, 20.0, -20.0), (30.0, -20.0, -20.0))  # nm
FIRST_STEPS, STEPS = 3, 12
# of the squared light per nm²: what keeps coefficients near where they start; 30 nm weigh like 0.1, 0.3 % of
# the light, the misfit of a model that fits
WEAK, STRONG = 1e-9, 1e-8
NEAR = 0.03  # of the light: a start that comes so near is not in a wrong valley
LIGHT = MODES + 4  # where its numbers begin in a step, after wavefront, shift, diffusion and coupling
SPECTRUM = 3  # of them, the others are the segments'
LOOSE = 30.0  # nm that weigh as much as an error of the light
SETTLED = 1e-3  # of the χ²: smaller gains end the search
INWARD = (0.4, 3), (0.8, 5)  # of the way from the field's middle to its corners, and steps there
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


def retrieve(library, wavelength, width, pixel, kind=Optics):
    """Find the wavefront by least squares between a model of the optics and the library's ePSFs.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    wavelength, width : float
        Of the band, µm.

    pixel : float
        Side of a pixel, arcsec.

    kind : type
        `~jwst_hpastrom.epsf.wavefront.optics.Optics`, or one whose light is told, too: then from these.

    Returns
    -------
    `Wavefront`
    """
    optics = kind(wavelength, width, pixel, min(REACH, library.half_width), library.oversampling)
    ends = np.array([[p[0], p[-1]] for p in (library.x, library.y)])
    middle, span = ends.mean(1), np.maximum(0.5 * np.ptp(ends, axis=1), 1.0)
    target = _inner(library, *middle, optics)
    weight = 1 / np.sqrt(np.maximum(target, 0) + FLOOR * target.max())
    total = np.sum(np.square(weight * target))
    best = None

    def begin(nm):
        return _State(nm, np.zeros(2), optics, 0 * optics.told_errors[:SPECTRUM])

    for start in STARTS:
        nm = np.zeros(MODES)
        nm[: len(start)] = start
        found = _search(target, weight, begin(nm), WEAK, FIRST_STEPS)
        best = found if best is None or found[1] < best[1] else best
        if best[1] < NEAR**2 * total:
            break
    state, cost = _search(target, weight, best[0], WEAK, STEPS)
    if state.light.size:  # what is left is the segments'
        state = replace(state, light=0 * optics.told_errors)
        state, cost = _search(target, weight, state, WEAK, STEPS)
    fit = _over_field(library, weight, replace(state, light=np.zeros(0)), middle, span)
    return Wavefront(fit, middle, span, state.optics, float(np.sqrt(cost / total)))


def _over_field(library, weight, state, middle, span):
    """Coefficients in the middle, which are those of ``state``, and their change over the field.

    Away from the middle another valley may be nearer, so that what is linear on the way leads on; opposite
    corners lead each other.
    """
    nm = state.nm
    fit, spans = np.stack([nm, 0 * nm, 0 * nm]), [p.size > 1 for p in (library.x, library.y)]
    for inward, steps in INWARD if any(spans) else ():
        u, v = ((-inward, inward) if wide else (0.0,) for wide in spans)
        places = np.array([(a, b) for a in u for b in v])  # opposite ones last and first
        targets = [_inner(library, *(middle + span * place), state.optics) for place in places]

        def search(k, start, targets=targets, steps=steps):
            found, cost = _search(targets[k], weight, replace(state, nm=start), STRONG, steps)
            return found.nm, cost

        each = [search(k, np.r_[1.0, place] @ fit) for k, place in enumerate(places)]
        for k, (other, cost) in enumerate(each[::-1]):
            if inward == INWARD[0][0] and each[k][1] > cost:
                each[k] = min(each[k], search(k, 2 * nm - other), key=lambda one: one[1])
        basis = np.c_[np.ones(len(places) + 1), np.vstack([(0.0, 0.0), places])]
        fit = np.linalg.lstsq(basis, np.array([nm, *(one for one, _ in each)]), rcond=None)[0]
    return fit


@dataclass(frozen=True, eq=False)
class _State:
    nm: np.ndarray
    shift: np.ndarray
    optics: Optics
    light: np.ndarray  # how far it has been changed, empty where it is known

    def moved(self, step):
        nm, shift, blur, light = np.split(step[:-1], (MODES, MODES + 2, LIGHT))
        optics = self.optics.of_light(light) if light.size else self.optics
        now = zip((DIFFUSION, COUPLING), (optics.diffusion, optics.coupling), blur, strict=True)
        optics = optics.blurred(*(np.clip(value + more, *limit) for limit, value, more in now))
        return _State(self.nm + nm, self.shift + shift, optics, self.light + light)

    def derivatives(self):
        """The image, and its derivatives by all that a step changes."""
        stack = self.optics.image(self.nm, self.shift, derivatives=True)
        if self.light.size:
            stack = np.concatenate([stack, self.optics.by_light(stack[0], self.nm, self.shift)])
        if self.light.size > SPECTRUM:
            stack = np.concatenate([stack, self.optics.by_segments(self.nm, self.shift)])
        return stack


def _inner(library, x, y, optics):
    reach, middle = round(optics.half_width * optics.oversampling), library.data.shape[1] // 2
    cut = slice(middle - reach, middle + reach + 1)
    return library.at(x, y)[cut, cut]


def _search(target, weight, start, prior, steps):
    """Levenberg and Marquardt's search; the state found and its χ²."""
    prior = prior * np.sum(np.square(weight * target))
    free = np.r_[:MODES, LIGHT : LIGHT + start.light.size]
    unit = np.ones(free.size)
    unit[MODES:] = LOOSE / start.optics.told_errors[: start.light.size]

    def judge(state):
        model = weight * state.optics.image(state.nm, state.shift)
        scale = np.sum(model * weight * target) / np.sum(model * model)
        off = np.sum(np.square(scale * model - weight * target))
        return off + prior * np.sum(np.square(moved(state))), scale

    def moved(state):
        return unit * np.r_[state.nm - start.nm, state.light - start.light]

    state, damping = start, 1e-2
    cost, scale = judge(state)
    for _ in range(steps):
        stack = state.derivatives()
        a = (np.concatenate([scale * stack[1:], stack[:1]]) * weight).reshape(len(stack), -1)
        normal, right = a @ a.T, a @ (weight * (target - scale * stack[0])).ravel()
        normal[free, free] += prior * unit**2
        right[free] -= prior * unit * moved(state)
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
