"""The calibration of a detector and filter: from a folder, by a pattern, from a file of eight detectors."""

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.io.calibrations.by_detector import check_made_for, file_for, group_name
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.io.calibrations.stdpsf import MOSAIC, read_stdpsf, write_stdpsf
from jwst_hpastrom.io.exposures.beams import read_beam

B1 = {"detector": "NRCB1", "filter": "F200W"}
EPSF, DISTORTION = "an ePSF library", "a distortion"


def touch(folder, *names):
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    ("names", "meta", "kind", "found"),
    [
        (("STDPSF_NRCB1_F200W.fits", "STDPSF_NRCB2_F200W.fits", "STDPSF_NRCB1_F150W.fits"), B1, EPSF, 0),
        (("visit_nrcb1_f200w_epsf.fits", "visit_nrcb1_f200w_epsf.asdf", "visit_nrcb2_f200w_epsf.fits"),
         B1, EPSF, 0),
        (("STDPSF_NRCBL_F277W.fits",), {"detector": "NRCBLONG", "filter": "F277W"}, EPSF, 0),
        (("STDPSF_NRCSW_F150W.fits", "STDPSF_NRCSW_F200W.fits"), B1, EPSF, 1),
        (("v_nrcb1_f200w_distortion.asdf", "v_nrcb1_f200w_placed_distortion.asdf",
          "v_nrcb1_f200w_stdgdc.fits"), B1, DISTORTION, 0),
        (("STDGDC_NRCB1_F200W.fits", "STDGDC_NRCB10_F200W.fits"), B1, DISTORTION, 0),
    ],
)  # fmt: skip
def test_found_in_a_folder_by_name(tmp_path, names, meta, kind, found):
    touch(tmp_path, *names)
    assert file_for(tmp_path, meta, kind) == str(tmp_path / names[found])


def test_none_or_several_are_refused(tmp_path):
    touch(tmp_path, "STDPSF_NRCB2_F200W.fits", "a_nrcb1_f200w_distortion.asdf")
    with pytest.raises(BadReferenceFileError, match="no file named after NRCB1 and F200W"):
        file_for(tmp_path, B1, EPSF)
    touch(tmp_path, "b_nrcb1_f200w_distortion.asdf")
    with pytest.raises(BadReferenceFileError, match="a_nrcb1_f200w_distortion.asdf and b_"):
        file_for(tmp_path, B1, DISTORTION)


def test_a_file_and_a_pattern():
    assert file_for("some.fits", B1, EPSF) == "some.fits"
    assert file_for("o/{detector}_{filter}.asdf", B1, DISTORTION) == "o/nrcb1_f200w.asdf"
    assert group_name("visit", B1) == "visit_nrcb1_f200w"


def library(central, size=21, nodes=5):
    offset = (np.arange(size) - size // 2) / 4
    psf = np.exp(-0.5 * (offset**2 + offset[:, None] ** 2) / (0.8 + 0.01 * central) ** 2)
    places = np.linspace(0, 2047, nodes)
    return EPSFLibrary(np.repeat(psf[None], nodes**2, 0), places, places, meta=B1).normalized()


def of_eight(path):
    """A file of all short-wave detectors as they are published: 20 x 10 positions."""
    from astropy.io import fits

    parts = [library(k) for k in range(8)]
    n = parts[0].data.shape[1]
    data = np.empty((10, 20, n, n), ">f4")
    for k, part in enumerate(parts):
        row, column = divmod(k, 4)
        data[5 * row : 5 * row + 5, 5 * column : 5 * column + 5] = part.data.reshape(5, 5, n, n)
    hdu = fits.PrimaryHDU(data.reshape(200, n, n))
    hdu.header["NXPSFS"], hdu.header["NYPSFS"] = 20, 10
    places = [1, 513, 1024, 1536, 2048]
    for prefix, number in (("IPSFX", 4), ("JPSFY", 2)):
        for k in range(number):
            hdu.header[f"{prefix}{'ABCD'[k]}5"] = " ".join(str(p + 2048 * k) for p in places)
    hdu.writeto(path)
    return parts


def test_one_of_eight_detectors(tmp_path):
    path = tmp_path / "STDPSF_NRCSW_F200W.fits"
    parts = of_eight(path)
    for k, name in enumerate(MOSAIC):
        found = read_epsf(tmp_path, {"detector": name, "filter": "F200W"})
        np.testing.assert_allclose(found.data, parts[k].data, rtol=1e-6)
        np.testing.assert_allclose(found.x, [0, 512, 1023, 1535, 2047])
        np.testing.assert_allclose(found.y, found.x)
        found.check_made_for({"detector": name, "filter": "F200W"})
    with pytest.raises(BadReferenceFileError, match="8 detectors for an unknown one"):
        read_stdpsf(path)
    with pytest.raises(BadReferenceFileError, match="8 detectors for NRCBLONG"):
        read_stdpsf(path, detector="NRCBLONG")


def test_the_same_detector_as_photutils(tmp_path):
    psf = pytest.importorskip("photutils.psf")
    path = tmp_path / "STDPSF_NRCSW_F200W.fits"
    of_eight(path)
    for number, name in ((1, "NRCA1"), (6, "NRCB2"), (7, "NRCB3"), (5, "NRCB1")):
        theirs = psf.stdpsf_reader(str(path), detector_id=number)
        ours = read_stdpsf(path, detector=name)
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-6)
        places = np.array([(x, y) for y in ours.y for x in ours.x])
        np.testing.assert_allclose(places, theirs.meta["grid_xypos"])


def test_a_librarys_folder(tmp_path):
    write_stdpsf(library(1), tmp_path / "STDPSF_NRCB1_F200W.fits")
    write_epsf_reference(library(2), tmp_path / "STDPSF_NRCB1_F200W_epsf.asdf")
    assert read_epsf(tmp_path, B1).meta["epsf_file"] == "STDPSF_NRCB1_F200W.fits"


def test_what_headers_do_not_tell(tmp_path):
    (tmp_path / "x.fits").write_text("no FITS")
    assert read_beam(tmp_path / "x.fits") == read_beam(tmp_path / "gone.fits") == read_beam("a.asdf") == {}


@pytest.mark.parametrize("made_for", [{"detector": "NRCB1"}, {"instrument": "NIRISS", "detector": "NRCB1"}])
def test_a_distortion_of_another_detector(made_for):
    with pytest.raises(BadReferenceFileError, match="x.asdf: found a distortion of NRCB1 for exp"):
        check_made_for("x.asdf", made_for, {"instrument": "NIRISS", "detector": "NIS"})


def test_filters_have_one_spelling(caplog):
    check_made_for("x.asdf", {"filter": "f200w"}, {"filter": "F200W"})
    assert not caplog.text
    check_made_for("x.asdf", {"filter": "f200w"}, {"filter": "F150W"})
    assert "a distortion of F200W for exposures in F150W" in caplog.text
