"""Claim: four samples a pixel hold what F090W stars are fitted with, and few stars leave errors in any ePSF.

    python benchmarks/undersampled.py [--filters F090W F115W F200W] [--stars 40 420 4000] [--dithers 4]

Interpolation: noise-free stars of the optics' own ePSF, evaluated where their pixels are, fitted with a
library of four samples a pixel: what its interpolation moves them by, as the package interpolates and with
a cubic spline through the samples alone (the yardstick); in pixels and in units of the error of a star of
1000 MJy/sr (magnitude -7.5).

Limits: Cramér-Rao and Wiener bounds of the ePSF that N stars of signal-to-noise ratios above 100 in so many
dithers leave, with their positions, fluxes and the exposures' six-parameter transformations unknown, flat-
field errors of 0.3 % a pixel included. Given is the scatter of stars' positions over their Cramér-Rao error
with the true ePSF and a perfect flat field ("scatter/CR"), at best, for three kinds of what is known
beforehand: nothing but the band of waves that the telescope passes; an ePSF that is good to 0.5 % of its
light; and the optics, but for the wavefront, its linear change over the field and its drift from exposure
to exposure. No estimator does better with the same knowledge. The first row, "true", is what the flat field
alone leaves. Saturation of ramps is left out: the brightest stars of real exposures have larger errors and
are nearer to 1.
"""

import argparse

import numpy as np

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.epsf.build.diffraction import band_limit
from jwst_hpastrom.epsf.wavefront.modes import Modes
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.epsf.wavefront.phase_retrieval import Wavefront
from jwst_hpastrom.instrument import filter_of

PIXEL = 0.0656  # arcsec: NIRISS
NM = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]
READ, SLOPE = 5e-4, 2.5e-3  # variance of a pixel: READ + SLOPE value, (MJy/sr)²
FLAT = 0.003
BRIGHT = 1000.0
LUMINOSITY = 0.3  # of log10 of the number of stars a magnitude
BINS = ((-9.5, -8.5), (-8.5, -7.5), (-7.5, -6.5), (-6.5, -5.0), (-5.0, -4.0))
BOX = np.arange(-2.0, 3.0)
REACH = 4.0  # pixels: the basis of a free ePSF spans twice as much


def optics(band, oversampling=4, half_width=8.0):
    row = filter_of(band, "NIRISS")
    return Optics(row.wavelength, row.width, PIXEL, half_width, oversampling)


def errors(psi, flux, flat=FLAT):
    return np.sqrt(READ + SLOPE * flux * np.maximum(psi, 0) + np.square(flat * flux * psi))


def position_errors(psi, by_x, by_y, flux, sigma):
    """Matrix that takes pixels to (flux, x, y), and the errors of x and y without flat-field errors."""
    design = np.stack([psi, -flux * by_x, -flux * by_y], -1).reshape(-1, 3)
    weight = 1 / np.square(sigma).ravel()
    inverse = np.linalg.inv(design.T @ (weight[:, None] * design))
    return inverse @ (design.T * weight), np.sqrt(np.diag(inverse))


class Unrefined(EPSFLibrary):
    """A library whose spline has its knots at the samples, whatever the filter."""

    knots = property(lambda self: self.oversampling)


def interpolation(band, rng):
    """RMS shift of noise-free stars in pixels and in their errors: as the package does, and the yardstick."""
    data, pixels = optics(band).image(NM)[None], optics(band, 1, 2.0)
    out = []
    for kind in (EPSFLibrary, Unrefined):
        library, off = kind(data, [0], [0]), []
        for phase in rng.uniform(-0.5, 0.5, (200, 2)):
            true = pixels.image(NM, phase)
            model = library.evaluate(BOX - phase[0], (BOX - phase[1])[:, None], 0.0, 0.0, gradient=True)
            back, error = position_errors(*model, BRIGHT, errors(true, BRIGHT, 0.0))
            shift = back[1:] @ (BRIGHT * (true - model[0])).ravel()
            off.append(np.r_[shift, shift / error[1:]])
        rms = np.sqrt(np.mean(np.square(off), axis=0))
        out.append((np.mean(rms[:2]), np.mean(rms[2:]), library.knots))
    return out


def free_basis(band, library, share):
    """ψ's light times band-limited noise of unit variance times ``share``; a function of offsets."""
    limit = band_limit(band, PIXEL)
    k = np.arange(int(4 * REACH * limit) + 1)
    f = np.hypot(k, k[:, None]) / (4 * REACH)
    jj, ii = np.nonzero(f <= limit)
    scale = share * 2 / np.sqrt(jj.size)

    def values(dx, dy, place):
        cx = np.cos(np.pi * np.multiply.outer(dx + REACH, ii) / (2 * REACH))
        cy = np.cos(np.pi * np.multiply.outer(dy + REACH, jj) / (2 * REACH))
        light = library.evaluate(dx, dy, 0.0, 0.0) + 1e-3 * library.data.max()
        return scale * (light[..., None] * cx * cy).reshape(dx.size, -1)

    return values, jj.size


