"""Tables of different Gaia releases: epochs, columns."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, ParameterError
from jwst_hpastrom.io.gaia import archive
from jwst_hpastrom.io.gaia.archive import query_gaia
from jwst_hpastrom.io.gaia.table import read_gaia
from jwst_hpastrom.io.tables.releases import RELEASES, check_epoch, release_named, release_of


def table(release, epoch="release", n=5):
    out = Table({"ra": 80.0 + np.arange(n) * 1e-3, "dec": np.full(n, -69.5)})
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        out[name] = 0.1
    out["pmra"], out["pmdec"] = 1.9, 0.3
    out["designation"] = [f"Gaia {release} {4657 + k}" for k in range(n)]
    out["astrometric_params_solved"] = [31, 95, 31, 95, 31]
    if epoch == "release":
        epoch = RELEASES[release].epoch
    if epoch is not None:
        out["ref_epoch"] = epoch
    return out


def written(folder, content):
    path = folder / "gaia.ecsv"
    content.write(path)
    return path


@pytest.mark.parametrize("release", ["DR2", "EDR3", "DR3", "DR4"])
@pytest.mark.parametrize("epoch", ["release", None])
def test_epochs_of_the_releases(tmp_path, release, epoch):
    out = read_gaia(written(tmp_path, table(release, epoch)))
    expected = {"DR2": 2015.5, "EDR3": 2016.0, "DR3": 2016.0, "DR4": 2017.5}[release]
    assert out.meta["epoch"] == expected
    assert out.meta["gaia_release"] == release


def test_an_epoch_of_another_release_is_refused(tmp_path):
    with pytest.raises(BadCatalogError, match=r"DR4 at epoch 2016.*DR3|EDR3"):
        read_gaia(written(tmp_path, table("DR4", 2016.0)))
    check_epoch([2023.4] * 3, RELEASES["DR4"])  # moved there by the user
    check_epoch([2016.0, 2017.0], RELEASES["DR4"])


def test_rows_of_two_releases_under_the_name_of_one_are_refused():
    with pytest.raises(BadCatalogError, match="Gaia DR3, 25 % of them at epoch 2015.5000, which is that of"):
        check_epoch([2016.0] * 30 + [2015.5] * 10, RELEASES["DR3"])
    check_epoch([2016.0] * 99 + [2015.5], RELEASES["DR3"])


def test_ruwe_by_parameter_set(tmp_path):
    content = table("DR4")
    content["ruwe_5p"] = [1.0, 1.1, 1.2, np.nan, 1.4]
    content["ruwe_6p"] = [2.0, 2.1, 2.2, 2.3, 2.4]
    out = read_gaia(written(tmp_path, content))
    np.testing.assert_allclose(out["ruwe"], [1.0, 2.1, 1.2, 2.3, 1.4])
    content.remove_column("astrometric_params_solved")
    (tmp_path / "again").mkdir()
    out = read_gaia(written(tmp_path / "again", content))
    np.testing.assert_allclose(out["ruwe"], [2.0, 2.1, 2.2, 2.3, 2.4])


def test_a_ruwe_of_another_name_is_not_ignored(tmp_path):
    content = table("DR4")
    content["ruwe_single_star"] = 1.0
    with pytest.raises(BadCatalogError, match=r"RUWE as ruwe_single_star.*needed ruwe.*ruwe_5p"):
        read_gaia(written(tmp_path, content))
    content["ruwe"] = 1.2
    (tmp_path / "both").mkdir()
    np.testing.assert_allclose(read_gaia(written(tmp_path / "both", content))["ruwe"], 1.2)


def test_names_of_dr4(tmp_path, monkeypatch):
    asked, content = [], table("DR4")
    content.rename_column("astrometric_params_solved", "astrometric_params")

    def ask(query, path):
        asked.append(query)
        return archive._plain(content)

    monkeypatch.setattr(archive, "_ask", ask)
    out = query_gaia(80.0, -69.5, 0.1, cache_dir=tmp_path, release="gaiadr4")
    words = asked[0].replace(",", "").split()
    assert "astrometric_params" in words
    assert not {"astrometric_params_solved", "astrometric_excess_noise_sig"} & set(words)
    np.testing.assert_array_equal(out["astrometric_params_solved"], [31, 95, 31, 95, 31])


def test_release_from_metadata_or_not_at_all():
    plain = Table({"ra": [1.0]}, meta={"query": "SELECT ra FROM gaiadr2.gaia_source"})
    assert release_of(plain).epoch == 2015.5
    assert release_of(Table({"ra": [1.0]}, meta={"title": "Gaia DR3 against Gaia DR2"})) is None
    assert release_of(Table({"ra": [1.0]}, meta={"title": "HSC DR1"})) is None
    assert release_named("Gaia DR4").months == 66
    with pytest.raises(ParameterError, match="gaiadr4"):
        release_named("gaiadr9")


def test_queries_ask_for_what_a_release_has(tmp_path, monkeypatch):
    asked = []

    def ask(query, path):
        asked.append(query)
        return table("DR2")

    monkeypatch.setattr(archive, "_ask", ask)
    out = query_gaia(80.0, -69.5, 0.1, cache_dir=tmp_path, release="gaiadr2")
    assert "gaiadr2.gaia_source" in asked[0]
    assert "ruwe" not in asked[0]
    assert out.meta["epoch"] == 2015.5
