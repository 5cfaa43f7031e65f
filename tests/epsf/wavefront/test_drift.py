"""ePSFs that follow a drifting wavefront, on stars made by the optics' model."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary, Image, measure_stars, perturb_library, resampling
from jwst_hpastrom.epsf.brighter_fatter import shifted_by_charge
from jwst_hpastrom.epsf.build import build_library
from jwst_hpastrom.epsf.build.smoothing import recenter
from jwst_hpastrom.epsf.wavefront import field_equations, modes_of, solve_field
from jwst_hpastrom.epsf.wavefront import modes as module
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics, zernike
from jwst_hpastrom.epsf.wavefront.phase_retrieval import retrieve
from jwst_hpastrom.instrument import filter_of
from jwst_hpastrom.numerics import robust_sigma

SIDE, STEP = 240, 25
META = {"instrument": "NIRISS", "detector": "NIS", "filter": "F115W"}
BASE = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]
DRIFT = np.r_[-3.0, 2.0, 6.0, -7.0, 3.0, np.zeros(MODES - 5)]


def optics(half_width=12.5, band="F115W", scale=1.0, **blur):
    row = filter_of(band, "NIRISS")
    return Optics(scale * row.wavelength, scale * row.width, 0.0656, half_width, **blur)


def sampled(nm, band="F115W", **other):
    """The library of a wavefront, alike over the field."""
    data, _ = recenter(optics(band=band, **other).image(nm)[None], 4)
    return EPSFLibrary(data, [SIDE / 2], [SIDE / 2], 4, meta=META | {"filter": band}).normalized()


def stars(rng, shift=0.0):
    """Places of stars that do not touch, and fluxes of which some are bright."""
    grid = np.arange(20, SIDE - 19, STEP, dtype=float)
    x, y = (p.ravel() for p in np.meshgrid(grid, grid))
    x, y = (p + rng.uniform(-0.5, 0.5, p.size) + shift for p in (x, y))
    return x, y, 10 ** rng.uniform(1.5, 3.3, x.size)


def exposure(library, x, y, flux, rng):
    data = np.full((SIDE, SIDE), 0.25)
    k = np.arange(-12, 13)
    for a, b, f in zip(x, y, flux, strict=True):
        i, j = round(a) + k, round(b) + k[:, None]
        data[j, i] += f * library.evaluate(i - a, j - b, a, b)
    err = np.sqrt(0.02**2 + np.maximum(data, 0) / 450)
    none = np.zeros(data.shape, bool)
    return Image((data + rng.normal(0, err)).astype("f4"), err.astype("f4"), none, none.copy(), "made")


def pulls(table, x, y):
    k = np.array([np.argmin(np.hypot(table["x"] - a, table["y"] - b)) for a, b in zip(x, y, strict=True)])
    found = table[k]
    dx, dy = np.asarray(found["x"]) - x, np.asarray(found["y"]) - y
    return (
        np.r_[dx - np.median(dx), dy - np.median(dy)],
        np.r_[found["x_err"], found["y_err"]],
    )


def test_zernikes_have_unit_rms_and_are_orthogonal():
    x, y = np.meshgrid(np.linspace(-1, 1, 301), np.linspace(-1, 1, 301))
    inside = np.hypot(x, y) <= 1
    each = np.array([zernike(j, x, y)[inside] for j in range(1, 16)])
    np.testing.assert_allclose(each @ each.T / inside.sum(), np.eye(15), atol=0.03)
    assert zernike(7, 0.0, 1.0) > 0  # Noll: odd indices are sines


def test_derivatives_are_those_of_the_images():
    made, nm = optics(4.0), BASE + 5
    all_of_it = made.image(nm, (0.1, -0.2), derivatives=True)
    np.testing.assert_allclose(all_of_it[0], made.image(nm, (0.1, -0.2)), atol=1e-12)
    for k in (0, 3, 7, 11):
        step = np.zeros(MODES)
        step[k] = 0.01
        found = (made.image(nm + step, (0.1, -0.2)) - made.image(nm - step, (0.1, -0.2))) / 0.02
        np.testing.assert_allclose(all_of_it[1 + k], found, atol=1e-4 * np.abs(found).max())
    by_x = (made.image(nm, (0.11, -0.2)) - made.image(nm, (0.09, -0.2))) / 0.02
    np.testing.assert_allclose(all_of_it[-4], by_x, atol=1e-2 * np.abs(by_x).max())
    wide = (made.blurred(0.201, 0.005).image(nm) - made.blurred(0.199, 0.005).image(nm)) / 0.002
    np.testing.assert_allclose(
        made.image(nm, derivatives=True)[-2], wide, atol=1e-2 * np.abs(wide).max()
    )  # of the diffusion
    coupled = (made.blurred(0.2, 0.006).image(nm) - made.blurred(0.2, 0.004).image(nm)) / 0.002
    np.testing.assert_allclose(
        made.image(nm, derivatives=True)[-1], coupled, atol=1e-6 * np.abs(coupled).max()
    )


def test_image_is_centered_and_whole():
    image = optics().image(np.zeros(MODES))
    assert image.sum() / 16 == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(image, image[:, ::-1], atol=1e-9)  # the struts keep left and right alike


def test_wavefront_is_retrieved_from_a_library():
    found = retrieve(sampled(BASE), optics().wavelength, optics().width, 0.0656)
    assert found.misfit < 2e-3
    even_and_odd = np.abs(found.at(100, 100))  # up to the sign that all even terms share
    np.testing.assert_allclose(even_and_odd, np.abs(BASE), atol=3)


def test_wavefront_that_varies_over_the_field_is_retrieved_from_a_library():
    """Even terms, which change the ePSF through each other, no less than odd ones."""
    slopes = np.zeros((2, MODES))
    slopes[0, :4], slopes[1, 1:5] = (18, 14, -12, 10), (18, 14, -12, 10)
    places = [(u, v) for v in (-1, 0, 1) for u in (-1, 0, 1)]
    data = np.concatenate([sampled(BASE + np.array(p) @ slopes).data for p in places])
    data *= 1 + np.random.default_rng(2).normal(0, 0.003, data.shape)
    nodes = np.linspace(0, SIDE, 3)
    library = EPSFLibrary(data, nodes, nodes, 4, meta=META)
    found = retrieve(library, optics().wavelength, optics().width, 0.0656)
    np.testing.assert_allclose(found.nm[1:], slopes, atol=0.25 * 18)


def test_change_keeps_center_and_sum():
    library = sampled(BASE)
    modes = modes_of(library)
    assert modes is modes_of(library)  # asked for once
    for nm in (DRIFT / 5, 2 * DRIFT):  # from derivatives, and from images
        new = modes.change(nm, library)
        np.testing.assert_allclose(new.volumes(), 1)
        for axis in ((0.5, 0.0), (0.0, 0.5)):
            low, high = (float(new.evaluate(s * axis[0], s * axis[1], 0, 0)) for s in (-1, 1))
            low0, high0 = (float(library.evaluate(s * axis[0], s * axis[1], 0, 0)) for s in (-1, 1))
            assert high - low == pytest.approx(high0 - low0, abs=4e-4)
    assert modes.change(np.zeros(MODES), library) is library


@pytest.mark.parametrize(("side", "knots"), [(1, 8), (3, 8), (4, 4)])
def test_splines_of_a_small_change_follow_from_those_of_the_library(monkeypatch, side, knots):
    """They are those of the changed ePSFs; only the change's own, at the ends of the field, are filtered."""
    nodes = np.linspace(0, SIDE, side) if side > 1 else [SIDE / 2]
    waves = [BASE * (1 + 0.1 * u) for u in np.linspace(-1, 1, side) for _ in range(side)]
    band = "F115W" if knots == 8 else "F200W"
    data = np.concatenate([sampled(nm, band).data for nm in waves])
    library = EPSFLibrary(data, nodes, nodes, 4, meta=META | {"filter": band})
    modes, filtered = modes_of(library), []
    assert library.knots == knots
    delta = sum(c * m.data for c, m in zip(DRIFT / 5, modes.libraries, strict=True))
    plain = library.perturbed(delta, x=modes.x, y=modes.y)
    assert library.coefficients.size == plain.coefficients.size
    of = resampling.spline_coefficients
    for where in (resampling, module):
        monkeypatch.setattr(where, "spline_coefficients", lambda d, *a: filtered.append(len(d)) or of(d, *a))
    changed = modes.change(DRIFT / 5, library)
    np.testing.assert_allclose(changed.data, plain.data, atol=1e-13)
    np.testing.assert_allclose(changed.coefficients, plain.coefficients, atol=1e-13)
    assert filtered == [min(side, 3) ** 2]


