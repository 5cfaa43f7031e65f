"""The table of instruments: against pysiaf and the data models, and what `identify` accepts and refuses."""

import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import ImageModel
from stdatamodels.schema import merge_property_trees

from jwst_hpastrom.distortion import solution
from jwst_hpastrom.errors import MissingDataError, ParameterError, UnsupportedExposureError
from jwst_hpastrom.instrument import (
    INSTRUMENTS,
    amplifiers,
    detector_of,
    filter_of,
    identify,
    instrument_of,
    nominal_scale,
    outputs,
    pixel_mas,
    shape_of,
    stripes,
    wheels,
)

APERTURES = {
    "NIRISS": {"NIS": "NIS_CEN"},
    "NIRCam": {d: f"{d.replace('LONG', '5')}_FULL" for d in INSTRUMENTS["NIRCAM"].detectors},
    "FGS": {"GUIDER1": "FGS1_FULL", "GUIDER2": "FGS2_FULL"},
    "MIRI": {"MIRIMAGE": "MIRIM_FULL"},
}


def test_rows_are_siaf():
    pysiaf = pytest.importorskip("pysiaf")
    for instrument, detectors in APERTURES.items():
        siaf, rows = pysiaf.Siaf(instrument), INSTRUMENTS[instrument.upper()].detectors
        assert set(detectors) == set(rows)
        for name, aperture in detectors.items():
            a, row = siaf[aperture], rows[name]
            assert row.shape == (a.YSciSize, a.XSciSize)
            assert row.scale == pytest.approx(np.sqrt(a.XSciScale * a.YSciScale), rel=3e-3), name
            assert row.reference == (a.XSciRef, a.YSciRef)
            # the SIAF follows the telescope: a new release may move an aperture a little
            np.testing.assert_allclose((row.v2, row.v3), (a.V2Ref, a.V3Ref), atol=0.5)
            assert row.angle == pytest.approx(a.V3IdlYAngle, abs=0.1)
            assert row.parity == a.VIdlParity


def test_names_are_those_of_the_data_models():
    meta = merge_property_trees(ImageModel().schema)["properties"]["meta"]["properties"]
    known = {k: set(v["enum"]) for k, v in meta["instrument"]["properties"].items() if "enum" in v}
    for name, instrument in INSTRUMENTS.items():
        assert name in known["name"]
        assert instrument.exp_type in meta["exposure"]["properties"]["type"]["enum"]
        assert set(instrument.detectors) <= known["detector"]
        for row in instrument.filters.values():
            assert row.wheel in known["filter"]
            assert row.pupil is None or row.pupil in known["pupil"]


def test_names_in_any_case():
    assert instrument_of({"instrument": "nircam"}) == "NIRCAM"
    assert filter_of("f150w", "nircam").wavelength == filter_of("F150W", "NIRCAM").wavelength
    assert wheels({"instrument": "niriss", "filter": "f150w"}) == ("CLEAR", "F150W")
    assert pixel_mas({"instrument": "nircam", "detector": "nrcb5"}) == pytest.approx(63.0)
    assert pixel_mas({}) == pytest.approx(65.6)


def test_filters_say_their_wavelengths():
    for instrument in INSTRUMENTS.values():
        for name, row in instrument.filters.items():
            digits = re.match(r"F(\d+)", name)[1]
            assert row.wavelength == pytest.approx(int(digits) / 100, rel=0.12), name
            assert 0 < row.width < row.wavelength
            assert identify_row(instrument, row) == name


