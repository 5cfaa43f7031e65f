"""Lists of hst1pass, xym2bar and KS2: text whose columns have one-letter codes, or names in a comment."""

import re
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.utils.data import get_readable_fileobj

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io.names import CATALOG_NAMES, plain

__all__ = ["CODES", "code_names", "read_coded_list"]

#: codes of ``OUT=``: names here. X, Y and M have the charge-transfer correction, whatever the header's words;
#: u, v are X, Y without distortion, U, V the same in a common frame, w is M with the pixel area.
CODES = {
    "x": "x_raw", "y": "y_raw", "m": "mag_raw", "X": "x_cte", "Y": "y_cte", "M": "mag_cte",
    "u": "x_corr", "v": "y_corr", "U": "x_frame", "V": "y_frame", "w": "mag_area", "W": "mag_zeroed",
    "r": "ra", "d": "dec", "R": "ra_adjusted", "D": "dec_adjusted", "z": "flux_raw", "Z": "flux_cte",
    "q": "qfit", "c": "chi2", "C": "center_excess", "s": "sky", "S": "sky_total", "E": "sky_radius",
    "p": "peak", "P": "flux_2x2", "f": "psf_value", "F": "psf_peak", "e": "error_scale",
    "h": "isolation", "H": "isolation_list", "o": "other_flux", "O": "other_flux_max",
    "i": "peak_column", "j": "peak_row", "I": "peak_row_text", "J": "peak_column_text",
    "k": "chip", "K": "chip_text", "n": "n_saturated", "N": "name", "t": "time",
    **{str(n): f"aperture_{n or 'sky'}" for n in range(10)},
}  # fmt: skip
#: what is taken for the standard columns, best first
_BEST = {
    ("x", "y"): (("x_cte", "y_cte"), ("x_raw", "y_raw"), ("x_corr", "y_corr"), ("x_frame", "y_frame")),
    ("mag",): (("mag_cte",), ("mag_raw",), ("mag_area",), ("mag_zeroed",)),
    ("x_corr", "y_corr"): (("x_corr", "y_corr"), ("x_frame", "y_frame")),
    ("mag_corr",): (("mag_area",), ("mag_zeroed",)),
    ("ra", "dec"): (("ra", "dec"), ("ra_adjusted", "dec_adjusted")),
    ("flux",): (("flux_cte",), ("flux_raw",)),
}
#: columns of xym2bar's and hst2collate's means; what follows differs between versions
_MEANS = ("x", "y", "mag", "x_err", "y_err", "mag_err")
#: names that versions of xym2bar and KS2 have for columns
_NAMES = {
    "xbar": "x", "ybar": "y", "mbar": "mag", "xsig": "x_err", "ysig": "y_err", "msig": "mag_err",
    "umast0": "x", "vmast0": "y", "umast": "x", "vmast": "y", "mmast1": "mag", "zmast1": "flux",
    "szmast1": "flux_err", "q1": "qfit", "NMAST": "name",
}  # fmt: skip
_PLACES = {plain(n) for c in ("x", "y", "ra", "dec") for n in CATALOG_NAMES[c]} | {"u", "v"}
#: a scatter of one measurement is written as nine point nine or so
_NO_SCATTER = 9.0
_CODE_LINE = re.compile(r"#\s*\(\s*(\d+)\)\s+(\S) -- ")
_RULER = re.compile(r"\.*[A-Za-z0-9]\.*")
_NAME = re.compile(r"[A-Za-z_][\w.\[\]/-]*")
#: keywords of the header: metadata
_KEYWORDS = {"FILT": "filter", "rDAT": "epoch", "PID": "program", "EXPTE": "exposure_time"}


def code_names(codes, path):
    """Return the columns' names of ``OUT=`` codes.

    Parameters
    ----------
    codes : sequence of str
        One letter or digit each.

    path : path-like
        For the error.

    Raises
    ------
    BadCatalogError
        An unknown code, or one that is there twice.
    """
    codes = list(codes)
    if wrong := sorted({c for c in codes if c not in CODES or codes.count(c) > 1}):
        raise BadCatalogError(
            f"columns {''.join(codes)}, of which {', '.join(wrong)} are unknown or there twice",
            "codes of hst1pass's OUT=", "name the columns in a first line", path,
        )  # fmt: skip
    return [CODES[c] for c in codes]