def wavefront_basis(band, library, n_exposures):
    """Derivatives by the wavefront in the middle, its change over the field, and each exposure's drift."""
    wavefront = Wavefront(np.stack([NM, 0 * NM, 0 * NM]), np.zeros(2), np.ones(2), optics(band), 0.0)
    modes = Modes(wavefront, optics(band), np.zeros(1), np.zeros(1)).libraries
    n = MODES * (3 + n_exposures)

    def values(dx, dy, place):
        exposure, u, v = place
        each = 30.0 * np.stack([m.evaluate(dx, dy, 0.0, 0.0).ravel() for m in modes], -1)  # 30 nm a priori
        out = np.zeros((dx.size, n))
        for q, factor in enumerate((1.0, u, v)):
            out[:, q * MODES : (q + 1) * MODES] = factor * each
        if exposure is not None:
            out[:, (3 + exposure) * MODES : (4 + exposure) * MODES] = 0.1 * each  # drifts of 3 nm
        return out

    return values, n


def posterior(library, basis, n_basis, n_stars, n_exposures, rng):
    """Covariance of the basis' coefficients after all stars, about a unit prior; transformations let go."""
    mag = np.log10(rng.uniform(10 ** (-9.5 * LUMINOSITY), 10 ** (-4 * LUMINOSITY), n_stars)) / LUMINOSITY
    n = n_basis + 6 * (n_exposures - 1)
    normal = np.diag(np.r_[np.ones(n_basis), np.full(n - n_basis, 1e-6)])
    for flux in 10 ** (-0.4 * mag):
        u, v = rng.uniform(-1, 1, 2)
        rows, own = np.zeros((25 * n_exposures, n)), np.zeros((25 * n_exposures, 3))
        for e in range(n_exposures):
            px, py = rng.uniform(-0.5, 0.5, 2)
            dx, dy = (a.ravel() for a in np.meshgrid(BOX - px, BOX - py))
            psi, by_x, by_y = library.evaluate(dx, dy, 0.0, 0.0, gradient=True)
            sigma, cut = errors(psi, flux)[:, None], slice(25 * e, 25 * e + 25)
            rows[cut, :n_basis] = flux * basis(dx, dy, (e, u, v)) / sigma
            own[cut] = np.stack([psi, -flux * by_x, -flux * by_y], -1) / sigma
            if e:
                k = n_basis + 6 * (e - 1)
                rows[cut, k : k + 6] = np.repeat(own[cut, 1:], 3, 1) * np.tile([1.0, u, v], 2)
        free, _ = np.linalg.qr(own)
        rows -= free @ (free.T @ rows)
        normal += rows.T @ rows
    return np.linalg.inv(normal)[:n_basis, :n_basis]


def scatter(library, basis, covariance, flux, rng, n=60):
    """Scatter over Cramér-Rao errors of stars of a flux with an ePSF of such a covariance."""
    square, effect = [], []
    for px, py in rng.uniform(-0.5, 0.5, (n, 2)):
        dx, dy = (a.ravel() for a in np.meshgrid(BOX - px, BOX - py))
        psi, by_x, by_y = library.evaluate(dx, dy, 0.0, 0.0, gradient=True)
        back, error = position_errors(psi, by_x, by_y, flux, errors(psi, flux, 0.0))
        flat = np.square(back[1:]) @ np.square(FLAT * flux * psi)
        square.append(1 + flat / np.square(error[1:]))
        if basis is not None:
            effect.append(flux * back[1:] @ basis(dx, dy, (0, *rng.uniform(-1, 1, 2))) / error[1:, None])
    square = np.array(square)
    if basis is not None:
        effect = np.array(effect) - np.mean(effect, axis=0)  # all stars alike: no error of positions
        square = square + np.einsum("pak,kl,pal->pa", effect, covariance, effect)
    return np.sqrt(square.mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--filters", nargs="+", default=["F090W", "F115W", "F200W"])
    parser.add_argument("--stars", nargs="+", type=int, default=[40, 420, 4000])
    parser.add_argument("--dithers", type=int, default=4)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    print("interpolation, noise-free: RMS shift in 1e-5 px (in errors at -7.5)")
    for band in args.filters:
        (ours, in_errors, knots), (theirs, their_errors, _) = interpolation(band, rng)
        print(
            f"{band}: {1e5 * ours:5.1f} ({in_errors:.3f}), {knots} knots a pixel;"
            f" spline through the samples {1e5 * theirs:5.1f} ({their_errors:.3f})"
        )
    fluxes = [10 ** (-0.2 * (a + b)) for a, b in BINS]
    print("least scatter/CR of positions:", " ".join(f"{a:g}...{b:g}" for a, b in BINS))
    for band in args.filters:
        library = EPSFLibrary(optics(band).image(NM)[None], [0], [0])
        print(f"{band} true:", *(f"{scatter(library, None, None, f, rng):.2f}" for f in fluxes))
        for n_stars in args.stars:
            for name, (basis, size) in {
                "waves in the band": free_basis(band, library, 0.3),
                "ePSF to 0.5 %": free_basis(band, library, 0.005),
                "optics but the wavefront": wavefront_basis(band, library, args.dithers),
            }.items():
                known = posterior(library, basis, size, n_stars, args.dithers, rng)
                each = (f"{scatter(library, basis, known, f, rng):.2f}" for f in fluxes)
                print(f"{band} {n_stars} stars, {name}:", *each, flush=True)


if __name__ == "__main__":
    main()
