"""Seals: bytes that were changed or cut are told from what was written."""

import pytest

from jwst_hpastrom.io.files.seals import BLANK, check_seal, has_seal, put_seal


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(f"# {BLANK}\nx y\n1 2\n")
    assert not has_seal(path.read_bytes())
    put_seal(path)
    return path.read_bytes()


def test_what_was_written_passes(sealed):
    assert has_seal(sealed)
    assert len(sealed) == len(f"# {BLANK}\nx y\n1 2\n")
    check_seal(sealed)
    check_seal(b"without a seal")


@pytest.mark.parametrize("at", [0, 48, -1])
def test_a_changed_byte_is_seen(sealed, at):
    changed = bytearray(sealed)
    changed[at] ^= 1
    with pytest.raises(ValueError, match="a change since it was written"):
        check_seal(bytes(changed))


def test_a_cut_file_and_one_written_again(sealed):
    for other in (sealed[:-2], sealed + b"3 4\n"):
        with pytest.raises(ValueError, match=f"{len(other)} of {len(sealed)} bytes"):
            check_seal(other)
        check_seal(other, strict=False)


def test_a_damaged_seal_is_no_missing_one(sealed):
    with pytest.raises(ValueError, match="damaged"):
        check_seal(sealed.replace(b"seal-0", b"seal-x", 1))