def read_coded_list(path):
    """Read a list whose columns are named by codes or by a comment; None where it is no such list.

    The header's lines of columns count, else its last line of as many letters or names as there are columns,
    else the codes in the file's name: ``a.xympqks``, ``MATCHUP.XYMEEE``.

    Parameters
    ----------
    path : path-like
        Text, gzipped or not.

    Returns
    -------
    `~astropy.table.Table` or None
        Numbers as in the file; pixels of coded lists count from 1 (metadata ``first_pixel``). Columns by the
        names of `CODES`, and the standard ones that follow from them: X, Y before x, y; M before m.

    Raises
    ------
    BadCatalogError
        Codes that are unknown, or as many as there are not columns.
    """
    path = Path(path)
    with get_readable_fileobj(path, encoding="utf-8-sig") as file:
        lines = file.read().splitlines()
    body = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not body:
        return None
    comments = [line.strip() for line in lines if line.lstrip().startswith("#")]
    if len(_NAMES.keys() & set(body[0].split())) > 1:  # names without a sign of a comment
        comments, body = [*comments, body[0]], body[1:]
    first = body[0].split() if body else [""]
    if not _is_number(first[0]) or "," in body[0]:
        return None
    names = _names(comments, len(first), path)
    if names is None:
        return None
    table = Table.read(body, format="ascii.no_header", guess=False, delimiter=r"\s", names=names)
    table.meta |= _keywords(comments) | ({} if _plain_names(comments, names) else {"first_pixel": 1})
    return _standard(table)


def _names(comments, n, path):
    coded = {int(found[1]): found[2] for line in comments if (found := _CODE_LINE.match(line))}
    if coded:
        if sorted(coded) != list(range(1, n + 1)):
            raise BadCatalogError(
                f"{n} columns and {len(coded)} in the header", "the columns that the header says",
                "the list may be cut or edited", path,
            )  # fmt: skip
        return code_names([coded[k] for k in sorted(coded)], path)
    for line in reversed(comments):
        words = line.lstrip("# ").split()
        if len(words) != n:
            continue
        if "." in line and all(_RULER.fullmatch(w) for w in words):
            return code_names([w.strip(".") for w in words], path)
        words = [_NAMES.get(w, w) for w in words]
        if all(_NAME.fullmatch(w) for w in words) and len(_PLACES & set(map(plain, words))) > 1:
            return [w if w not in words[:k] else f"{w}_{k + 1}" for k, w in enumerate(words)]
    name = path.name.removesuffix(".gz")
    if "NIMFO" in name.upper():
        raise BadCatalogError(
            "the measurements of all exposures in one list", "one list an exposure, or the means (XYVIQ1)",
            "divide it by exposure", path,
        )  # fmt: skip
    if re.search(r"(?<![a-z])xymeee(?![a-z])", name, re.IGNORECASE) and n >= len(_MEANS):
        return [*_MEANS, *(f"col{k}" for k in range(len(_MEANS) + 1, n + 1))]
    return _codes_of_name(re.split(r"[._]", name)[-1], n, path)


def _plain_names(comments, names):
    """Whether the names are a comment's own words: a list of any origin, whose pixels count from anywhere."""
    return any(line.lstrip("# ").split() == names for line in comments)


def _codes_of_name(codes, n, path):
    if not codes.lower().startswith(("xy", "uv", "rd")):
        return None
    if codes in ("xym", "XYM") and n > 3:  # img2xym's, with columns of the version
        return ["x", "y", "mag", *(f"col{k}" for k in range(4, n + 1))]
    if len(codes) != n:
        raise BadCatalogError(
            f"{n} columns and the codes {codes} in the name", "a code for every column",
            "name the columns in a first line", path,
        )  # fmt: skip
    return code_names(codes, path)


def _standard(table):
    """Standard columns from the codes', and what saturation, errors and missing values look like there."""
    for targets, choices in _BEST.items():
        here = next((c for c in choices if set(c) <= set(table.colnames)), None)
        if here and not set(targets) & set(table.colnames):
            for target, name in zip(targets, here, strict=True):
                table[target] = table[name]
    has = set(table.colnames)
    if "flux" in has and "mag" not in has:
        flux = values(table, "flux")
        table["mag"] = -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    if "error_scale" in has:  # one number is the error of x and y in pixels and of the magnitude
        for name in {"x_err", "y_err", "mag_err"} - has:
            table[name] = table["error_scale"]
    if table.colnames[: len(_MEANS)] == list(_MEANS):
        for name in _MEANS[3:]:
            scatter = values(table, name)
            table[name] = np.where(scatter >= _NO_SCATTER, np.nan, scatter)
    if "qfit" in has and has & {
        "x_raw",
        "x_cte",
        "x_corr",
        "x_frame",
    }:  # a fit's quality of exactly 0 is hst1pass's sign of saturation
        saturated = (values(table, "qfit") == 0) | (values(table, "n_saturated", 0.0) > 0)
        table["flags"] = np.where(saturated, int(Flag.SATURATED), 0)
    return table


def _keywords(comments):
    """Filter, time and the like of hst1pass's header."""
    meta = {}
    for line in comments:
        found = re.match(r"#\s*(\w+)\s*:\s+(\S+)\s*$", line)
        if found and found[1] in _KEYWORDS:
            meta[_KEYWORDS[found[1]]] = float(found[2]) if _is_number(found[2]) else found[2]
    if not 1980 < meta.get("epoch", 0) < 2100:
        meta.pop("epoch", None)
    return meta


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True
