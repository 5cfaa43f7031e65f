"""Files of a simulated field are what the official pipeline and our readers expect."""

import json
from pathlib import Path

import asdf
import numpy as np
import pytest

from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.simulation import OpticsConfig, simulate_field, write_field


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    field = simulate_field(
        size=128,
        n_exposures=2,
        n_stars=30,
        seed=2,
        optics=OpticsConfig(n_field=2, n_wavelengths=1),
        va_scale=1.00006,
    )
    return field, write_field(field, tmp_path_factory.mktemp("field"))


def test_exposures_come_back(written):
    field, files = written
    for path, e in zip(files.exposures, field.exposures, strict=True):
        got = read_exposure(path, need_wcs=True)
        for name in ("data", "err", "bad", "saturated"):
            np.testing.assert_array_equal(getattr(got.image, name), getattr(e.image, name))
        assert got.name == e.name
        for key, value in e.meta.items():
            if isinstance(value, float):
                assert got.meta[key] == pytest.approx(value, rel=1e-12), key
            else:
                assert got.meta[key] == value, key


def test_official_wcs_is_the_header_pointing(written):
    field, files = written
    e = field.exposures[1]
    wcs = read_exposure(files.exposures[1]).wcs
    x, y = np.random.default_rng(1).uniform(0, 127, (2, 500))
    got = wcs(x, y)
    # two programs by two hands: gwcs with the official assign_wcs code, and rotation matrices
    np.testing.assert_allclose(got, e.to_sky(x, y), rtol=0, atol=1e-12)
    np.testing.assert_allclose(wcs.invert(*got, with_bounding_box=False), [x, y], atol=2e-4)


def test_valid_for_the_official_models(written):
    from stdatamodels.jwst import datamodels

    with datamodels.open(written[1].exposures[0]) as model:
        assert isinstance(model, datamodels.ImageModel)
        model.validate()
        assert model.meta.exposure.type == "NIS_IMAGE"
        assert model.meta.filename == Path(written[1].exposures[0]).name
        assert model.meta.wcsinfo.s_region.startswith("POLYGON ICRS")
        assert model.meta.wcs is not None


def test_association_catalog_and_truth(written):
    field, files = written
    association = read_association(files.association)
    assert association.product == "field"
    assert association.members == files.exposures
    catalog = read_catalog(files.reference_catalog)
    assert len(catalog) == len(field.reference_catalog)
    assert catalog.meta["epoch"] == field.config.catalog_epoch
    truth = Path(files.truth)
    assert json.loads((truth / "config.json").read_text())["seed"] == 2
    with np.load(truth / "distortion.npz") as z:
        np.testing.assert_allclose(
            field.distortion.forward(z["x"], z["y"]), (z["ideal_x"], z["ideal_y"]), atol=1e-12
        )


def test_distortion_reference_needs_only_standard_models(written):
    with asdf.open(written[1].distortion, memmap=False) as f:
        model = f["model"]
        u, v = model(100.0, 1900.0)
        np.testing.assert_allclose(model.inverse(u, v), [100, 1900], atol=2e-4)
