"""Claim: no false result of several epochs ends without a word, and a wrong date is that of the right list.

    python benchmarks/bad_epochs.py [CASE...] [--good N] [--seed 71] [--stars 500] [--all]

Star lists of six JWST visits at other rolls and a sparse Gaia table are simulated (no pixels), one thing is
made wrong, motions are fitted, and the verdicts are compared with what was done: a row a case with the
overall verdict and the first cause, and FAIL where that is not the right one. Cases ``date_…`` shift one
list's date with 3, 4 and 6 epochs; with four and more the list that is named must be that one. ``--good N``
judges N fields of other seeds, of 3 to 14 epochs and 160 to 1600 stars, of which none may be "bad" and each
has at most one "look". `bad_runs.py` does the same with two epochs and, by ``--gaia``, with proper motions of
the Galactic Center's size. The exit status is 1 where a row fails. About three CPU seconds a case.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
from astropy.coordinates import FK5, BarycentricMeanEcliptic, Galactic
from astropy.table import vstack
from bad_runs import (
    about,
    add,
    along,
    exchange,
    ghosts,
    judged,
    later,
    put,
    run_all,
    shuffle,
    sky,
    times,
    turned_motions,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from jwst_hpastrom.checks import Evidence, run_checks
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.motion import fit_epochs
from tests.motion.jwst_epochs import simulate, visits

EPOCHS, ONE = 6, 3  # lists of a case, and the one that is spoiled
POS, PM, XY = ("ra_error", "dec_error"), ("pmra_error", "pmdec_error"), ("x_err", "y_err")
DATE, LIST = ("epoch of this list",), ("this list", "usable", "in common", "stars")
WRONG = ("positions of this list", "errors of this list")
GAIA = ("reference catalog", "reference stars", "Gaia")


def exchange_dates(lists):
    a, b = lists[1].meta, lists[4].meta
    a["epoch"], b["epoch"] = b["epoch"], a["epoch"]


def of_another_field(lists, seed=990):
    lists[ONE] = simulate(seed, n=500, when=visits(EPOCHS))[0][ONE]


def again(lists):
    """One visit's list twice, the second time with another date."""
    meta, lists[ONE] = lists[ONE].meta, lists[1].copy()
    lists[ONE].meta = meta


def mirrored(t):
    put(t, x=2048 - t["x"])


def half_shifted(t, pixels=0.2):
    put(t, x=t["x"] + pixels * (np.asarray(t["x"]) > 1024))


def jittered(t, errors):
    rng = np.random.default_rng(3)
    for c in "xy":
        t[c] += errors * rng.normal(0, 1, len(t)) * np.asarray(t[f"{c}_err"])


def rounded(t, digits):
    put(t, **{c: np.round(t[c], digits) for c in "xy"})


def some_wrong(t, part, pixels):
    rng = np.random.default_rng(4)
    rows = rng.random(len(t)) < part
    for c in "xy":
        t[c][rows] += rng.normal(0, pixels, rows.sum())


def in_frame(gaia, frame):
    """Positions and motions in another frame, in columns that are named as before."""
    along(gaia, frame)
    sky(gaia, frame)


def cos_dec(gaia, power):
    put(gaia, pmra=gaia["pmra"] * np.cos(np.deg2rad(gaia["dec"])) ** power)


def one(change):
    return lambda lists, gaia: change(lists[ONE]) and None


def every(change):
    return lambda lists, gaia: [change(t) for t in lists] and None


def table(change):
    return lambda lists, gaia: change(gaia)