def identify_row(instrument, row):
    name = next(n for n, i in INSTRUMENTS.items() if i is instrument)
    detector = next(
        d for d, v in instrument.detectors.items() if v.wavelengths[0] <= row.wavelength <= v.wavelengths[1]
    )
    return identify(name, detector, instrument.exp_type, row.wheel, row.pupil).filter


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (("NIRCAM", "NRCB1", "NRC_IMAGE", "F150W2", "F162M"), "F162M"),
        (("NIRCAM", "NRCA5", "NRC_IMAGE", "F444W", "F470N"), "F470N"),
        (("NIRISS", "NIS", "NIS_IMAGE", "CLEAR", "F200W"), "F200W"),
        (("MIRI", "MIRIMAGE", "MIR_IMAGE", "F560W", None), "F560W"),
        (("MIRI", "MIRIMAGE", "MIR_IMAGE", "F560W", "N/A"), "F560W"),
        (("FGS", "GUIDER2", "FGS_IMAGE", None, None), "FGS"),
        (("FGS", "GUIDER1", "FGS_IMAGE", "N/A", "N/A"), "FGS"),
        (("FGS", "GUIDER1", "FGS_IMAGE", "NONE", ""), "FGS"),
    ],
)
def test_the_filter_in_the_beam(header, expected):
    assert identify(*header).filter == expected


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (("NIRCAM", "NRCB1", "NRC_CORON", "F210M", "MASKRND"), r"NRC_CORON \(a coronagraph\)"),
        (("NIRCAM", "NRCB1", "NRC_DARK", "F210M", "CLEAR"), r"NRC_DARK \(a dark\)"),
        (("NIRCAM", "NRCALONG", "NRC_WFSS", "F444W", "GRISMR"), r"NRC_WFSS \(a grism\)"),
        (("NIRCAM", "NRCALONG", "NRC_IMAGE", "F444W", "GRISMR"), r"GRISMR \(a grism\)"),
        (("NIRCAM", "NRCB1", "NRC_IMAGE", "F210M", "MASKRND"), r"MASKRND \(a coronagraph\)"),
        (("NIRCAM", "NRCB1", "NRC_IMAGE", "F200W", "WLP8"), r"WLP8 \(a weak lens\)"),
        (("NIRISS", "NIS", "NIS_IMAGE", "GR150C", "F115W"), r"GR150C \(a grism\)"),
        (("NIRISS", "NIS", "NIS_IMAGE", "F480M", "NRM"), r"NRM \(an aperture mask\)"),
        (("MIRI", "MIRIMAGE", "MIR_IMAGE", "F1140C", None), r"F1140C \(a coronagraph\)"),
        (("MIRI", "MIRIMAGE", "MIR_LRS-SLITLESS", "P750L", None), r"\(a prism\)"),
        (("MIRI", "MIRIFUSHORT", "MIR_MRS", None, None), r"MIR_MRS \(an integral-field unit\)"),
        (("MIRI", "MIRIMAGE", "MIR_DARKMRS", "OPAQUE", None), r"MIR_DARKMRS \(a dark\)"),
        (("FGS", "GUIDER1", "FGS_DARK", None, None), r"FGS_DARK \(a dark\)"),
        (("FGS", "GUIDER1", "FGS_FINEGUIDE", None, None), r"FGS_FINEGUIDE \(guiding\)"),
        (("FGS", "GUIDER1", "FGS_IMAGE", "GRISMR", None), r"GRISMR \(a grism\) in the beam of FGS"),
        (("FGS", "GUIDER1", "FGS_IMAGE", "F200W", None), "F200W in the beam of FGS"),
        (("NIRCAM", "NRCB1", "NRC_IMAGE", "F444W", "CLEAR"), "filter F444W on NRCB1"),
        (("NIRCAM", "NIS", "NRC_IMAGE", "F200W", "CLEAR"), "DETECTOR NIS of NIRCAM"),
        (("NIRISS", "NRCB1", "NIS_IMAGE", "CLEAR", "F200W"), "DETECTOR NRCB1 of NIRISS"),
        (("NIRISS", "NIS", "NRC_IMAGE", "CLEAR", "F200W"), "EXP_TYPE NRC_IMAGE of NIRISS"),
        (("NIRISS", "NIS", "NIS_IMAGE", "CLEAR", "F210M"), "filter F210M of NIRISS"),
        (("NIRISS", "NIS", "NIS_IMAGE", "F277W", "F200W"), "F277W in the beam"),
    ],
)
def test_what_is_not_an_image_through_one_filter_is_refused_by_name(header, text):
    with pytest.raises(UnsupportedExposureError, match=text):
        identify(*header)


def kinds():
    meta = merge_property_trees(ImageModel().schema)["properties"]["meta"]["properties"]
    return meta["exposure"]["properties"]["type"]["enum"]


