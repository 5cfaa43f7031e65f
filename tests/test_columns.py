"""The tables of columns and flags, and how tables are made of them."""

import numpy as np
import pytest
from astropy.table import Table
from astropy.units import Unit

from jwst_hpastrom.column_texts import OTHERS, document
from jwst_hpastrom.columns import (
    MASTER,
    MOTION,
    STAR_LIST,
    Flag,
    describe_flags,
    make_table,
    values,
)
from jwst_hpastrom.errors import BadCatalogError

CONTRACT = {
    "star": """id x y x_err y_err xy_cov flux flux_err mag mag_err sky sky_err qfit radxs chi2 n_pixels
        n_saturated flags""",
    "master": """id x y xi eta ra dec x_rms y_rms x_err y_err mag mag_rms mag_err qfit radxs n_found n_used
        flags""",
    "motion": """id ra dec ra_error dec_error ref_epoch pmra pmdec pmra_error pmdec_error pmra_pmdec_corr mag
        model elpd chi2_loo_ra chi2_loo_dec n_epochs n_rejected parallax parallax_error pmra_rel pmdec_rel""",
}


@pytest.mark.parametrize(("schema", "names"), [(STAR_LIST, "star"), (MASTER, "master"), (MOTION, "motion")])
def test_public_columns_are_there(schema, names):
    assert set(CONTRACT[names].split()) <= {c.name for c in schema}
    for c in schema:
        assert c.description
        Unit(c.unit)
        np.dtype(c.dtype)


def test_flags_are_single_distinct_bits():
    values = [int(f) for f in Flag]
    assert len(set(values)) == len(values)
    assert all(v & (v - 1) == 0 for v in values)
    assert describe_flags(Flag.SATURATED | Flag.CROWDED) == ["SATURATED", "CROWDED"]


def test_make_table_orders_types_and_keeps_extras(tmp_path):
    table = make_table(STAR_LIST, {"extra": [1, 2], "y": [1, 2], "x": [3, 4]}, {"epoch": 2022.0})
    assert table.colnames == ["x", "y", "extra"]
    assert table["x"].dtype == float
    assert table["x"].unit == "pix"
    path = tmp_path / "a.ecsv"
    table.write(path)
    back = type(table).read(path)
    assert back.meta["epoch"] == 2022.0
    assert back["x"].unit == "pix"


def test_columns_beside_the_schemas_have_units_and_descriptions():
    table = Table({"rms_x": [0.1], "stage": ["a"], "color": [1.0], "own": [2.0], "id": [1]})
    table["color"].description = "mine"
    out = document(table)
    assert str(out["rms_x"].unit) == "pix"
    assert out["stage"].description
    assert out["color"].description == "mine"
    assert out["own"].description is None
    assert table["rms_x"].unit is None  # as it was
    names = [c.name for c in OTHERS]
    assert len(set(names)) == len(names)
    for column in OTHERS:
        Unit(column.unit)


def test_positions_and_motions_are_read_in_their_own_units():
    table = Table(
        {"ra": [1.0], "pmra": [0.002], "x": [3.0]}, units={"ra": "hourangle", "pmra": "arcsec / yr"}
    )
    assert values(table, "ra")[0] == pytest.approx(15.0)
    assert values(table, "pmra")[0] == pytest.approx(2.0)
    table["pmra"].unit = "kg"
    with pytest.raises(BadCatalogError, match="pmra in kg"):
        values(table, "pmra")
