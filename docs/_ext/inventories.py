"""Where other packages describe their names: Sphinx inventories from short lists, without a network."""

import zlib
from pathlib import Path

HEAD = (
    "# Sphinx inventory version 2\n# Project: {0}\n# Version: \n"
    "# The remainder of this file is compressed using zlib.\n"
)


def write_inventories(folder, *, online=False):
    """Return ``intersphinx_mapping`` for the lists in ``folder/_inventories``.

    Each list is named after its package. Its first line is the address of its pages; each other line has a
    name, its role in Sphinx's Python domain, and the page that shows it (``$`` stands for the name).

    Parameters
    ----------
    folder : `~pathlib.Path`
        Of the documentation's source; inventories are written to ``folder/_build``.

    online : bool
        Ask the packages' own inventories instead.
    """
    mapping = {}
    (folder / "_build").mkdir(exist_ok=True)
    for path in sorted((folder / "_inventories").glob("*.txt")):
        address, *lines = path.read_text().split("\n")
        rows = [line.split() for line in lines if line.strip()]
        body = "".join(f"{name} py:{role} 1 {page.replace('$', name)} -\n" for name, role, page in rows)
        inventory = folder / "_build" / f"{path.stem}.inv"
        inventory.write_bytes(HEAD.format(path.stem).encode() + zlib.compress(body.encode()))
        mapping[path.stem] = (address, None if online else str(Path("_build") / inventory.name))
    return mapping