OWNERS = {"NIS": "NIRISS", "NRC": "NIRCAM", "FGS": "FGS", "MIR": "MIRI", "NRS": "NIRSPEC"}
IMAGING = [i.exp_type for i in INSTRUMENTS.values()]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_exposure_is_taken_or_refused_by_name(kind, force):
    instrument = OWNERS.get(kind[:3], "NIRCAM")
    row = INSTRUMENTS.get(instrument, INSTRUMENTS["NIRCAM"])
    wheel, pupil = next(iter(row.filters.values()), (None, None))[:2]
    header = instrument, next(iter(row.detectors)), kind, wheel, pupil
    if kind in IMAGING:
        assert identify(*header, force=force).instrument == instrument
        return
    named = rf"EXP_TYPE {kind}" + (r" \([a-z -]+\)," if kind[:3] in OWNERS else ",")
    with pytest.raises(UnsupportedExposureError, match=named):
        identify(*header, force=force)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("NRC_TSIMAGE", "a time series"), ("NRC_TACQ", "a target acquisition"), ("NIS_FOCUS", "a focus test"),
        ("NRC_WFSC", "a wavefront test"), ("MIR_TACONFIRM", "a target acquisition"), ("NRS_IFU", "an integ"),
        ("NRS_IMAGE", "imaging of another instrument"), ("NRS_MSASPEC", "a spectrum"),
    ],
)  # fmt: skip
def test_images_that_are_no_imaging_say_what_they_are(kind, what):
    with pytest.raises(UnsupportedExposureError, match=rf"{kind} \({what}"):
        identify(OWNERS[kind[:3]], None, kind, "CLEAR", "CLEAR")


@pytest.mark.parametrize("kind", IMAGING)
def test_imaging_of_another_instrument_contradicts_the_header(kind):
    others = [n for n, i in INSTRUMENTS.items() if i.exp_type != kind]
    for other in others:
        with pytest.raises(UnsupportedExposureError, match=f"EXP_TYPE {kind} of {other}, "):
            identify(other, None, kind, None, None, force=True)


def test_a_detector_has_one_name():
    for given, name in (("NRCB5", "NRCBLONG"), ("NRCA5", "NRCALONG")):
        assert identify("NIRCAM", given, "NRC_IMAGE", "F444W", "CLEAR").detector == name
    assert identify("FGS", "FGS1", "FGS_IMAGE", None, None).detector == "GUIDER1"


def test_force_accepts_what_has_no_row_but_no_contradiction():
    assert identify("NIRISS", "NIS", "NIS_IMAGE", "CLEAR", "F210M", force=True).filter == "F210M"
    for header in (
        ("NIRISS", "NRCB1", "NIS_IMAGE", "CLEAR", "F200W"),
        ("NIRISS", "NIS", "NIS_IMAGE", "GR150C", "F115W"),
    ):
        with pytest.raises(UnsupportedExposureError):
            identify(*header, force=True)


def test_no_filter_at_all():
    with pytest.raises(MissingDataError, match="FILTER CLEAR and PUPIL CLEARP"):
        identify("NIRISS", "NIS", "NIS_IMAGE", "CLEAR", "CLEARP")
    with pytest.raises(ParameterError, match="F606W of NIRISS, needed one of F090W"):
        filter_of("F606W")


def test_facts_by_metadata():
    miri = {"instrument": "MIRI", "detector": "MIRIMAGE", "filter": "F770W"}
    assert shape_of(miri) == (1024, 1032)
    assert wheels(miri) == ("F770W", None)
    assert nominal_scale({"instrument": "NIRCAM", "detector": "NRCB5"}) == nominal_scale(
        {"instrument": "NIRCAM", "detector": "NRCBLONG"}
    )
    assert detector_of({"instrument": "NIRISS"}).scale == 0.0656
    assert nominal_scale({}) is None
    assert wheels({"instrument": "NIRCAM", "filter": "F405N"}) == ("F444W", "F405N")


#: FASTAXIS and SLOWAXIS of the detectors, in the science frame of `_cal` images
AXES = {
    "NRCA1": (-1, 2), "NRCA2": (1, -2), "NRCA3": (-1, 2), "NRCA4": (1, -2), "NRCALONG": (-1, 2),
    "NRCB1": (1, -2), "NRCB2": (-1, 2), "NRCB3": (1, -2), "NRCB4": (-1, 2), "NRCBLONG": (1, -2),
    "NIS": (-2, -1), "GUIDER1": (-2, -1), "GUIDER2": (2, -1), "MIRIMAGE": (1, 2),
}  # fmt: skip


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_stripes_lie_as_the_header_says_and_the_row_where_it_does_not(instrument):
    for name, row in INSTRUMENTS[instrument].detectors.items():
        meta = {"instrument": instrument, "detector": name}
        fast, slow = AXES[name]
        assert {abs(fast), abs(slow)} == {1, 2}
        if row.stripes is None:  # four outputs, column by column
            assert stripes(meta) is stripes(meta | {"fastaxis": fast}) is None
            continue
        assert stripes(meta) == stripes(meta | {"fastaxis": fast}) == row.stripes
        for other in (slow, float(slow), str(slow)):
            assert stripes(meta | {"fastaxis": other}) != row.stripes
        for nothing in (None, 0, "", "N/A", float("nan"), 7):
            assert stripes(meta | {"fastaxis": nothing}) == row.stripes