# name: (words of which one must be in the first cause or error, what is done); None: harms nothing
CASES = {
    "dates_exchanged": (("epoch",), lambda n, g: exchange_dates(n)),
    "dates_all_late": (("epoch",), every(lambda t: later(t, 2))),
    "dates_in_mjd": (("epoch",), every(lambda t: t.meta.update(epoch=59700.0 + t.meta["epoch"]))),
    "date_missing": (("epoch", "time"), one(lambda t: t.meta.pop("epoch"))),
    "one_of_another_field": (LIST, lambda n, g: of_another_field(n)),
    "one_twice_with_another_date": (("same stars",), lambda n, g: again(n)),
    "one_rows_twice": (("list has twice",), lambda n, g: n.__setitem__(ONE, vstack([n[ONE], n[ONE]]))),
    "one_mirrored": ((*LIST, "mirror"), one(mirrored)),
    "one_half_shifted": (WRONG, one(half_shifted)),
    "one_jittered": (WRONG, one(lambda t: jittered(t, 4))),
    "one_rounded": (WRONG, one(lambda t: rounded(t, 1))),
    "one_errors_fifth": ((None, "errors of this list"), one(lambda t: times(t, 0.2, XY))),
    "one_errors_ten": ((None, *LIST), one(lambda t: times(t, 10, XY))),
    "one_third_wrong": (WRONG, one(lambda t: some_wrong(t, 0.3, 1.0))),
    "one_with_magnitude": (WRONG, one(lambda t: add(t, "x", 0.01, t["mag"]))),
    "one_scaled": ((None,), one(lambda t: [about(t[c], 1.002) for c in "xy"])),
    "one_scale_in_header": ((None, "scale"), one(lambda t: t.meta.update(pixel_scale_mas=131.0))),
    "one_roll_in_header": ((None, "angle", "roll"), one(lambda t: t.meta.update(position_angle=200.0))),
    "lists_errors_third": (("star lists that are too small",), every(lambda t: times(t, 1 / 3, XY))),
    "lists_errors_three": (("star lists that are too large",), every(lambda t: times(t, 3, XY))),
    "gaia_epoch_2000": ((None, "epoch"), table(lambda g: put(g, ref_epoch=2000.0))),
    "gaia_single": (("single precision",), table(lambda g: put(g, ra=g["ra"].astype("f4")))),
    "gaia_turned": (("turned",), table(lambda g: turned_motions(g, 60))),
    "gaia_turned_by_-140": (("turned",), table(lambda g: turned_motions(g, -140))),
    "gaia_motions_galactic": (("Galactic",), table(lambda g: along(g, Galactic()))),
    "gaia_galactic": (("Galactic",), table(lambda g: sky(g, Galactic()))),
    "gaia_all_galactic": (("Galactic",), table(lambda g: in_frame(g, Galactic()))),
    "gaia_all_ecliptic": (("ecliptic",), table(lambda g: in_frame(g, BarycentricMeanEcliptic()))),
    "gaia_exchanged": (("exchanged",), table(lambda g: exchange(g, "pmra", "pmdec"))),
    "gaia_pmra_sign": (("pmra of", "other sign"), table(lambda g: times(g, -1, ["pmra"]))),
    "gaia_cos_dec_missing": (("without the factor",), table(lambda g: cos_dec(g, -1))),
    "gaia_cos_dec_twice": (("cos(dec) twice", None), table(lambda g: cos_dec(g, 1))),
    "gaia_equinox_of_date": ((None, *GAIA, "stars"), table(lambda g: sky(g, FK5(equinox="J2022")))),
    "gaia_motions_of_others": (("other stars'",), table(lambda g: shuffle(g, "pmra", "pmdec"))),
    "gaia_motions_in_arcsec": ((*GAIA, "unit"), table(lambda g: times(g, 1e-3, ("pmra", "pmdec", *PM)))),
    "gaia_errors_fifth": (GAIA, table(lambda g: times(g, 0.2, POS + PM))),
    "gaia_errors_ten": (("too large",), table(lambda g: times(g, 10, POS + PM))),
    "gaia_position_errors_in_degrees": (("unit",), table(lambda g: times(g, 1 / 3.6e6, POS))),
    "gaia_position_errors_in_arcsec": (("unit",), table(lambda g: times(g, 1e-3, POS))),
    "gaia_motion_errors_in_degrees": (("unit",), table(lambda g: times(g, 1 / 3.6e6, PM))),
    "gaia_twice": ((None, "twice", *GAIA), table(lambda g: ghosts(g, 100, 1.0))),
    "gaia_of_two_epochs": (
        ("epoch",), table(lambda g: put(g, ref_epoch=2016 - 6 * (np.arange(len(g)) % 2)))
    ),
    "gaia_rows_repeated": ((None, "twice", *GAIA), table(lambda g: vstack([g, g]))),
}  # fmt: skip
SHIFTS = (-1.0, 0.5, 3.0)
DATES = {f"date_{s:+.1f}_of_{n}": (n, s) for n in (3, 4, 6) for s in SHIFTS}


def fit(lists, gaia):
    """Fit motions; return checks, and the error where there was one."""
    try:
        out = fit_epochs(lists, gaia)
    except HPAstromError as err:
        return [], f"{type(err).__name__}: {err}"
    evidence = Evidence(motions=out.table, epochs=out.epoch_quality(), references=out.timed_references())
    return run_checks(evidence), None


def run(name, seed, stars):
    """Run a case; return whether it was judged as it must be, its line, and the checks."""
    if name in DATES:
        n, years = DATES[name]
        lists, gaia, _ = simulate(seed, n=stars, when=visits(n))
        k = int(np.random.default_rng([seed, n]).integers(n))
        late, words = str(lists[k].meta["filename"]), DATE if n > 3 else (None, *DATE)
        later(lists[k], years)
    else:
        lists, gaia, _ = simulate(seed, n=stars, when=visits(EPOCHS))
        words, spoil = CASES[name]
        out, late, n = spoil(lists, gaia), None, EPOCHS
        gaia = gaia if out is None else out
    checks, error = fit(lists, gaia)
    good, text = judged(name, words, checks, error)
    if good and late and n > 3 and checks and checks[0].about != late:
        good, text = False, text.replace("    ", "FAIL", 1) + f" ({checks[0].about}, not {late})"
    return good, text, checks


def run_good(seed, k):
    """The same of a field as it is."""
    rng = np.random.default_rng([9, seed, k])
    n, stars = (3, 4, 6, 14)[k % 4], int(10 ** rng.uniform(2.2, 3.2))
    lists, gaia, _ = simulate(
        1000 * seed + k, n=stars, n_gaia=min(49, stars // 5), when=visits(n), outliers=(0.01, 0.1)[k % 2],
    )  # fmt: skip
    checks, error = fit(lists, gaia)
    return *judged(f"good {1000 * seed + k}: {n} epochs, {stars} stars", (), checks, error), checks


def main(argv=None):
    """Run cases, print a line for each; return 1 where one was not judged as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--all", action="store_true", help="show all that is not ok")
    for name, default in (("good", 0), ("seed", 71), ("stars", 500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    todo = [lambda k=k: run_good(args.seed, k) for k in range(args.good)] or [
        lambda name=name: run(name, args.seed, args.stars) for name in args.cases or [*DATES, *CASES]
    ]
    return run_all(todo, args.all)


if __name__ == "__main__":
    sys.exit(main())
