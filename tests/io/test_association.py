"""Associations: their science members, and nonsense by name."""

import json
import os
from pathlib import Path

import pytest

from jwst_hpastrom.errors import BadFileError, MissingMemberError
from jwst_hpastrom.io.association import associate, read_association


def write(tmp_path, members, name="field"):
    path = tmp_path / "f_asn.json"
    path.write_text(json.dumps({"products": [{"name": name, "members": members}]}))
    return path


def test_science_members_only(tmp_path):
    for n in "ab":
        (tmp_path / f"{n}_cal.fits").touch()
    path = write(
        tmp_path,
        [{"expname": "a_cal.fits", "exptype": "science"}, {"expname": "b_cal.fits", "exptype": "background"}],
    )
    asn = read_association(path)
    assert asn.product == "field"
    assert asn.members == (str(tmp_path / "a_cal.fits"),)


def test_missing_member_is_named(tmp_path):
    path = write(tmp_path, [{"expname": "gone_cal.fits", "exptype": "science"}])
    with pytest.raises(MissingMemberError, match=r"f_asn.json: found 1 of 1 members missing: gone_cal.fits"):
        read_association(path)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"products": []}', '{"products": [{"name": "a"}]}', "\x00\xff",
     '{"products": [{"name": "a", "members": [{"expname": null}]}]}'],
)  # fmt: skip
def test_nonsense_is_refused(tmp_path, text):
    path = tmp_path / "bad_asn.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadFileError, match="bad_asn.json"):
        read_association(path)


@pytest.mark.parametrize("name", ["", None, "../elsewhere", "..", "  ", "a\nb", "a\0b", "a" * 300, ["a"]])
def test_a_product_name_that_names_no_files(tmp_path, name):
    (tmp_path / "a_cal.fits").touch()
    with pytest.raises(BadFileError, match="f_asn.json: found the product name"):
        read_association(write(tmp_path, [{"expname": "a_cal.fits"}], name))


def test_a_member_named_twice_would_count_twice(tmp_path):
    (tmp_path / "a_cal.fits").touch()
    with pytest.raises(BadFileError, match="a_cal.fits more than once"):
        read_association(write(tmp_path, [{"expname": "a_cal.fits"}, {"expname": "a_cal.fits"}]))


@pytest.mark.parametrize(
    ("one", "two"),
    [("a/x_cal.fits", "b/x_cal.fits"), ("x_cal.fits", "x_crf.fits"), ("x_cal.fits", "../{here}/x_cal.fits")],
)
def test_two_members_whose_products_would_have_one_name(tmp_path, one, two):
    two = two.format(here=tmp_path.name)
    for n in (one, two):
        (tmp_path / n).parent.mkdir(exist_ok=True)
        (tmp_path / n).touch()
    with pytest.raises(BadFileError, match="f_asn.json: found .*more than once"):
        read_association(write(tmp_path, [{"expname": one}, {"expname": two}]))


def test_a_link_to_another_member(tmp_path):
    (tmp_path / "a_cal.fits").touch()
    (tmp_path / "b_cal.fits").symlink_to(tmp_path / "a_cal.fits")
    with pytest.raises(BadFileError, match="one file"):
        read_association(write(tmp_path, [{"expname": "a_cal.fits"}, {"expname": "b_cal.fits"}]))


def test_lists_of_one_name_in_two_folders_are_two_lists(tmp_path):
    for n in "ab":
        (tmp_path / n).mkdir()
        (tmp_path / n / "stars.ecsv").touch()
    names = [{"expname": f"{n}/stars.ecsv"} for n in "ab"]
    assert len(read_association(write(tmp_path, names)).members) == 2


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a_cal.fits")
    with pytest.raises(BadFileError, match="no regular file"):
        read_association(tmp_path / "a_cal.fits")


def test_only_the_first_product_is_made(tmp_path, caplog):
    (tmp_path / "a_cal.fits").touch()
    path = write(tmp_path, [{"expname": "a_cal.fits"}])
    product = json.loads(path.read_text())["products"][0]
    path.write_text(json.dumps({"products": [product, product | {"name": "other"}]}))
    assert read_association(path).product == "field"
    assert "of 2 products only the first, field" in caplog.text


def test_no_science_members(tmp_path):
    with pytest.raises(BadFileError, match="no science members"):
        read_association(write(tmp_path, []))


def test_a_single_file_is_its_own_product(tmp_path):
    path = tmp_path / "jw1_nis_cal.fits"
    path.touch()
    assert read_association(path).product == "jw1_nis"


def test_no_file(tmp_path):
    with pytest.raises(BadFileError, match="no such file"):
        read_association(tmp_path / "x_asn.json")


@pytest.mark.parametrize(
    ("names", "product"),
    [
        (("j8ab1_flc.xympqks", "j8ab2_flc.xympqks"), "j8ab"),
        (("2011_a.calib", "2012_b.calib"), "2011_a"),
        (("A.lis", "B.lis.gz"), "A"),
        (("C.lis",), "C"),
    ],
)
def test_several_files_are_one_association(tmp_path, names, product):
    for name in names:
        (tmp_path / name).write_text(f"# x y\n1 2 {name}\n")
    made = associate([tmp_path / name for name in names])
    assert made.product == product
    assert [Path(m).name for m in made.members] == list(names)


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_associations_in_yaml(tmp_path, suffix):
    (tmp_path / "a_cal.fits").touch()
    path = tmp_path / f"f_asn.{suffix}"
    path.write_text("products:\n- name: field\n  members:\n  - {expname: a_cal.fits, exptype: science}\n")
    asn = read_association(path)
    assert (asn.product, asn.members) == ("field", (str(tmp_path / "a_cal.fits"),))
    path.write_text("products: [")
    with pytest.raises(BadFileError, match=f"f_asn.{suffix}: found no valid association"):
        read_association(path)


def test_members_of_unknown_exptypes_are_named(tmp_path, caplog):
    (tmp_path / "a_cal.fits").touch()
    path = write(
        tmp_path, [{"expname": "a_cal.fits", "exptype": " Science "}, {"expname": "b", "exptype": "sience"}]
    )
    assert len(read_association(path).members) == 1
    assert "1 members are left out, whose exptype is sience" in caplog.text


def test_a_member_whose_name_no_disk_takes(tmp_path):
    with pytest.raises(MissingMemberError, match="1 of 1 members missing"):
        read_association(write(tmp_path, [{"expname": "a" * 5000}]))


def test_an_association_in_capitals_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a_cal.fits").touch()
    path = write(tmp_path, [{"expname": "a_cal.fits"}])
    (tmp_path / "F_ASN.JSON").write_text(path.read_text(), "utf-8-sig")
    assert read_association(tmp_path / "F_ASN.JSON").product == "field"