def test_stars_are_fitted_with_the_exposure_s_own_wavefront():
    rng = np.random.default_rng(5)
    library, x, y, flux = sampled(BASE), *stars(rng)
    image = exposure(sampled(BASE + DRIFT), x, y, flux, rng)
    bright = flux > 300
    scatter = []
    for follow in (False, True):
        table = measure_stars(image, library, follow_wavefront=follow)
        off, err = pulls(table, x[bright], y[bright])
        scatter.append(robust_sigma(off))
    assert scatter[1] < 0.5 * scatter[0]
    assert 0.75 < robust_sigma(off / err) < 1.25  # the stated errors follow
    assert np.linalg.norm(table.meta["wavefront_nm"]) == pytest.approx(np.linalg.norm(DRIFT), rel=0.35)


def test_eight_stars_are_enough():
    """Their pixels are 200: as many as tell twelve modes, a drift of 22 nm and no finer one."""
    rng = np.random.default_rng(14)
    x, y, flux = (p[::10][:8] for p in stars(rng))
    base, image = sampled(BASE), exposure(sampled(BASE + 2 * DRIFT), x, y, 1000 + flux, rng)
    scatter = [np.std(pulls(measure_stars(image, base, follow_wavefront=f), x, y)[0]) for f in (False, True)]
    assert scatter[1] < 0.4 * scatter[0]


