"""Associations: which exposures belong together, and what their product is called."""

import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from os import PathLike
from pathlib import Path

from jwst_hpastrom.errors import BadFileError, MissingMemberError
from jwst_hpastrom.io.files.opening import require_file
from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["ASSOCIATIONS", "Association", "associate", "read_association", "write_association"]

#: bytes of an association, and members that one product can have
LARGEST, MEMBERS = 16 << 20, 5000

#: letters of a product's name, of the 255 that a file's may have
LONGEST = 150
#: exptypes of jwst's associations
KINDS = (
    "science", "background", "autowave", "autoflat", "imprint", "psf", "sky", "target_acquisition",
    "direct_image", "sourcecat", "segmap",
)  # fmt: skip
#: how jwst writes them
ASSOCIATIONS = (".json", ".yaml", ".yml")

log = logging.getLogger("stpipe.hpastrom.io")


@dataclass(frozen=True)
class Association:
    """The science members of one product.

    Attributes
    ----------
    product : str
        Product name.

    members : tuple of str
        Paths of the science members, in the association's order.

    path : str
        The association file, or the single file.
    """

    product: str
    members: tuple
    path: str


def read_association(path: str | PathLike[str]) -> Association:
    """Read an association, or take a single file as one.

    Parameters
    ----------
    path : path-like
        ``*_asn.json`` (or ``.yaml``), or one exposure or star list.

    Returns
    -------
    `Association`

    Raises
    ------
    BadFileError
        Not an association, one without science members, or with one of them twice.

    MissingMemberError
        A science member is not on disk.
    """
    path = Path(path)
    require_file(path, "an exposure or an association", empty=True)
    if path.suffix.lower() not in ASSOCIATIONS:
        return Association(_root(path), (str(path),), str(path))
    if (size := path.stat().st_size) > LARGEST:
        raise BadFileError(f"{size} bytes", f"an association of at most {LARGEST}", "", path)
    try:
        content = _content(path)
        product = content["products"][0]
        name = product["name"] or ""
        name = str(name) if isinstance(name, str | int) else ""
        members = [(path.parent / m["expname"], m.get("exptype", "science")) for m in product["members"]]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as err:
        raise BadFileError(
            f"no valid association ({type(err).__name__}: {err})",
            "products[0] with a name and members",
            "make one with asn_from_list",
            path,
        ) from err
    if len(content["products"]) > 1:
        log.warning("%s: of %d products only the first, %s, is made", path, len(content["products"]), name)
    science = [m for m, kind in members if _kind(kind) == "science"]
    if science and (left := [kind for _, kind in members if _kind(kind) not in KINDS]):
        kinds = ", ".join(sorted(set(map(str, left)))[:3])
        log.warning("%s: %d members are left out, whose exptype is %s, not science", path, len(left), kinds)
    if len(science) > MEMBERS:
        raise BadFileError(
            f"{len(science)} science members", f"at most {MEMBERS}", "divide the association", path
        )
    if not science:
        raise BadFileError("no science members", "at least one", "check the members' exptype", path)
    if not (name.isprintable() and name.strip() and Path(name).name == name != ".." and len(name) <= LONGEST):
        raise BadFileError(
            f"the product name {name[:LONGEST]!r}", "one that files can begin with", "change it", path
        )
    missing = [m for m in science if not _is_file(m)]
    if missing:
        raise MissingMemberError(
            f"{len(missing)} of {len(science)} members missing: {', '.join(m.name for m in missing[:3])}",
            "every science member beside the association",
            "fetch them or take them out of the association",
            path,
        )
    _unless_distinct(science, path)
    return Association(name, tuple(str(m) for m in science), str(path))


def _kind(exptype):
    return str(exptype).strip().lower()


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # a name that no disk takes
        return False


def _content(path):
    """Content of a JSON or YAML file."""
    if path.suffix.lower() == ".json":
        return json.loads(path.read_text(encoding="utf-8-sig"))
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as err:
        raise ValueError(str(err)) from err


def _root(path):
    """Name of the product of one file: without what processing added, and the ending that names columns."""
    from jwst_hpastrom.io.exposures.exposure import exposure_root
    from jwst_hpastrom.io.tables.star_lists import IMAGE

    return exposure_root(path if IMAGE.search(path.name) else Path(path.name.removesuffix(".gz")).stem)


def associate(paths):
    """Make an association of several files: exposures, star lists, or associations of them.

    Parameters
    ----------
    paths : sequence of path-like

    Returns
    -------
    `Association`
        Its product has the name that the files' names begin with, or the first file's where they begin with
        no more than two letters, or a number.

    Raises
    ------
    BadFileError
        As from `read_association`.
    """
    found = [read_association(path) for path in paths]
    members = [Path(m) for one in found for m in one.members]
    _unless_distinct(members, paths[0])
    roots = [one.product for one in found]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*roots, strict=False))
    common = "".join(letters[0] for letters in alike).rstrip("_-.")
    name = common if len(common) > 2 and not common.isdigit() else roots[0]
    return Association(name, tuple(map(str, members)), str(paths[0]))


def _unless_distinct(members, path):
    """Raise where two members are one file, or exposures whose products would have one name."""
    from jwst_hpastrom.io.exposures.exposure import exposure_root

    same = defaultdict(list)
    for member in members:
        stat = member.stat()
        same[stat.st_dev, stat.st_ino].append(member)  # by whatever path or link
        if member.suffix in (".fits", ".gz", ".asdf"):
            same[exposure_root(member)].append(member)
    for key, found in same.items():
        if len(found) > 1:
            what = f", products of one name, {key}" if isinstance(key, str) else ", one file"
            raise BadFileError(
                f"{' and '.join(str(m) for m in found[:3])} more than once{what}",
                "each exposure once", "take one out, or rename it", path,
            )  # fmt: skip


def write_association(path, product, members, **header):
    """Write an association of files anywhere, unless it is there already.

    Parameters
    ----------
    path : path-like

    product : str
        Product name.

    members : iterable of path-like
        Science members.

    **header : str
        More entries, as ``asn_rule``.

    Returns
    -------
    `~pathlib.Path`
        The path.
    """
    path = Path(path)
    found = [{"expname": str(Path(m).resolve()), "exptype": "science"} for m in members]
    content = {"asn_type": "image3", **header, "products": [{"name": product, "members": found}]}
    text = json.dumps(content, indent=2) + "\n"
    if not (path.is_file() and path.read_text(encoding="utf-8") == text):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return path
