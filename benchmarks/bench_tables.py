"""Claim: a star list of 30,000 stars is written and read as ECSV in a third of astropy's own time.

    python benchmarks/bench_tables.py [N_STARS]

The peer is `astropy.table.Table.write` and ``read``; CPU time, in turn, the least of three. What is read
back has the numbers of what was written.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.table import Table

from jwst_hpastrom.io import read_table, write_table


def stars(n, columns=19, seed=1):
    rng = np.random.default_rng(seed)
    table = Table({f"value_{k}": rng.normal(100, 30, n) for k in range(columns)}, meta={"epoch": 2022.4})
    table["flags"], table["id"] = rng.integers(0, 1000, n), np.arange(n)
    return table


def spent(function):
    start = time.process_time()
    out = function()
    return time.process_time() - start, out


def main(n=30000):
    table, seconds = stars(n), np.full((2, 2), np.inf)
    with TemporaryDirectory() as folder:
        own, peer = Path(folder) / "own.ecsv", Path(folder) / "peer.ecsv"
        for _ in range(3):
            now = [
                (spent(lambda: write_table(table, own))[0], spent(lambda: read_table(own))),
                (
                    spent(lambda: table.write(peer, overwrite=True))[0],
                    spent(lambda: Table.read(peer)),
                ),
            ]
            seconds = np.minimum(seconds, [(write, read[0]) for write, read in now])
        for _, (_, found) in now:
            assert all(np.array_equal(found[c], table[c]) for c in table.colnames)
    for k, what in enumerate(("write", "read")):
        own, peer = seconds[:, k]
        print(f"{what}: {own:.2f} s, astropy {peer:.2f} s: {peer / own:.1f} times slower (CPU, {n} stars)")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]))