def test_without_drift_nothing_changes():
    rng = np.random.default_rng(6)
    library, x, y, flux = sampled(BASE), *stars(rng)
    image = exposure(library, x, y, flux, rng)
    j, i = rng.integers(5, SIDE - 5, (2, 80))  # hot pixels tell nothing
    image.data[j, i] += 10 ** rng.uniform(0, 1.5, 80)
    plain, followed = (measure_stars(image, library, follow_wavefront=f) for f in (False, True))
    assert "wavefront_nm" not in followed.meta
    np.testing.assert_array_equal(plain["x"], followed["x"])


@pytest.mark.parametrize(("band", "nm"), [("F115W", 30), ("F150W", 3), ("F150W", 30), ("F200W", 10)])
def test_right_drifts_are_followed_whatever_the_wave(band, nm):
    rng = np.random.default_rng(12)
    drift, (x, y, flux) = DRIFT * nm / np.linalg.norm(DRIFT), stars(rng)
    image = exposure(sampled(BASE + drift, band), x, y, 5 * flux, rng)
    table = measure_stars(image, sampled(BASE, band))
    # the second step goes by the derivatives of where the first began: a sixth of what is small against λ/2π
    assert np.linalg.norm(table.meta["wavefront_nm"] - drift) < 1.5 + 0.15 * nm


MISFITS = {
    "coupling": {"coupling": 0.0}, "wide": {"scale": 1.02}, "narrow": {"scale": 0.99},
    "diffusion": {"diffusion": 0.25},
}  # fmt: skip


@pytest.mark.parametrize(
    ("band", "misfit"),
    [("F115W", "coupling"), ("F150W", "diffusion"), ("F200W", "wide"), *(("F480M", m) for m in MISFITS)],
)
def test_what_is_no_wavefront_is_not_followed(band, misfit):
    """A blur explained as a wavefront is one 10 to 60 nm off, or 140 to 850 nm in F480M."""
    rng = np.random.default_rng(5)
    library, (x, y, flux) = sampled(BASE, band), stars(rng)
    image = exposure(sampled(BASE, band, **MISFITS[misfit]), x, y, 5 * flux, rng)
    plain, followed = (measure_stars(image, library, follow_wavefront=f) for f in (False, True))
    assert "wavefront_nm" not in followed.meta
    np.testing.assert_array_equal(plain["x"], followed["x"])
    result = perturb_library(image, library, plain, perturb_sn=50.0, min_zone_stars=20, n_iterations=1)
    assert "wavefront_nm" not in result.library.meta


def test_wavefront_too_far_off_is_no_drift(caplog):
    rng = np.random.default_rng(13)
    library, (x, y, flux) = sampled(BASE, "F200W"), stars(rng)
    far = 1.5 * modes_of(library).farthest
    true = sampled(BASE + DRIFT * far / np.linalg.norm(DRIFT), "F200W")
    table = measure_stars(exposure(true, x, y, 5 * flux, rng), library)
    assert "wavefront_nm" not in table.meta
    assert "not followed" in caplog.text
    assert modes_of(sampled(BASE, "F090W")).farthest < 0.06 * 902  # nm: small against λ/2π


