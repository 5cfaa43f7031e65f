"""What a file may cost is known before it is read: its kind, its size unpacked, the arrays it announces."""

import bz2
import gzip
import io
import lzma
import re
import stat
import zlib
from math import prod
from pathlib import Path

import numpy as np
import yaml

from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.files.seals import check_seal

__all__ = [
    "check_asdf",
    "check_fits",
    "check_table",
    "check_yaml",
    "fits_sum",
    "require_file",
    "unpacked",
]

PACKERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
#: bytes that a packed file may become: files of this size are harmless, FITS and text shrink 20 times at most
HARMLESS, RATIO, LARGEST = 32 << 20, 100, 400 << 20
ARRAY = 512 << 20  # bytes of one array
BLOCK, CARD = 2880, 80  # bytes of FITS files and their headers
SEAL = b"jwst_hpastrom-seal"
#: blocks of one FITS header, HDUs and axes: tens of times those of any JWST product
HEADER_BLOCKS, HDUS, AXES = 1000, 1000, 20
#: nodes of a YAML tree as written, and those that its aliases add
NODES, ALIASED, DEPTH = 300_000, 100_000, 100
ASDF_HEADER = 32 << 20  # bytes of the YAML, far above that of any exposure or reference file
#: bytes of a table of text, of its header, and its columns
TEXT, WIDEST, COLUMNS = 1 << 30, 4 << 20, 5000
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


def require_file(path, needed="a file", do="check the path", *, empty=False):
    """Return the first bytes of a regular file's content, unpacked.

    Parameters
    ----------
    path : path-like

    needed, do : str
        For the error.

    empty : bool
        Let an empty file pass.

    Returns
    -------
    bytes
        At most 4096.

    Raises
    ------
    BadFileError
        No such file, a folder, pipe or device; empty, damaged, or a web page.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as err:
        raise BadFileError("no such file", needed, do, path) from err
    if not stat.S_ISREG(mode):
        raise BadFileError("no regular file", needed, do, path)
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
        packer = next((p for magic, p in PACKERS.items() if head.startswith(magic)), None)
        if packer:
            with packer(path, "rb") as file:
                head = file.read(4096)
    except _DAMAGED as err:
        raise BadFileError(
            f"a file that cannot be read ({getattr(err, 'strerror', None) or err})", needed, "", path
        ) from err
    if not head and not empty:
        raise BadFileError("an empty file", needed, "fetch it again", path)
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:15].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise BadFileError("a web page (HTML)", needed, "fetch the file itself: a log-in may be due", path)
    return head


def unpacked(path, keep=None):
    """Return what a gzip, bzip2 or xz file (or a plain one) holds.

    Parameters
    ----------
    path : path-like

    keep : int, optional
        Bytes to return, if not all; the rest is unpacked all the same, which tests its checksum.

    Returns
    -------
    bytes

    Raises
    ------
    OSError, EOFError, `lzma.LZMAError`, `zlib.error`
        It is damaged, or becomes much larger than a file of data would.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(8)
    packer = next((p for magic, p in PACKERS.items() if head.startswith(magic)), None)
    if packer is None:
        return path.read_bytes()[:keep]
    most = min(max(HARMLESS, RATIO * path.stat().st_size), LARGEST)
    parts, length = [], 0
    with packer(path, "rb") as file:
        while part := file.read(1 << 20):
            if keep is None or length < keep:
                parts.append(part)
            length += len(part)
            if length > most:
                raise OSError(f"more than {most >> 20} MB unpacked from {path.stat().st_size} bytes")
    return b"".join(parts)[:keep]


def fits_sum(content):
    """Return the ones' complement sum of FITS checksums, of whole 4-byte words."""
    total = int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _cards(header):
    """Keywords and values of a raw header that say how much data follow."""
    found = {}
    pattern = rb"(NAXIS\d*|BITPIX|PCOUNT|GCOUNT|TFIELDS|ZBITPIX|ZNAXIS\d*|GROUPS|CHECKSUM|DATASUM)\s*="
    for k in range(0, len(header), CARD):
        card = header[k : k + CARD]
        if name := re.match(pattern, card):
            found.setdefault(name[1].decode(), card[10:].split(b"/")[0].strip(b" '\x00").decode("latin-1"))
    return found


