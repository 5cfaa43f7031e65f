import numpy as np
import pytest
from astropy.units import Unit

from jwst_hpastrom.columns import MASTER, MOTION, STAR_LIST, Flag, describe_flags, make_table

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