def test_a_wavefront_is_named_where_data_tell_that_it_is_too_far(caplog, monkeypatch):
    """At long waves some of the wavefront hardly changes the ePSF, and its error is large."""

    def named(band, farthest, level=logging.WARNING):
        rng = np.random.default_rng(13)
        library, (x, y, flux) = sampled(BASE, band), stars(rng)
        image = exposure(sampled(BASE + 3 * DRIFT, band), x, y, 5 * flux, rng)
        monkeypatch.setattr(module.Modes, "farthest", farthest)
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="stpipe.hpastrom"):
            assert "wavefront_nm" not in measure_stars(image, library).meta
        told = [r for r in caplog.records if "would explain" in r.message]
        return [r.args for r in told], any(r.levelno == level for r in told)

    errors, far = [], 3 * np.linalg.norm(DRIFT)
    for band in ("F200W", "F480M"):
        (off, error), *_ = named(band, 0.0)[0]
        assert off == pytest.approx(far, abs=4 * error + 0.1 * far)  # derivatives hold for less
        errors.append(error)
        assert named(band, off - 5 * error)[1]
        assert not named(band, off - 2 * error)[1]
    assert errors[1] > 2 * errors[0]


@pytest.mark.parametrize("meta", [META, {}, META | {"filter": "F999W"}])
def test_stars_that_no_optics_make_are_left_alone(meta):
    r2 = np.add.outer(np.arange(-50, 51) ** 2, np.arange(-50, 51) ** 2) / 16.0
    wide = EPSFLibrary(np.exp(-r2 / 8)[None] / (8 * np.pi), [100], [100], meta=meta)  # three times the width
    assert modes_of(wide.normalized()) is None


def test_perturbation_follows_first_and_keeps_what_more_does_not_help():
    rng = np.random.default_rng(7)
    library, true, (x, y, flux) = sampled(BASE), sampled(BASE + DRIFT), stars(rng)
    image = exposure(true, x, y, flux, rng)
    first = measure_stars(image, library, follow_wavefront=False)
    result = perturb_library(image, library, first, perturb_sn=50.0, min_zone_stars=20)
    before, after = (np.abs(lib.data - true.data).max() for lib in (library, result.library))
    assert "wavefront_nm" in result.library.meta
    assert after < 0.4 * before


def test_build_follows_the_drift_from_exposure_to_exposure():
    """Against a twin: the same stars, dithers and noise, and a wavefront that stays."""
    x, y, flux = stars(np.random.default_rng(8))
    flux = np.maximum(flux, 150)
    shifts = ((0, 0), (0.5, 0.3), (0.25, -0.4), (-0.3, 0.2))
    how = {"grid": 1, "n_iterations": 8, "n_fitted": 2, "mesh": 60, "brighter_fatter": 0.0}

    def scatter(drift, made_for):
        rng, images, planes = np.random.default_rng(9), [], []
        for nm, (dx, dy) in zip(np.multiply.outer((-1.5, -0.5, 0.5, 1.5), drift), shifts, strict=True):
            images.append(exposure(sampled(BASE + nm), x + dx, y + dy, flux, rng))
            planes.append(lambda a, b, dx=dx, dy=dy: (a - dx, b - dy))
        found = build_library(images, planes, made_for=made_for, **how).stars
        return np.array([np.sqrt(np.nanmean(np.square(found[c]))) for c in ("dx", "dy")])

    twin, plain, followed = scatter(0 * DRIFT, None), scatter(DRIFT, None), scatter(DRIFT, META)
    # each of the coefficients that the stars tell takes one star's share of what they know, on average; what
    # it takes goes along with the noise by chance, in both axes of them
    share = MODES / x.size
    chance = 2 * np.sqrt(share / (2 * x.size))
    assert (plain**2 > (1 + 3 * share) * twin**2).all()  # else there is nothing to follow
    assert np.sum(followed**2) < (1 + share + 3 * chance) * np.sum(twin**2)


@pytest.mark.parametrize("given", [False, True])
def test_fits_with_a_built_library_follow_the_wavefront(given):
    """It says what it was made for, be that told or a given library's."""
    x, y, flux = stars(np.random.default_rng(8))
    rng, shifts, start = np.random.default_rng(9), (0.0, 0.3, -0.4), sampled(BASE)
    images = [exposure(start, x + d, y - d, np.maximum(flux, 150), rng) for d in shifts]
    planes = [lambda a, b, d=d: (a - d, b + d) for d in shifts]
    how = {"grid": 1, "n_iterations": 3, "n_fitted": 1, "mesh": 60, "brighter_fatter": 0.0}
    how |= (
        {"start": start} if given else {"made_for": META | {"date": "2026-11-29"}, "follow_wavefront": False}
    )
    library = build_library(images, planes, **how).library
    assert META.items() <= library.meta.items()
    assert "date" not in library.meta
    drifted = exposure(sampled(BASE + 2 * DRIFT), x, y, np.maximum(flux, 150), rng)
    table = measure_stars(drifted, library if given else replace(start, meta=library.meta))
    found = np.array(table.meta["wavefront_nm"])
    assert np.linalg.norm(found - 2 * DRIFT) < 0.3 * np.linalg.norm(2 * DRIFT)


