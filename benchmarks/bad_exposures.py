"""Claim: no false result ends without a word. Exposures and ePSFs are spoiled as users spoil them.

    python benchmarks/bad_exposures.py [CASE...] [--good N] [--kinds] [--seed 31] [--size 320] [--all]

A small field of four NIRISS exposures is simulated, one thing is made wrong in the ``_cal`` files, the
ePSF or the association, ``calwebb_hpastrom`` runs with the field's own ePSF, and the verdicts are compared
with what was done: a row a case with the overall verdict, the first cause, what the motions are off by
(robust scatter about the truth, mas/yr, and over their errors), and FAIL where the cause is not the right
one. Some harm nothing, and need no word: their motions say so. ``--good N`` runs N fields of other seeds,
sizes and filters as they are, ``--kinds`` ten of other kinds; they must have no "bad" and at most one "look".
`bad_runs.py` does the same with star lists, catalogs and distortions, `bad_epochs.py` with many epochs. The
exit status is 1 where a row fails. Some eight CPU seconds a case.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.coordinates import FK4, Angle
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from bad_runs import LOOK, judged, put, run_all, sky
from scipy.ndimage import convolve, gaussian_filter, maximum_filter, median_filter, shift

from jwst_hpastrom.checks import check_folder
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io import read_epsf, write_epsf_reference
from jwst_hpastrom.numerics import sigma_about_zero
from jwst_hpastrom.simulation import OpticsConfig, compare_proper_motions, simulate_field, write_field

os.environ["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"
ARRAYS = ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
TIMES = ("EXPSTART", "EXPMID", "EXPEND", "MJD-BEG", "MJD-AVG", "MJD-END")
DENSITY = 400 / 320**2  # stars a pixel
DO_NOT_USE, SATURATED = 1, 2


@dataclass
class Work:
    """The inputs of a run that are to be spoiled."""

    folder: Path
    members: list
    others: Path
    options: dict = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def path(self, k):
        return self.folder / self.members[k]


def make_field(folder, seed=31, size=320, band="F200W", **changes):
    """Write exposures, a catalog and the ePSF."""
    config = {"n_stars": int(DENSITY * size**2), "dither_arcsec": 4.0, "n_exposures": 4} | changes
    made = simulate_field(
        filter=band, seed=seed, size=size, optics=OpticsConfig(n_field=2, n_wavelengths=1),
        **config,
    )  # fmt: skip
    write_field(made, folder, truth=False)
    library = EPSFLibrary(*made.epsf.sampled(), meta={"filter": band}).normalized()
    write_epsf_reference(library, Path(folder) / "epsf.asdf")
    return made


# changes of an exposure's open file, given a random generator


def each(change, *, only=None):
    """Return a change of all exposures, or of one."""

    def spoil(work):
        for k in range(len(work.members)) if only is None else (only,):
            with fits.open(work.path(k), mode="update") as hdus:
                change(hdus, np.random.default_rng([7, k]))

    return spoil


def one(change):
    return each(change, only=1)


def errors(factor):
    def change(hdus, rng):
        hdus["ERR"].data *= factor
        for name in ("VAR_POISSON", "VAR_RNOISE"):
            hdus[name].data *= factor**2

    return change


def times(factor, *names):
    def change(hdus, rng):
        for name in names or ("SCI", "ERR"):
            hdus[name].data = (hdus[name].data * factor).astype("f4")

    return change


def image(function):
    """Return a change of the image: ``function(image, its sky's noise, rng)``; ERR knows of more light."""

    def change(hdus, rng):
        was, bad = np.nan_to_num(hdus["SCI"].data), ~np.isfinite(hdus["SCI"].data)
        noise, light = float(np.nanmedian(hdus["ERR"].data)), was[~bad] > np.nanpercentile(was, 90)
        d = np.asarray(function(was.copy(), noise, rng), "f4")
        photon = np.median(hdus["VAR_POISSON"].data[~bad][light] / was[~bad][light])
        d[bad] = np.nan
        hdus["SCI"].data = d
        hdus["ERR"].data = np.sqrt(hdus["ERR"].data ** 2 + photon * np.fmax(d - was, 0)).astype("f4")

    return change


def arrays(function, names=ARRAYS):
    def change(hdus, rng):
        for name in names:
            hdus[name].data = np.ascontiguousarray(function(hdus[name].data))

    return change


def header(**values):
    def change(hdus, rng):
        for hdu in hdus:
            for key in set(values) & set(hdu.header):
                v = values[key]
                hdu.header[key] = v(hdu.header[key]) if callable(v) else v

    return change


def without(*keys):
    def change(hdus, rng):
        for hdu in hdus:
            for key in set(keys) & set(hdu.header):
                del hdu.header[key]

    return change


def later(days):
    def change(hdus, rng):
        for hdu in hdus:
            for key in TIMES:
                if isinstance(hdu.header.get(key), float):
                    hdu.header[key] += days

    return change


def saturate(share):
    def change(hdus, rng):
        d = hdus["SCI"].data
        hdus["DQ"].data[d > np.nanpercentile(d, share)] |= SATURATED

    return change


def cores(hdus, rng):
    """Flags in every star's core."""
    d = np.nan_to_num(hdus["SCI"].data)
    peak = (d == maximum_filter(d, 5)) & (d > np.median(d) + 5 * np.nanmedian(hdus["ERR"].data))
    hdus["DQ"].data[maximum_filter(peak, 3)] |= SATURATED | DO_NOT_USE


def lost(share):
    def change(hdus, rng):
        hdus["SCI"].data[rng.random(hdus["SCI"].data.shape) < share] = np.nan

    return change


def blank(d, sigma, rng):
    return np.median(d) + rng.normal(0, sigma, d.shape)


def cosmic_rays(number):
    """Rays that no jump step found: two pixels each, up to the brightness of bright stars."""

    def change(d, sigma, rng):
        j, i = rng.integers(0, d.shape[0], number), rng.integers(0, d.shape[1] - 1, number)
        light = sigma * 10 ** rng.uniform(0.7, 3, number)
        d[j, i] += light
        d[j, i + 1] += light * rng.random(number)
        return d

    return change


def flat(sigma):
    """A flat field of another date: the same for all exposures."""

    def change(hdus, rng):
        error = np.random.default_rng(5).normal(1, sigma, hdus["SCI"].data.shape).astype("f4")
        for name in ("SCI", "ERR"):
            hdus[name].data *= error

    return change


def half(d, by=0.0, times=1.0):
    d[:, d.shape[1] // 2 :] = times * d[:, d.shape[1] // 2 :] + by
    return d


def moved(by, order=3):
    return image(lambda d, s, rng: shift(d, by, order=order, mode="nearest"))


def bent(d, sigma, rng, loss=0.05):
    """Response that falls with the light: no linearity correction."""
    top = np.percentile(d, 99.9)
    return d * (1 - loss * np.clip(d / top, 0, 2))


# changes of the folder, the association, the ePSF


def exchanged_dates(work):
    paths = [work.path(k) for k in (0, 1)]
    shutil.copy(paths[0], work.folder / "t.fits")
    with fits.open(work.folder / "t.fits") as other, fits.open(paths[1], mode="update") as hdus:
        for a, b in zip(other, hdus, strict=True):
            for key in (*TIMES, "DATE-OBS", "TIME-OBS"):
                if key in a.header:
                    b.header[key] = a.header[key]


def again(work, noise=0.0):
    """One exposure under a second name, with noise of its own."""
    name = work.members[0].replace("_00001_", "_00009_")
    shutil.copy(work.path(0), work.folder / name)
    work.members.append(name)
    with fits.open(work.folder / name, mode="update") as hdus:
        hdus[0].header["FILENAME"] = name
        hdus["SCI"].data += (noise * work.rng.normal(0, 1, hdus["SCI"].data.shape) * hdus["ERR"].data).astype(
            "f4"
        )


def undithered(work, **options):
    """One image, with noise anew, for all; each keeps its own header."""
    for k in range(1, len(work.members)):
        name = work.members[k]
        shutil.copy(work.path(0), work.path(k))
        with fits.open(work.path(k), mode="update") as hdus:
            hdus[0].header["FILENAME"] = name
            hdus["SCI"].data += (work.rng.normal(0, 1, hdus["SCI"].data.shape) * hdus["ERR"].data).astype(
                "f4"
            )
    work.options |= options


def of_filter(work, named="F200W"):
    """One exposure of another filter, which its header does not say."""
    path = sorted(work.others.glob("*_cal.fits"))[1]
    shutil.copy(path, work.path(1))
    with fits.open(work.path(1), mode="update") as hdus:
        if named:
            hdus[0].header["PUPIL"] = named
        hdus[0].header["FILENAME"] = work.members[1]


def wcs(k, turn=0.0, scale=1.0, of=None, offset=(0.0, 0.0)):
    """The WCS of one exposure or all (None) turned by degrees, scaled, moved (arcsec), or another's."""

    def spoil(work):
        from astropy.modeling.models import AffineTransformation2D
        from stdatamodels.jwst import datamodels

        for n in range(len(work.members)) if k is None else (k,):
            with datamodels.open(work.path(n)) as model:
                if of is not None:
                    with datamodels.open(work.path(of)) as other:
                        model.meta.wcs, model.meta.wcsinfo = other.meta.wcs, other.meta.wcsinfo
                else:
                    c, s = scale * np.cos(np.deg2rad(turn)), scale * np.sin(np.deg2rad(turn))
                    matrix = np.array([[c, -s], [s, c]])
                    middle = np.array([model.meta.wcsinfo.v2_ref, model.meta.wcsinfo.v3_ref])
                    change = AffineTransformation2D(matrix, middle - matrix @ middle + np.array(offset))
                    model.meta.wcs.insert_transform("v2v3", change, after=True)
                model.save(str(work.folder / "new.fits"))
            shutil.move(work.folder / "new.fits", work.path(n))

    return spoil


def summed(d, sigma, rng):
    """Two dithers added without a shift: every star is double."""
    return 0.5 * (d + np.roll(d, (2, 3), (0, 1)))


def library(function):
    """Return a run with a changed ePSF: ``function(EPSFLibrary)``."""

    def spoil(work):
        made = function(read_epsf(work.options["epsf_file"]))
        work.options["epsf_file"] = write_epsf_reference(made, work.folder / "other.asdf")

    return spoil


def samples(function):
    return library(lambda e: replace(e, data=np.ascontiguousarray(np.stack([function(a) for a in e.data]))))


def wings(a, radius=12.0):
    j, i = (np.abs(v - a.shape[0] // 2) for v in np.mgrid[: a.shape[0], : a.shape[1]])
    return np.where(np.hypot(j, i) < radius, a, 0)


def filter_epsf(work):
    made = read_epsf(str(work.others / "epsf.asdf"))
    made = replace(made, meta=dict(made.meta) | {"filter": "F200W"})
    work.options["epsf_file"] = write_epsf_reference(made, work.folder / "other.asdf")


def built(work):
    work.options.pop("epsf_file")


def options(**values):
    return lambda work: work.options.update(values)


# what else users do to their files before they hand them over


def gain(factor):
    """Photon noise of a gain that is wrong by a factor; the read noise is right."""

    def change(hdus, rng):
        was = hdus["VAR_POISSON"].data
        hdus["ERR"].data = np.sqrt(np.fmax(hdus["ERR"].data ** 2 + (factor - 1) * was, 0)).astype("f4")
        hdus["VAR_POISSON"].data = was * factor

    return change


def filled(share, of=lambda d: median_filter(d, 5)):
    """Pixels that were lost, and filled from their neighbors or by a number; DQ says that they are good."""

    def change(hdus, rng):
        d = hdus["SCI"].data
        lost_ = (rng.random(d.shape) < share) | ~np.isfinite(d)
        d[lost_] = np.broadcast_to(of(np.nan_to_num(d)), d.shape)[lost_]
        hdus["DQ"].data[:] = 0
        for n in NOISES:
            hdus[n].data[~np.isfinite(hdus[n].data)] = np.nanmedian(hdus[n].data)

    return change


def cleaned(d, sigma, rng):
    """Peaks above their neighbors' median taken for cosmic rays, and replaced by it."""
    low = median_filter(d, 3)
    return np.where((d - low > 5 * sigma) & (d - low > 0.5 * low), low, d)


def cropped(left, low):
    """Pixels cut off at the left and below, and as many added at the other sides; the header as it was."""
    return arrays(lambda a: np.pad(a[low:, left:], ((0, low), (0, left)), mode="edge"))


def in_part(change, *which):
    """Return a change of some exposures."""

    def spoil(work):
        for k in which:
            each(change, only=k)(work)

    return spoil


def trail(d, sigma, rng):
    return sum(np.roll(d, k, 1) for k in range(4)) / 4


def under_other_name(kind):
    """One exposure also as another product, as ``_crf``: the same pixels once more."""

    def spoil(work):
        name = work.members[0].replace("_cal", f"_{kind}")
        shutil.copy(work.path(0), work.folder / name)
        work.members.append(name)
        with fits.open(work.folder / name, mode="update") as hdus:
            hdus[0].header["FILENAME"] = name

    return spoil


def rate(work):
    """One exposure before ``calwebb_image2``: DN/s, without a WCS."""
    name = work.members[1].replace("_cal", "_rate")
    shutil.move(work.path(1), work.folder / name)
    work.members[1] = name
    with fits.open(work.folder / name, mode="update") as hdus:
        hdus[0].header["FILENAME"] = name
        del hdus["ASDF"]
        hdus["SCI"].header["BUNIT"] = "DN/s"
        for n in ("SCI", "ERR"):
            hdus[n].data *= 1 / hdus["SCI"].header.get("PHOTMJSR", 1.0)


def mosaic(work):
    """The resampled mosaic as one more exposure."""
    name = "field_i2d.fits"
    shutil.copy(work.path(0), work.folder / name)
    work.members.append(name)
    with fits.open(work.folder / name, mode="update") as hdus:
        hdus[0].header["FILENAME"] = name
        del hdus["DQ"]
        for n in ("CON", "WHT"):
            hdus.append(fits.ImageHDU(np.ones_like(hdus["SCI"].data), name=n))


def cut(size=None):
    """The lower left 256 x 256 pixels; ``size`` is what the header says they are, by default as before."""

    def change(hdus, rng):
        for name in ARRAYS:
            hdus[name].data = np.ascontiguousarray(hdus[name].data[:256, :256])
        if size:
            header(SUBSIZE1=size, SUBSIZE2=size)(hdus, rng)

    return change


def two_images(hdus, rng):
    hdus.append(fits.ImageHDU(hdus["SCI"].data, name="SCI", ver=2))


def in_dn(hdus, rng, unit="DN/s"):
    """Before ``photom``."""
    for n in ("SCI", "ERR"):
        hdus[n].data = hdus[n].data / hdus["SCI"].header["PHOTMJSR"]
    hdus["SCI"].header["BUNIT"] = unit


def borders(fill, *names):
    def change(hdus, rng):
        for n in names:
            hdus[n].data[:40] = hdus[n].data[:, -30:] = fill
        hdus["DQ"].data[:] = 0

    return change


def pairs_swapped(a):
    """Every two columns exchanged."""
    return a[:, (np.arange(a.shape[1]) ^ 1).clip(max=a.shape[1] - 1)]


def ipc(share):
    """Return the kernel of a capacitance that hands each of four neighbors a share."""
    return np.array([[0, share, 0], [share, 1 - 4 * share, share], [0, share, 0]])


def vignetted(d, sigma, rng, loss=0.2):
    y, x = (2 * np.abs(v / (n - 1) - 0.5) for v, n in zip(np.indices(d.shape), d.shape, strict=True))
    return d * (1 - loss * np.fmax(x, y) ** 2)


def pixels_off(k, pixels):
    """The WCS of a reference pixel that is off."""

    def spoil(work):
        from astropy.modeling.models import Identity, Shift
        from stdatamodels.jwst import datamodels

        for n in range(len(work.members)) if k is None else (k,):
            with datamodels.open(work.path(n)) as model:
                model.meta.wcs.insert_transform("detector", Shift(pixels) & Identity(1), after=True)
                model.save(str(work.folder / "new.fits"))
            shutil.move(work.folder / "new.fits", work.path(n))

    return spoil


def root_of(*names):
    """ERR of a part of the variances."""

    def change(hdus, rng):
        hdus["ERR"].data = np.sqrt(sum(hdus[n].data for n in names))

    return change


def catalog(change):
    """Return a run with a changed catalog: ``change(table)``, in place."""

    def spoil(work):
        table = Table.read(work.options["reference_catalog"])
        change(table)
        table.write(work.folder / "changed.ecsv")
        work.options["reference_catalog"] = str(work.folder / "changed.ecsv")

    return spoil


def named(**meta):
    """An ePSF that says it was made for something else."""
    return library(lambda e: replace(e, meta=dict(e.meta) | meta))


def sexagesimal(table):
    for c, unit in (("ra", "hourangle"), ("dec", "deg")):
        table[c] = Angle(np.asarray(table[c]), "deg").to_string(
            unit, sep=":", precision=7 if c == "ra" else 6
        )


def in_mjd(table):
    put(table, ref_epoch=Time(float(table.meta.pop("epoch")), format="jyear").mjd)


def alone(work):
    del work.members[1:]


def not_two(work):
    del work.members[2:]


SMALL, LARGE, OTHER_ERR = ("pixels are too small",), ("pixels are too large",), ("not of this exposure",)
EPSF, THIS, NOTHING = ("the ePSF does not fit",), ("fit this exposure", "ePSF does not fit"), (None,)
FLAT = ("flat field",)
NOISES = ("ERR", *ARRAYS[3:])
# name: (words of which one must be in the first cause or error, what is done); with None among the words no
# result is off by one of its errors, and none need be called bad
ERRORS = {
    "err_tenth": (SMALL, each(errors(0.1))),
    "err_third": (SMALL, each(errors(1 / 3))),
    "err_three": (LARGE, each(errors(3))),
    "err_ten": (LARGE, each(errors(10))),
    "err_one_third": (SMALL, one(errors(1 / 3))),
    "err_of_another": (OTHER_ERR, each(arrays(lambda a: np.roll(a, (131, 77), (0, 1)), NOISES))),
    "err_one_of_another": (OTHER_ERR, one(arrays(lambda a: np.roll(a, (131, 77), (0, 1)), NOISES))),
    "err_equal": (OTHER_ERR, each(arrays(lambda a: np.full_like(a, np.nanmedian(a)), ("ERR", *ARRAYS[3:5])))),
    "err_as_variance": (("pixels are too",), each(arrays(np.square, ("ERR",)))),
    "err_as_weight": ((*OTHER_ERR, "pixels are too"), each(arrays(lambda a: 1 / a, ("ERR",)))),
    "dq_zero": (NOTHING, each(arrays(np.zeros_like, ("DQ",)))),
    "dq_of_another": ((None, "core"), each(arrays(lambda a: np.roll(a, (131, 77), (0, 1)), ("DQ",)))),
    "dq_half_unusable": ((None, "pointing"), one(lambda h, rng: half(h["DQ"].data, times=0, by=DO_NOT_USE))),
    "all_saturated": ((None, "saturated"), each(saturate(97))),
    "cores_flagged": (("saturat", "core", "ePSF"), each(cores)),
    "pixels_lost": (("without values",), each(lost(0.3))),
    "one_pixels_lost": (("without values",), one(lost(0.4))),
    "one_without_values": (("no pixel",), one(lost(1.1))),
}  # fmt: skip
IMAGES = {
    "one_blank": (("no star", "stars"), one(image(blank))),
    "one_zero": (("no star",), one(times(0.0, "SCI"))),
    "one_negative": (("no star",), one(times(-1.0, "SCI"))),
    "flipped": (("x and y",), each(arrays(lambda a: a[:, ::-1]))),
    "transposed": (("x and y",), each(arrays(np.transpose))),
    "one_flipped": (("x and y", "stars in common", *THIS), one(arrays(lambda a: a[:, ::-1]))),
    "one_transposed": (("x and y", "stars in common", *THIS), one(arrays(np.transpose))),
    "one_turned": (("x and y", "stars in common", *THIS), one(arrays(np.rot90))),
    "one_shifted_by_200": (("stars in common", "fit this exposure", "guide star"),
                           one(arrays(lambda a: np.roll(a, 200, 1)))),
    "one_binned_and_repeated": (
        (*EPSF, *THIS), one(arrays(lambda a: np.kron(a[::2, ::2], np.ones((2, 2), a.dtype))))
    ),
    "resampled": ((*EPSF, "resampled"), each(moved((0.5, 0.5)))),
    "resampled_linearly": ((*EPSF, "resampled"), each(moved((0.5, 0.5), 1))),
    "smoothed": ((*EPSF, "resampled"), each(image(lambda d, s, rng: gaussian_filter(d, 1.2)))),
    "smoothed_little": ((*EPSF, "resampled"), each(image(lambda d, s, rng: gaussian_filter(d, 0.5)))),
    "one_trailed": (
        (*EPSF, *THIS), one(image(lambda d, s, rng: sum(np.roll(d, k, 1) for k in range(4)) / 4))
    ),
    "one_trailed_little": (EPSF, one(image(lambda d, s, rng: 0.5 * (d + shift(d, (0, 0.8), order=3))))),
    "one_doubled": (("double exposure",), one(image(summed))),
    "doubled": (("double exposure",), each(image(summed))),
    "in_dn_one": (("other units",), one(times(3000.0))),
    "in_dn_all": (NOTHING, each(times(3000.0))),
    "one_photmjsr": (NOTHING, one(header(PHOTMJSR=lambda v: 2 * v))),
    "bunit_dn": (NOTHING, each(header(BUNIT="DN/s"))),
    "no_photmjsr": (NOTHING, each(without("PHOTMJSR"))),
    "in_electrons": ((None, "other units"), one(times(1.6))),
    "dead_amplifier": (("dead amplifier",), one(image(lambda d, s, rng: half(d, times=0.0)))),
    "dead_amplifier_in_all": (("dead amplifier",), each(image(lambda d, s, rng: half(d, times=0.0)))),
    "gain_of_half": ((None, *FLAT), each(lambda h, rng: [half(h[n].data, times=1.1) for n in ARRAYS[:2]])),
    "stripe_in_half": (NOTHING, one(image(lambda d, s, rng: half(d, by=20 * s)))),
    "odd_even_columns": (
        (None, *SMALL), each(image(lambda d, s, rng: d + 3 * s * (np.arange(d.shape[1]) % 2)))
    ),
    "stripes": ((None, *SMALL), each(image(lambda d, s, rng: d + rng.normal(0, s, (d.shape[0], 1))))),
    "stripes_strong": (SMALL, each(image(lambda d, s, rng: d + rng.normal(0, 4 * s, (d.shape[0], 1))))),
    "cosmic_rays": ((None, "cosmic rays"), each(image(cosmic_rays(600)))),
    "one_cosmic_rays": ((None, "cosmic rays"), one(image(cosmic_rays(2000)))),
    "sky_twice": (NOTHING, each(image(lambda d, s, rng: d - 2 * np.median(d)))),
    "sky_with_starlight": (("starlight",), each(image(lambda d, s, rng: d - median_filter(d, 9)))),
    "sky_with_starlight_5": (("starlight", *EPSF), each(image(lambda d, s, rng: d - median_filter(d, 5)))),
    "sky_with_starlight_15": (("starlight", None), each(image(lambda d, s, rng: d - median_filter(d, 15)))),
    "flat_2_percent": ((None, *FLAT), each(flat(0.02))),
    "flat_5_percent": (FLAT, each(flat(0.05))),
    "flat_tilted": (NOTHING, each(image(lambda d, s, rng: d * np.linspace(0.99, 1.01, d.shape[1])))),
    "not_linear": ((None, *EPSF), each(image(bent))),
    "ghost": ((None,), each(image(lambda d, s, rng: d + 0.01 * d[::-1, ::-1]))),
    "persistence": ((None, "stars"), each(image(lambda d, s, rng: d + 0.02 * np.roll(d, (40, 55), (0, 1))))),
}  # fmt: skip
FOLDERS = {
    "date_of_another": (NOTHING, exchanged_dates),
    "date_half_a_year": ((LOOK, "time"), one(later(183))),
    "date_two_years": (("time",), one(later(731))),
    "dates_five_years": (("epoch", "EXPMID"), each(later(-5 * 365.25))),
    "date_missing": ((None, "EXPMID"), one(without("EXPMID"))),
    "one_twice": (("twice", "same stars"), again),
    "one_twice_with_noise": (("twice",), lambda w: again(w, 0.05)),
    "one_alone": (("one exposure alone",), alone),
    "two_only": ((LOOK, "two exposures"), not_two),
    "undithered": (("not dithered",), undithered),
    "of_filter": (("wrong filter", *THIS), of_filter),
    "of_filter_named": (("F090W",), lambda w: of_filter(w, None)),
    "wcs_of_another": (("guide star", "WCS"), wcs(1, of=2)),
    "roll_one": ((None, "roll"), wcs(1, turn=0.5)),
    "roll_all": (("rotated", "roll"), wcs(None, turn=0.5)),
    "roll_all_little": (NOTHING, wcs(None, turn=0.05)),
    "pointing_one": (("guide star",), wcs(1, offset=(2.0, 0.0))),
    "pointing_all": (("shifted",), wcs(None, offset=(2.0, 0.0))),
    "scale_all": (("scaled",), wcs(None, scale=1.004)),
    "scale_one": ((None, "scale"), wcs(1, scale=1.004)),
    "aberration": (NOTHING, wcs(None, scale=1.0001)),
    "wcs_upside_down": (("WCS", "another field", "stars in common"), wcs(None, scale=-1.0)),
    "pixel_area": (NOTHING, each(header(PIXAR_SR=lambda v: 2 * v, PIXAR_A2=lambda v: 2 * v))),
    "subarray_origin": ((None,), each(header(SUBSTRT1=lambda v: v - 256))),
}  # fmt: skip
EPSFS = {
    "epsf_of_filter": (EPSF, filter_epsf),
    "epsf_transposed": (EPSF, samples(np.transpose)),
    "epsf_mirrored": (EPSF, samples(lambda a: a[:, ::-1])),
    "epsf_turned": (EPSF, samples(np.rot90)),
    "epsf_shifted": (NOTHING, samples(lambda a: shift(a, (1.2, 1.2), order=3))),
    "epsf_shifted_by_a_pixel": ((None, *EPSF), samples(lambda a: np.roll(a, 4, 0))),
    "epsf_twice": ((None, "normalized", *EPSF), samples(lambda a: 2 * a)),
    "epsf_wide": ((*EPSF, "does the ePSF fit"), samples(lambda a: gaussian_filter(a, 4))),
    "epsf_wide_little": (EPSF, samples(lambda a: gaussian_filter(a, 1.5))),
    "epsf_without_wings": (NOTHING, samples(wings)),
    "epsf_oversampling_5": (EPSF, library(lambda e: replace(e, oversampling=5))),
    "epsf_oversampling_3": (("oversampling",), library(lambda e: replace(e, oversampling=3))),
    "epsf_field_mirrored": (NOTHING, library(lambda e: replace(e, data=e.data[::-1].copy()))),
    "epsf_negative": (("ePSF", "stars", "library"), samples(lambda a: -a)),
    "epsf_noise": (("ePSF", "stars"), samples(lambda a: np.random.default_rng(1).permuted(a))),
}  # fmt: skip
USERS = {
    "gain_of_twice": ((None, *SMALL, LOOK), each(gain(0.5))),
    "gain_of_half_the_noise": ((None, *LARGE, LOOK), each(gain(2.0))),
    "pixels_filled": ((None, *FLAT, "cosmic"), each(filled(0.05))),
    "pixels_zero": (
        ("one and the same value",), each(filled(0.05, lambda d: 0.0))
    ),
    "stars_as_cosmic_rays": (EPSF, each(image(cleaned))),
    "cropped": (("shifted", "cut"), each(cropped(40, 12))),
    "one_cropped": (("guide star", "cut"), one(cropped(40, 12))),
    "half_trailed": ((*EPSF, *THIS), in_part(image(trail), 0, 1)),
    "half_pointing": (("guide star",), lambda w: [wcs(k, offset=(2.0, 0.0))(w) for k in (0, 1)]),
    "half_turned": (("x and y", "stars in common", *THIS), in_part(arrays(np.rot90), 0, 1)),
    "turned": (("x and y",), each(arrays(np.rot90))),
    "turned_over": (("x and y",), each(arrays(lambda a: a[::-1, ::-1]))),
    "upside_down": (("x and y",), each(arrays(lambda a: a[::-1]))),
    "one_twice_as_crf": (("_crf.fits",), under_other_name("crf")),
    "one_rate": (("WCS",), rate),
    "with_mosaic": (("resampled", "DQ", "same stars"), mosaic),
    "detector_of_another": (("detector", "NIRCam", "NRCB1"), one(header(DETECTOR="NRCB1"))),
    "rows_leveled": (
        (None, *EPSF, *SMALL, "starlight"), each(image(lambda d, s, rng: d - d.mean(1)[:, None] + d.mean()))
    ),
    "epsf_of_detector_named": (("NRCB1",), named(instrument="NIRCAM", detector="NRCB1")),
    "epsf_of_filter_named": (("F090W",), named(filter="F090W")),
    "catalog_1950": (("B1950",), catalog(lambda t: sky(t, FK4(equinox="B1950")))),
    "catalog_hours": (("hours",), catalog(lambda t: put(t, ra=np.asarray(t["ra"]) / 15))),
    "catalog_sexagesimal": ((None, "ra"), catalog(sexagesimal)),
    "catalog_epoch_mjd_column": (("epoch", None), catalog(in_mjd)),
    "catalog_epoch_text": ((None, "epoch"), catalog(lambda t: t.meta.update(epoch=f"J{t.meta['epoch']}"))),
}  # fmt: skip
HEADERS = {
    "expmid_alone": (("EXPMID",), each(header(EXPMID=lambda v: v + 800))),
    "subarray_off_detector": (("place on the detector",), each(header(SUBSTRT1=2000))),
    "cut_without_its_size": (("SUBSIZE1",), each(cut())),
    "one_cut": ((None, LOOK), one(cut(256))),
    "two_images_in_one": (("extensions SCI",), one(two_images)),
    "one_in_dn": (("not convertible",), one(in_dn)),
    "va_scale": (("VA_SCALE",), each(header(VA_SCALE=1.01))),
    "borders_without_values": (NOTHING, each(borders(np.nan, "SCI", "ERR"))),
    "borders_zero": (("one and the same value",), each(borders(0.0, "SCI"))),
    "err_of_read_noise": (OTHER_ERR, each(root_of("VAR_RNOISE"))),
    "err_of_photons": ((None, *SMALL), each(root_of("VAR_POISSON"))),
}
swapped = arrays(lambda a: np.roll(a, a.shape[1] // 2, 1))
row_lost = arrays(lambda a: np.concatenate([np.delete(a, len(a) // 2, 0), a[-1:]]))
rows_moved = arrays(lambda a: np.concatenate([a[: len(a) // 2], np.roll(a[len(a) // 2 :], 1, 1)]))
DETECTOR = {
    "halves_swapped": (("shifted", "x and y"), each(swapped)),
    "one_halves_swapped": (
        ("guide star", "stars in common", *THIS),
        one(swapped),
    ),
    "row_lost": (("distortion that does not fit",), each(row_lost)),
    "one_row_lost": (THIS, one(row_lost)),
    "rows_moved": (("distortion that does not fit",), each(rows_moved)),
    "one_rows_moved": (THIS, one(rows_moved)),
    "columns_swapped": (EPSF, each(arrays(pairs_swapped))),
    "one_columns_swapped": (EPSF, one(arrays(pairs_swapped))),
    "ipc": (EPSF, each(image(lambda d, s, rng: convolve(d, ipc(0.02))))),
    "ipc_little": ((None, *EPSF), each(image(lambda d, s, rng: convolve(d, ipc(0.005))))),
    "one_ipc": ((*EPSF, None), one(image(lambda d, s, rng: convolve(d, ipc(0.02))))),
    "vignetting": (NOTHING, each(image(vignetted))),
    "one_vignetting": (NOTHING, one(image(vignetted))),
    "flat_twice": ((None, *FLAT), each(flat(0.01))),
    "dates_in_jd": (("EXPMID", "date", "time"), each(later(2400000.5))),
    "one_date_in_jd": (("EXPMID", "date", "time"), one(later(2400000.5))),
    "dates_in_future": (("epoch",), each(later(3652))),
    "one_date_in_future": (("time", "date"), one(later(3652))),
    "crpix": (NOTHING, each(header(CRPIX1=lambda v: v + 100))),
    "wcs_pixels_off": (("shifted",), pixels_off(None, 100)),
    "one_wcs_pixels_off": (("guide star",), pixels_off(1, 100)),
}
CASES = {"given": ((), lambda w: None), "built": ((), built)}
CASES |= ERRORS | IMAGES | FOLDERS | EPSFS | USERS | HEADERS | DETECTOR


def run(source, others, spoil, made=None):
    """Run the pipeline on a field, spoiled or not; return checks, error, and what motions are off by."""
    from jwst_hpastrom.steps import HPAstromPipeline

    with tempfile.TemporaryDirectory() as folder:
        folder, error, checks, off = Path(folder), None, [], ""
        members = sorted(p.name for p in source.glob("*_cal.fits"))
        for name in members:
            shutil.copy(source / name, folder / name)
        given = {
            "epsf_file": str(source / "epsf.asdf"),
            "reference_catalog": str(source / "first_epoch.ecsv"),
        }
        work = Work(folder, members, others, given)
        out = folder / "out"
        out.mkdir()
        try:
            spoil(work)
            asn = folder / "field_asn.json"
            asn.write_text(json.dumps(association(work.members)))
            HPAstromPipeline.call(str(asn), output_dir=str(out), **work.options)
        except HPAstromError as err:
            error = f"{type(err).__name__}: {err}"
        if list(out.glob("*_checks.ecsv")):
            checks = check_folder(out)
        for path in out.glob("*_pm.ecsv") if made is not None else ():
            off = motions_off(made, Table.read(path))
        return checks, error, off


def motions_off(made, motions):
    """Robust scatter of the brighter half of the motions about the truth, and over their errors."""
    try:
        found = compare_proper_motions(made, motions)
    except (HPAstromError, ValueError, IndexError):
        return "none"
    if len(found) < 20:
        return "none"
    found = found[np.argsort(found["mag"])[: len(found) // 2]]
    d = [np.asarray(found[f"d{c}"] - np.median(found[f"d{c}"])) for c in ("pmra", "pmdec")]
    e = [np.asarray(found[f"{c}_error"]) for c in ("pmra", "pmdec")]
    return f"{sigma_about_zero(np.r_[*d]):.3f} {sigma_about_zero(np.r_[*d] / np.r_[*e]):.2f}"


def association(members):
    return {
        "asn_type": "image3", "asn_rule": "x", "asn_id": "a3001", "asn_pool": "none",
        "products": [{"name": "field", "members": [{"expname": m, "exptype": "science"} for m in members]}],
    }  # fmt: skip


def few_references(work, n=25):
    catalog(lambda t: t.remove_rows(slice(n, None)))(work)


def of_nircam(work):
    """The long-wavelength detector whose pixels are nearly NIRISS's, with an ePSF of its own."""
    built(work)
    for k, name in enumerate(work.members):
        each(
            header(
                INSTRUME="NIRCAM", DETECTOR="NRCBLONG", FILTER="F277W", PUPIL="CLEAR", EXP_TYPE="NRC_IMAGE"
            ),
            only=k,
        )(work)
        with fits.open(work.path(k), mode="update") as hdus:
            of = {"MODULE": "B", "CHANNEL": "LONG", "FILENAME": name.replace("_nis", "_nrcblong")}
            hdus[0].header.update(of)
        work.members[k] = name.replace("_nis", "_nrcblong")
        shutil.move(work.folder / name, work.path(k))


#: good runs of other kinds: what is simulated, and what is done to the inputs
KINDS = {
    "F090W": ({"band": "F090W"}, built),
    "F277W": ({"band": "F277W"}, built),
    "F480M": ({"band": "F480M"}, built),
    "sparse": ({"n_stars": 200, "n_exposures": 6}, built),
    "dense": ({"n_stars": 20000, "n_exposures": 6}, built),
    "given library": ({"band": "F115W"}, lambda work: None),
    "few references": ({"n_exposures": 6}, few_references),
    "nine exposures": ({"n_exposures": 9, "focus_nm": 3.0}, built),
    "at RA 0, near the pole": ({"target": (0.0, 84.0)}, built),
    "NIRCam": ({"band": "F277W", "n_exposures": 6}, of_nircam),
}


def good_fields(n, seed):
    """Fields of other seeds, sizes, densities and filters."""
    for k in range(n):
        rng = np.random.default_rng([78, seed, k])
        size, band = int(rng.integers(260, 420)), str(rng.choice(("F115W", "F150W", "F200W", "F277W")))
        stars = int(DENSITY * size**2 * 10 ** rng.uniform(-0.3, 0.2))
        yield {"seed": 1000 * seed + k, "size": size, "band": band, "n_stars": stars}


def main(argv=None):
    """Run cases, print a line for each; return 1 where one was not judged as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--good", type=int, default=0, metavar="N")
    parser.add_argument("--kinds", action="store_true", help="judge good fields of other kinds")
    parser.add_argument("--all", action="store_true", help="show all that is not ok")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--size", type=int, default=320)
    args = parser.parse_args(argv)
    if args.list:
        print(*CASES, sep="\n")
        return 0
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        field, others = Path(folder) / "field", Path(folder) / "others"
        made = None
        if args.good:
            todo = [(f"good {g['seed']} {g['band']} {g['size']}", (), lambda w: None, g)
                    for g in good_fields(args.good, args.seed)]  # fmt: skip
        elif args.kinds:
            todo = [(f"good {k}", (), KINDS[k][1], {"seed": args.seed, "size": args.size} | KINDS[k][0])
                    for k in args.cases or KINDS]  # fmt: skip
        else:
            made = make_field(field, args.seed, args.size)
            make_field(others, args.seed, args.size, "F090W")
            todo = [(name, *CASES[name], None) for name in args.cases or CASES]

        def run_judged(name, words, spoil, good):
            of = made
            if good:
                shutil.rmtree(field, ignore_errors=True)
                of = make_field(field, **good)
            checks, error, off = run(field, others, spoil, of)
            right, text = judged(name, words, checks, error)
            return right, f"{text}  [{off}]", checks

        return run_all([lambda row=row: run_judged(*row) for row in todo], args.all)


if __name__ == "__main__":
    sys.exit(main())