def _sections():
    """The pixels of each output, as the pipeline's own reference pixel correction has them."""
    refpix = pytest.importorskip("jwst.refpix.reference_pixels")
    return refpix.NIR_reference_sections, refpix.MIR_reference_sections


def test_outputs_read_the_pixels_that_the_reference_pixel_correction_has():
    nir, mir = _sections()
    column = np.arange(2048)
    for name, axis in (("NRCB1", "x"), ("NIS", "y"), ("GUIDER2", "y")):
        which = amplifiers({"detector": name}, *((column, 7.0) if axis == "x" else (7.0, column)))
        for k, section in enumerate(nir.values()):
            low, high = section["data"][2:]
            assert np.array_equal(np.flatnonzero(which == k), np.arange(low, high))
    which = amplifiers({"instrument": "MIRI"}, np.arange(1032), 100.0)
    for k, section in enumerate(mir.values()):
        assert np.array_equal(np.flatnonzero(which == k), np.arange(*section["data"][2:]))
    # positions within a pixel are the pixel's
    assert amplifiers({"instrument": "MIRI"}, [0.49, 0.51, 3.6], 0.0).tolist() == [0, 1, 0]
    assert amplifiers({"detector": "NRCA1"}, [511.49, 511.51, -0.9, 2049.0], 0.0).tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"detector": "NRCB1"}, 4),
        ({"detector": "NRCB1", "noutputs": 1}, 1),
        ({"detector": "NRCB1", "noutputs": 1.0, "xstart": 1, "ystart": 1}, 1),
        ({"detector": "NRCB1", "noutputs": "4", "xstart": 1, "ystart": 1985}, 4),
        ({"detector": "NRCB1", "xstart": 705, "ystart": 705}, 1),
        ({"detector": "NRCB1", "xstart": 1, "ystart": 1985}, 4),
        ({"detector": "NIS", "xstart": 1025, "ystart": 1}, 4),
        ({"detector": "NIS", "xstart": 993, "ystart": 1985}, 1),
        ({"detector": "NIS", "noutputs": 4, "ystart": 1985}, 4),
        ({"detector": "MIRIMAGE", "xstart": 457, "noutputs": 4}, 4),
        ({"detector": "MIRIMAGE", "xstart": 457}, 4),
        *(({"detector": "GUIDER1", "noutputs": n}, 4) for n in (None, 0, "", "N/A", float("nan"), -1)),
    ],
)
def test_number_of_outputs(meta, expected):
    assert outputs(meta) == expected
    if expected == 1:
        assert not amplifiers(meta, np.arange(2048.0), np.arange(2048.0)).any()


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"instrument": "NIRCAM", "detector": "NRCB1", "noutputs": 1}, ("x", 1)),
        ({"instrument": "NIRISS", "detector": "NIS", "noutputs": 1, "fastaxis": -2}, ("y", 1)),
        ({"instrument": "NIRCAM", "detector": "NRCB1", "noutputs": 4, "ystart": 1985}, ("x", 4)),
        ({"instrument": "NIRCAM", "detector": "NRCB1", "fastaxis": 1}, ("x", 4)),
        ({"instrument": "NIRCAM", "detector": "NRCA1", "fastaxis": -1}, ("x", 4)),
        ({"instrument": "NIRCAM", "detector": "NRCB1", "fastaxis": -2}, ("y", 4)),
        ({"instrument": "NIRISS", "detector": "NIS"}, ("y", 4)),
        ({"instrument": "MIRI", "detector": "MIRIMAGE", "fastaxis": 1}, ("y", 1)),
    ],
)
def test_the_distortion_map_keeps_the_stripes_of_the_header_apart(monkeypatch, meta, expected):
    @dataclass
    class Anything:
        pixel_map: object = None
        uncertainty: object = None

    solved = SimpleNamespace(metas=[meta]), SimpleNamespace(correction=Anything()), None
    asked = {}
    monkeypatch.setattr(solution, "_one_filter", lambda *_: solved)
    monkeypatch.setattr(solution, "_yearly", lambda _: None)
    monkeypatch.setattr(solution, "build_fine_map", lambda *_, **given: asked.update(given) or (None, None))
    solution._jointly([[]], None, solution.DistortionConfig(), None, None, False)
    assert (asked["axis"], asked["bands"]) == expected