def test_given_library_of_another_date_is_moved_as_a_whole():
    rng = np.random.default_rng(9)
    x, y, flux = (p[::2] for p in stars(rng))  # 41: few tell little beside the wavefront
    true = sampled(BASE + 2 * DRIFT)
    images = [exposure(true, x + d, y - d, np.maximum(flux, 150), rng) for d in (0.0, 0.3, -0.4)]
    planes = [lambda a, b, d=d: (a - d, b + d) for d in (0.0, 0.3, -0.4)]
    start = sampled(BASE)
    how = {"n_iterations": 3, "n_fitted": 1, "mesh": 60, "brighter_fatter": 0.0}
    blind, told = (
        build_library(images, planes, start=replace(start, meta=meta), **how).library for meta in ({}, META)
    )
    blind, told = (np.abs(lib.data - true.data).max() for lib in (blind, told))
    assert told < 0.7 * blind


def test_charge_is_no_blur():
    """What charge does to bright stars is not followed as a blur where the charge is known."""
    library, rng = sampled(BASE), np.random.default_rng(4)
    modes, (x, y, flux) = modes_of(library), stars(rng)
    offset = np.arange(-2, 3)
    i, j = (np.rint(p).astype(int)[:, None, None] + o for p, o in ((x, offset), (y, offset[:, None])))
    psi = library.evaluate(i - x[:, None, None], j - y[:, None, None], x[:, None, None], y[:, None, None])
    light = flux[:, None, None] * psi
    weight, charge = 450 / (0.2 + np.maximum(light, 0)), 50.0
    push = 3e-7 * flux[:, None, None] ** 2 * shifted_by_charge(library, x, y, i, j, charge)
    left = push + rng.normal(0, 1, psi.shape) / np.sqrt(weight)
    blurs = []
    for known in (None, charge, np.full((SIDE, SIDE), charge)):
        equations = field_equations(modes, library, x, y, flux, left, weight, i, j, known)
        blurs.append(solve_field(*equations, modes.optics.field_errors, likely=True)[1])
    assert np.any(blurs[0])
    assert not np.any(blurs[1:])


def test_given_library_follows_the_blur():
    """A few hundredths of a pixel of diffusion more, which no wavefront explains."""
    rng = np.random.default_rng(9)
    x, y, flux = stars(rng)
    true, start = sampled(BASE + DRIFT, diffusion=0.23), sampled(BASE)
    images = [exposure(true, x + d, y - d, np.maximum(flux, 150), rng) for d in (0.0, 0.3, -0.4)]
    planes = [lambda a, b, d=d: (a - d, b + d) for d in (0.0, 0.3, -0.4)]
    how = {"n_iterations": 2, "n_fitted": 1, "mesh": 60, "brighter_fatter": 0.0}
    found = build_library(images, planes, start=start, **how).library
    off, before = (np.abs(lib.data - true.data).max() for lib in (found, start))
    assert off < 0.1 * before
    assert found.data.max() == pytest.approx(true.data.max(), rel=2e-3)


def test_libraries_change_to_other_optics():
    library, other = sampled(BASE), sampled(BASE + DRIFT, diffusion=0.22)
    modes, nm = modes_of(library), np.zeros((3, MODES))
    nm[0] = DRIFT
    sign = np.sign(modes.wavefront.nm[0] @ BASE)  # that of all even terms is no one's to tell
    assert sign > 0
    now = modes.moved(nm, (0.02, 0.0, 0.0, 0.0))
    changed = modes.changed_to(now, library)
    off, before = (np.abs(lib.data - other.data).max() for lib in (changed, library))
    assert off < 0.03 * before
    np.testing.assert_array_equal(modes.changed_to(modes, library).data, library.data)