def _length(cards):
    """Bytes of data by the header's word."""
    number = {k: int(v) for k, v in cards.items() if k.startswith(("NAXIS", "BITPIX", "PCOUNT", "GCOUNT"))}
    for prefix in ("", "Z"):
        n = int(cards.get(f"{prefix}NAXIS", 0))
        if not 0 <= n <= AXES:
            raise OSError(f"{prefix}NAXIS = {n}")
        axes = [int(cards[f"{prefix}NAXIS{k}"]) for k in range(1, n + 1)]
        if any(a < 0 for a in axes):
            raise OSError(f"an array of {' x '.join(map(str, axes))}")
        size = prod(axes) * abs(int(cards.get(f"{prefix}BITPIX", 8))) // 8 if n else 0
        if prefix and size > ARRAY:
            raise OSError(f"a packed array of {size} bytes")
        if not prefix:
            groups = cards.get("GROUPS") == "T" and axes[:1] == [0]
            size = prod(axes[1:]) * abs(number["BITPIX"]) // 8 if groups else size
            total = (size + number.get("PCOUNT", 0) * (abs(number["BITPIX"]) // 8)) * number.get("GCOUNT", 1)
    if int(cards.get("TFIELDS", 0)) > 999:
        raise OSError(f"a table of {cards['TFIELDS']} columns")
    return total


def check_fits(file, *, table=False):
    """Check that a FITS file is as long as its headers say, before arrays are made, and its checksums.

    Parameters
    ----------
    file : path-like or bytes
        Packed or not.

    table : bool
        Astropy keeps a table's sums when it writes a changed one: they say nothing, the seal does.

    Returns
    -------
    bytes or path-like
        What astropy should read: the unpacked bytes, or the path.

    Raises
    ------
    OSError
        Something is announced that is not there, or the sum of a ``CHECKSUM`` or ``DATASUM`` is another.
    """
    content = file
    if not isinstance(file, bytes):
        with open(file, "rb") as opened:
            packed = opened.read(8).startswith(tuple(PACKERS))
        content = unpacked(file) if packed else file
    length = len(content) if isinstance(content, bytes) else Path(content).stat().st_size
    with io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as opened:
        for k in range(HDUS + 1):
            begin = opened.tell()
            if begin >= length:
                return content
            if k == HDUS:
                raise OSError(f"more than {HDUS} extensions")
            header = _header(opened, first=k == 0)
            if header is None:
                if table:
                    return content
                raise OSError("something after an extension that is none")
            cards = _cards(header)
            _check_comments(header)
            try:
                size = _length(cards)
            except (KeyError, ValueError) as err:
                raise OSError(f"a header without valid BITPIX and NAXIS ({err})") from err
            padded = -(-size // BLOCK) * BLOCK
            if size < 0 or opened.tell() + size > length:
                there = length - opened.tell()
                raise OSError(f"a truncated file: {size} bytes of data announced, {there} there")
            if k == 0 and table and SEAL in header:
                check_seal(content if isinstance(content, bytes) else Path(content).read_bytes())
            if not table and ("CHECKSUM" in cards or "DATASUM" in cards):
                _check_sums(header, opened.read(padded), cards)
            opened.seek(begin + len(header) + padded)
    return content


def _header(opened, first):
    header = b""
    for _ in range(HEADER_BLOCKS):
        block = opened.read(BLOCK)
        if not header and not block.startswith(b"SIMPLE  " if first else b"XTENSION"):
            if first:
                raise OSError("no FITS file")
            return None
        header += block
        if len(block) < BLOCK:
            raise OSError("a header without END, or a truncated one")
        if any(block[k : k + CARD].rstrip() == b"END" for k in range(0, BLOCK, CARD)):
            return header
    raise OSError("a header without END")


def _check_comments(header):
    """Check the YAML that astropy keeps in COMMENT cards."""
    if b"--BEGIN-ASTROPY-SERIALIZED" in header:
        cards = (header[k : k + CARD] for k in range(0, len(header), CARD))
        text = b"\n".join(c[8:].rstrip() for c in cards if c.startswith(b"COMMENT "))
        check_yaml(text.partition(b"COLUMNS--")[2].partition(b"--END")[0].replace(b"\\\n", b""))


def _check_sums(header, data, cards):
    """Where a DATASUM is there, the data must have it; with a CHECKSUM, all must add up to -0."""
    data += b"\0" * (-len(data) % 4)
    found = fits_sum(data)
    stated = cards.get("DATASUM", "")
    if stated.isdigit() and int(stated) not in (found, 0 if found == 0xFFFFFFFF else found):
        raise OSError(f"data that changed since they were written: DATASUM {stated}, now {found}")
    if cards.get("CHECKSUM") and fits_sum(header + data) not in (0, 0xFFFFFFFF):
        raise OSError("a header or data that changed since they were written: CHECKSUM does not fit")


def check_yaml(text):
    """Raise ValueError where YAML is far larger than it looks, by aliases of aliases, or by depth.

    Parameters
    ----------
    text : str or bytes
        What is no YAML passes: its reader will say so.
    """
    sizes, stack, plain = {}, [[0, None]], 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    raise ValueError(f"YAML whose alias {event.anchor} stands within itself, or for nothing")
                stack[-1][0] += sizes[event.anchor]
            elif isinstance(event, yaml.ScalarEvent):
                stack[-1][0] += 1
                plain += 1
                if event.anchor:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.CollectionStartEvent):
                stack.append([1, event.anchor])
                plain += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                size, anchor = stack.pop()
                stack[-1][0] += size
                if anchor:
                    sizes[anchor] = size
            if len(stack) > DEPTH or plain > NODES or stack[-1][0] > plain + ALIASED:
                raise ValueError(f"YAML of more than {NODES} nodes, with aliases or {DEPTH} levels")
    except (yaml.YAMLError, UnicodeDecodeError):
        return


def check_asdf(content):
    """Raise ValueError where an ASDF file's tree or blocks would be far larger than the file.

    Parameters
    ----------
    content : bytes
    """
    check_seal(content, strict=False)
    end = re.search(rb"\r?\n\.\.\.\r?\n", content)
    stop = end.end() if end else len(content)
    if stop > ASDF_HEADER:
        raise ValueError(f"a tree of {stop} bytes")
    begin = content.find(b"%YAML", 0, stop)
    if begin >= 0:
        check_yaml(content[begin:stop])
    at = content.find(b"\xd3BLK", stop) if end else -1
    while at >= 0 and content[at : at + 4] == b"\xd3BLK":
        size = int.from_bytes(content[at + 4 : at + 6], "big")
        packing = content[at + 10 : at + 14]
        room, used, data = (int.from_bytes(content[at + k : at + k + 8], "big") for k in (14, 22, 30))
        streamed = content[at + 9] & 1
        begin = at + 6 + size
        if not streamed and (used > room or begin + used > len(content)):
            raise ValueError(f"a truncated file: a block of {used} bytes, {len(content) - begin} there")
        if packing.strip(b"\0") and data > min(max(HARMLESS, RATIO * used), LARGEST):
            raise ValueError(f"a block of {data} bytes packed into {used}")
        if streamed:
            return
        at = begin + room


def check_table(path, head):
    """Check a table that is text or parquet before it is read.

    Parameters
    ----------
    path : path-like

    head : bytes
        As from `require_file`.

    Raises
    ------
    OSError, ValueError
        It is, or would become, too large, or is no text.
    """
    path = Path(path)
    if head.startswith(b"PAR1"):
        from pyarrow import parquet

        meta = parquet.read_metadata(path)
        if (size := 8 * meta.num_rows * meta.num_columns) > ARRAY:
            raise ValueError(f"a table of {size} bytes packed into {path.stat().st_size}")
        check_seal(path.read_bytes(), strict=False)
        check_yaml((meta.metadata or {}).get(b"table_meta_yaml", b""))
        return
    with open(path, "rb") as file:
        packed = file.read(8).startswith(tuple(PACKERS))
    text = unpacked(path, WIDEST) if packed else _start(path, WIDEST)
    if not packed and path.stat().st_size > TEXT:
        raise ValueError(f"{path.stat().st_size} bytes of text")
    if b"\0" in text[:4096]:
        raise ValueError("zero bytes, which are no text")
    lines = text.split(b"\n")
    header = [line for line in lines if line.startswith(b"#")]
    if text.startswith(b"# %ECSV"):
        if SEAL in text:
            check_seal(unpacked(path))
        check_yaml(b"\n".join(line[2:] for line in header[1:]))
    first = next((line for line in lines if line.strip() and not line.startswith(b"#")), b"")
    if max(map(first.count, b",\t; |")) > COLUMNS:
        raise ValueError(f"a line of more than {COLUMNS} values")


def _start(path, n):
    with open(path, "rb") as file:
        return file.read(n)
