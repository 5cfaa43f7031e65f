"""Two Dask workers against two processes: time and bytes.

Claims: the ePSF build and many-exposure measurement take at most 1.15 times the time of ``--workers=2`` on
two Dask workers of the same machine, and write the same tables to the byte and the same ePSFs to the bit. CPU
time is that of all processes: this one, its workers, and the cluster's scheduler and workers. The cluster is
there already, the processes of ``--workers`` start in each run. Runs alternate; the best of each kind counts.

    python benchmarks/bench_cluster.py [--size 512] [--exposures 6] [--stars 900] [--repeats 2]
"""

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from distributed import LocalCluster
from kills import different
from many_exposures import family

os.environ["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"
TICK = os.sysconf("SC_CLK_TCK")
FASTER = {"n_iterations": 8, "n_global": 3, "n_fitted": 3, "grid": 2, "choose_grid": False}


def make_field(folder, args):
    from jwst_hpastrom.epsf import EPSFLibrary
    from jwst_hpastrom.io import write_epsf_reference
    from jwst_hpastrom.simulation import simulate_field, write_field
    from jwst_hpastrom.simulation.optics import OpticsConfig

    field = simulate_field(
        size=args.size, n_exposures=args.exposures, n_stars=args.stars, mag_faint=-4.0, seed=3,
        filter="F200W", optics=OpticsConfig(n_field=2, n_wavelengths=1),
    )  # fmt: skip
    write_field(field, folder, truth=False)
    library = EPSFLibrary(*field.epsf.sampled(), meta={"filter": "F200W"}).normalized()
    write_epsf_reference(library, folder / "given.asdf")


def cpu():
    """CPU seconds of this process and its descendants, those that ended included."""
    total = 0
    for pid in family(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICK


def work(step, folder, out, **how):
    """Run a Step; return CPU and wall seconds."""
    from jwst_hpastrom.steps import EPSFBuildStep, MasterFrameStep

    asn, given = str(folder / "field_asn.json"), str(folder / "given.asdf")
    start = cpu(), time.monotonic()
    if step == "build":
        EPSFBuildStep(output_dir=str(out), **FASTER, **how).run(asn)
    else:
        MasterFrameStep(output_dir=str(out), epsf_file=given, mode="many", **how).run(asn)
    return cpu() - start[0], time.monotonic() - start[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--exposures", type=int, default=6)
    parser.add_argument("--stars", type=int, default=900)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as work_folder:
        folder = Path(work_folder)
        make_field(folder, args)
        from jwst_hpastrom.steps import EPSFFitStep

        outs = {"workers": folder / "workers", "dask": folder / "dask"}
        for out in outs.values():
            EPSFFitStep(output_dir=str(out), epsf_file=str(folder / "given.asdf")).run(
                str(folder / "field_asn.json")
            )
        with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=":0"
        ) as made:
            ways = {"workers": {"workers": 2}, "dask": {"scheduler": made.scheduler_address}}
            found = {}
            for repeat in range(args.repeats + 1):  # the first compiles
                for step in ("build", "many"):
                    for way, how in ways.items():
                        took = work(step, folder, outs[way], **how)
                        print(f"{step:6s} {way:8s} {took[0]:7.1f} CPU s {took[1]:7.1f} s", flush=True)
                        if repeat:
                            found.setdefault((step, way), []).append(took)
        for step in ("build", "many") if args.repeats else ():
            best = [np.min(found[step, way], axis=0) for way in ("dask", "workers")]
            ratio = best[0] / best[1]
            print(f"{step}: Dask over workers {ratio[0]:.2f} of CPU time, {ratio[1]:.2f} of wall time")
        wrong = different(outs["workers"], outs["dask"])
        print("products:", wrong or "the same")


if __name__ == "__main__":
    main()
