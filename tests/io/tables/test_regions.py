"""ds9 region files."""

from pathlib import Path

from jwst_hpastrom.columns import STAR_LIST, Flag, make_table
from jwst_hpastrom.io.tables.regions import write_regions


def test_regions_are_one_based_and_colored(tmp_path):
    flags = [0, int(Flag.SATURATED | Flag.EXTENDED), int(Flag.COSMIC_RAY)]
    stars = make_table(
        STAR_LIST,
        {"id": range(3), "x": [0.0, 1.5, 2], "y": [0.0, 3, 4], "mag": [-5.0, -6, -7], "flags": flags},
    )
    lines = Path(write_regions(stars, tmp_path / "a.reg")).read_text().splitlines()
    assert lines[2] == "image"
    assert lines[3] == "circle(1.000,1.000,2.5) # color=green tag={mag -5.00}"
    assert "circle(2.500,4.000" in lines[4]
    assert ["green" in lines[3], "magenta" in lines[4], "red" in lines[5]] == [True] * 3
