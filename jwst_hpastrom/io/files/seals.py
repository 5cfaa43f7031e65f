"""A product's length and CRC, written into it: what was cut or damaged is told from what was written.

The seal stands where a table that is read, changed and written again by other programs does not keep it (a
YAML comment of ECSV, the primary header of FITS); where it would be kept, in trees, only a file of the very
length is held to it.
"""

import re
import zlib
from pathlib import Path

__all__ = ["BLANK", "check_seal", "has_seal", "put_seal"]

BLANK = "jwst_hpastrom-seal-000000000000-00000000"
_MARK = b"jwst_hpastrom-seal-"
_SEAL = re.compile(rb"jwst_hpastrom-seal-(\d{12})-([0-9a-f]{8})")


def _sum(content, seal):
    crc = zlib.crc32(memoryview(content)[: seal.start()])
    return zlib.crc32(memoryview(content)[seal.end() :], zlib.crc32(BLANK.encode(), crc))


def put_seal(path):
    """Fill in the blank seal of a file, if it has one."""
    content = Path(path).read_bytes()
    if seal := _SEAL.search(content):
        text = f"jwst_hpastrom-seal-{len(content):012d}-{_sum(content, seal):08x}"
        with open(path, "r+b") as file:
            file.seek(seal.start())
            file.write(text.encode())


def has_seal(content):
    """Whether the bytes of a whole file hold a seal."""
    seal = _SEAL.search(content)
    return seal is not None and int(seal[1]) > 0


def check_seal(content, *, strict=True):
    """Raise ValueError where content is not what was sealed.

    Parameters
    ----------
    content : bytes
        Of a whole file. One without seal passes.

    strict : bool
        Refuse content of another length, too.
    """
    seal = _SEAL.search(content)
    if seal is None and _MARK in content:
        raise ValueError("a damaged jwst_hpastrom-seal: it shows a change since it was written")
    if seal is None or not int(seal[1]):
        return
    length = int(seal[1])
    if len(content) != length:
        if strict:
            raise ValueError(
                f"{len(content)} of {length} bytes that were written: cut, or changed by hand (then take the "
                "line with jwst_hpastrom-seal out)"
            )
    elif _sum(content, seal) != int(seal[2], 16):
        raise ValueError(
            "a checksum that shows a change since it was written (if by hand, take jwst_hpastrom-seal out)"
        )