def test_given_library_follows_a_change_over_the_field():
    rng = np.random.default_rng(11)
    x, y, flux = stars(rng)
    corners = [(u, v) for v in (-1, 1) for u in (-1, 1)]
    true, start = (
        replace(
            sampled(BASE),
            data=np.concatenate([sampled(BASE + s * (2 + u - 0.5 * v) * DRIFT).data for u, v in corners]),
            x=np.array([0.0, SIDE]), y=np.array([0.0, SIDE]), borrowed=None,
        )
        for s in (1, 0)
    )  # fmt: skip
    images = [exposure(true, x + d, y - d, np.maximum(flux, 150), rng) for d in (0.0, 0.3, -0.4)]
    planes = [lambda a, b, d=d: (a - d, b + d) for d in (0.0, 0.3, -0.4)]
    how = {"n_iterations": 3, "n_fitted": 1, "mesh": 60, "brighter_fatter": 0.0}
    found = build_library(images, planes, start=start, **how).library
    off, change = (lib.data - true.data for lib in (found, start))
    assert np.abs(off - off.mean(0)).max() < 0.3 * np.abs(change - change.mean(0)).max()
    assert np.abs(off).max() < 0.2 * np.abs(change).max()


def test_wavefront_that_varies_over_the_field():
    """What stars in all of the field say of it and of the blur, their positions and fluxes unknown."""
    one = sampled(BASE)
    library = EPSFLibrary(np.repeat(one.data, 4, 0), [0, SIDE], [0, SIDE], 4, meta=META)
    modes = modes_of(library)
    rng = np.random.default_rng(3)
    x, y, flux = stars(rng)
    true = np.zeros((3, MODES))
    true[:, 1:5] = rng.normal(0, 2, (3, 4))
    u, v = x / (SIDE / 2) - 1, y / (SIDE / 2) - 1
    nm = np.stack([np.ones(x.size), u, v], 1) @ true
    offset = np.arange(-2, 3)
    i, j = (
        np.rint(x).astype(int)[:, None, None] + offset,
        np.rint(y).astype(int)[:, None, None] + offset[:, None],
    )
    at = i - x[:, None, None], j - y[:, None, None], x[:, None, None], y[:, None, None]
    psi, by_x, _ = library.evaluate(*at, gradient=True)
    left = sum(nm[:, k, None, None] * m.evaluate(*at) for k, m in enumerate(modes.libraries))
    more = 0.006, 0.0009, 0.004, 0.15  # pixels, share, logarithms
    left += sum(c * m.evaluate(*at) for c, m in zip(more, modes.blurs, strict=True))
    left = flux[:, None, None] * (left + 0.01 * by_x)  # as if the stars were 0.01 pixels off
    weight = 450 / (0.2 + flux[:, None, None] * np.maximum(psi, 0))
    left += rng.normal(0, 1, left.shape) / np.sqrt(weight)
    normal, right = field_equations(modes, library, x, y, flux, left, weight, i, j)
    errors = modes.optics.field_errors
    found, blur = solve_field(normal, right, errors)
    off = (found - true)[:, 1:5]
    assert np.sqrt(np.mean(off**2)) < 0.8 < 0.4 * np.sqrt(np.mean(true[:, 1:5] ** 2))
    assert np.all(np.abs(blur - more) < 0.4 * np.array(more))
    likely, surely = solve_field(normal, right, errors, likely=True)  # the prior that fits pulls less
    np.testing.assert_allclose(surely, blur, atol=0.05 * np.abs(more).max(), rtol=0.3)
    assert np.sqrt(np.mean((likely - true)[:, 1:5] ** 2)) < 0.8
    without = right - normal[:, -5:-1] @ more  # what the blur does to the residuals taken out
    still, none = solve_field(normal, without, errors, likely=True)
    assert not none.any()
    np.testing.assert_array_equal(still, solve_field(normal, without, errors)[0])
    now = modes.moved(true, blur).optics
    assert (now.diffusion, now.coupling) == pytest.approx(np.add((0.2, 0.005), blur[:2]), abs=0.002)
    longer = now.wavelength / modes.optics.wavelength, now.width / modes.optics.width
    np.testing.assert_allclose(np.log(longer), np.cumsum(blur[2:]))
    at_corner = modes.moved(true).wavefront.at(SIDE, SIDE) - modes.wavefront.at(SIDE, SIDE)
    np.testing.assert_allclose(at_corner, true.sum(0), atol=1e-9)
    few = slice(0, 4)
    none, _ = field_equations(
        modes, library, x[few], y[few], flux[few], left[few], weight[few], i[few], j[few]
    )
    assert not none.any()
