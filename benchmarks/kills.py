"""Runs that are killed or meet a full disk, and what a resumed run makes of what they left.

Claims: after SIGKILL at whatever moment, aimed at the writing of files or not, and after a full disk, which
is an error that says so, ``--resume=true`` ends with the products of an undisturbed run: tables to the byte,
images and ePSFs of both formats to the last bit, and no other file. The yardstick is that undisturbed run.
Two roads: with a given ePSF library, and with one that is built.

    python benchmarks/kills.py [--kills 40] [--disks 10] [--seed 1] [--road built]
"""

import argparse
import errno
import itertools
import logging
import os
import resource
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.io import fits

os.environ["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"
QUICK = {"n_iterations": 3, "n_global": 1, "n_fitted": 1, "grid": 2, "choose_grid": False, "mesh": 50}
SHARES = {"given": 0.75, "built": 0.25}  # of the trials
ROOM = 1 << 30  # bytes on the disk below which a run that ends is no fault of this package
FULL = 7  # exit code of a run that ended with the error of a full disk


def make_field(folder):
    """Write the exposures, the catalog and a library of another date."""
    from jwst_hpastrom.epsf import EPSFLibrary
    from jwst_hpastrom.io import write_epsf_reference
    from jwst_hpastrom.simulation import simulate_field, write_field
    from jwst_hpastrom.simulation.optics import OpticsConfig

    field = simulate_field(
        size=200, n_exposures=3, dither_arcsec=3.0, n_stars=130, mag_faint=-4.0, filter="F200W", seed=3,
        optics=OpticsConfig(n_field=2, n_wavelengths=1),
    )  # fmt: skip
    write_field(field, folder, truth=False)
    library = EPSFLibrary(*field.epsf.sampled(), meta={"filter": "F200W"}).normalized()
    write_epsf_reference(library, folder / "given.asdf")


def run(folder, out, road, resume=False):
    """Run the pipeline in this process."""
    from jwst_hpastrom.steps import HPAstromPipeline

    pipeline = HPAstromPipeline(output_dir=str(out), reference_catalog=str(folder / "first_epoch.ecsv"))
    pipeline.resume = resume
    if road == "given":
        pipeline.epsf_file = str(folder / "given.asdf")
    else:
        pipeline.mode = "isolated"
        for key, value in QUICK.items():
            setattr(pipeline.hp_epsf_build, key, value)
    pipeline.run(str(folder / "field_asn.json"))


def child(function, after=None):
    """Call a function in a process of its own, which may be killed after some seconds; return its status."""
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            told = os.dup(2)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            function()
            code = 0
        except BaseException as err:
            os.write(told, f"  {type(err).__name__}: {err}\n".encode())
            code = FULL if type(err).__name__ == "BadFileError" else 1
        finally:
            os._exit(code)
    clock = None
    if after is not None:
        clock = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
        clock.start()
    status = os.waitpid(pid, 0)[1]
    if clock:
        clock.cancel()
    return status


def at_rename(moment, before, action):
    """Do something when the file ``moment`` is to get its name, or has just got it."""
    count, rename = itertools.count(), os.replace

    def replace(*args):
        mine = next(count) == moment
        if mine and before:
            action()
        rename(*args)
        if mine and not before:
            action()

    os.replace = replace


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def limit(size):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def arrays(path):
    """What a product that has dates in it holds."""
    from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
    from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf

    if path.name.endswith("_distortion.asdf"):
        return read_distortion(path).forward(*np.meshgrid(*2 * [np.linspace(0, 2047, 9)]))
    if path.name.endswith("_epsf.asdf"):
        return [read_epsf(path).data]
    with fits.open(path) as hdus:
        return [np.asarray(h.data) for h in hdus if h.data is not None and h.name != "MANIFEST"]


def different(one, two):
    """Names of the products of one folder that another has not, or not the same."""
    names = {p.name for p in one.iterdir()}
    out = sorted(names ^ {p.name for p in two.iterdir()})
    for name in sorted(names - set(out)):
        a, b = one / name, two / name
        if name.endswith((".fits", ".asdf")):
            pairs = zip(arrays(a), arrays(b), strict=True)
            equal = all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)
        else:
            equal = a.read_bytes() == b.read_bytes()
        out += [] if equal else [name]
    return out


def trials(kills, disks, n_files, seconds, rng):
    """Kind, what happens, and when, of every trial on one road."""
    for k in range((kills + 1) // 2):
        moment = k * n_files // ((kills + 1) // 2)
        yield "kill, aimed", f"{'before' if k % 2 else 'after'} file {moment}", (moment, bool(k % 2), die)
    for when in rng.uniform(0, seconds, kills // 2):
        yield "kill, random", f"after {when:.2f} s", float(when)
    for k in range(disks):
        if k % 2:
            size = int(10 ** rng.uniform(3.5, 6))
            yield "full disk", f"files of {size} bytes at most", size
        else:
            moment = k * n_files // disks
            yield "full disk", f"at file {moment}", (moment, True, full)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--disks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--road", choices=list(SHARES), help="one of the two roads alone, with all trials")
    args = parser.parse_args()
    shares = {args.road: 1.0} if args.road else SHARES
    logging.disable(logging.CRITICAL)
    rng, count = np.random.default_rng(args.seed), Counter()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        make_field(work)
        out = work / "out"
        for road, share in shares.items():
            run(work, work / road, road)  # compiles, too
            files, rename = itertools.count(), os.replace
            os.replace = lambda *a, c=files, r=rename: (next(c), r(*a))[1]
            shutil.rmtree(work / road)
            start = time.monotonic()
            run(work, work / road, road)
            seconds, os.replace = time.monotonic() - start, rename
            n_files = next(files)
            print(f"{road}: {n_files} files in {seconds:.1f} s", flush=True)
            kills, disks = round(share * args.kills), round(share * args.disks)
            planned = list(trials(kills, disks, n_files, seconds, rng))
            for kind, what, how in [planned[k] for k in rng.permutation(len(planned))]:
                shutil.rmtree(out, ignore_errors=True)
                if shutil.disk_usage(work).free < ROOM:  # a resumed run would rightly end with an error
                    raise SystemExit("the machine's own disk is full: nothing can be told")

                def disturbed(how=how, road=road):
                    if isinstance(how, tuple):
                        at_rename(*how)
                    elif isinstance(how, int):
                        limit(how)
                    run(work, out, road)

                status = child(disturbed, how if isinstance(how, float) else None)
                named = os.WIFEXITED(status) and os.WEXITSTATUS(status) == FULL
                hit = os.WIFSIGNALED(status) if kind.startswith("kill") else os.WEXITSTATUS(status) != 0
                resumed = child(lambda road=road: run(work, out, road, resume=True))
                wrong = [f"status {resumed}"] if resumed else different(work / road, out)
                count[road, kind, "trials"] += 1
                count[road, kind, "disturbed"] += hit
                count[road, kind, "named"] += named
                count[road, kind, "identical"] += not wrong
                end = "named" if named else "disturbed" if hit else "not disturbed"
                print(f"  {road}, {kind}, {what}: {end}; {wrong or 'identical'}", flush=True)
    for road, kind in sorted({k[:2] for k in count}):
        print(f"{road:6s} {kind:13s}", ", ".join(
            f"{count[road, kind, n]} {n}" for n in ("trials", "disturbed", "named", "identical")
        ))  # fmt: skip


if __name__ == "__main__":
    main()
