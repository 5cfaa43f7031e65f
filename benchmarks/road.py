"""Where the CPU seconds of the whole road go, from exposures to motions: cold (nothing compiled) and warm.

Claims nothing: a profile. Yardsticks of the same run: the bytes read and written at the speed of a plain copy
of a file, and a triad a = b + s c of numba. The field is the simulation's own, with a fixed seed.

    python benchmarks/road.py [--dense] [--warm-only] [--kernels]

With --kernels, on one core, so that no other process compiles ahead: what is compiled, each function's own
seconds, in how many kinds of arguments, and whether the package's list of kernels to compile ahead (which
--list writes anew) is that of this road.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: part of the road: functions that it is spent in; what runs within another part is that part's
PARTS = {
    "read": ("io.exposures:read_exposure", "io.exposures.exposure:read_image", "io.tables.reading:read_table",
             "io.calibrations.distortion_reference:read_distortion",
             "io.calibrations.epsf_reference:read_epsf"),
    "detect": ("epsf.detect:find_stars", "epsf.detect:peaks", "epsf.detect:sky_map"),
    "fit": ("epsf.passes:measure_stars",),
    "build, samples": ("epsf.stamps.samples:collect_samples", "epsf.stamps.samples:mean_residuals"),
    "build, fits": ("epsf.stamps.samples:fit_in_stamps",),
    "build, smoothing": ("epsf.build.smoothing:smooth_update", "epsf.build.smoothing:recenter"),
    "build, opening": ("epsf.stamps.frames:open_frame",),
    "build, neighbors and sky": ("epsf.stamps.neighbors:refresh_stamps", "epsf.stamps.neighbors:cut_again"),
    "build, positions": ("epsf.build.positions:cross_identify", "epsf.build.positions:plane_polynomial",
                         "epsf.build.positions:Averager.update"),
    "build, bends": ("epsf.build.bends:find_bends",),
    "build, rest": ("epsf.build.build:build_library",),
    "distortion, match": ("distortion.solve.matching:match_reference",),
    "distortion, polynomial": ("distortion.solve.iterative:solve_polynomial",),
    "distortion, table": ("distortion.solve.iterative:solve_table",),
    "distortion, joint": ("distortion.solve.joint:solve_joint",),
    "distortion, pixel map": ("distortion.pixelmap.fine_map:build_fine_map",),
    "distortion, stated errors": ("distortion.published:simulated_errors",),
    "distortion, rest": ("distortion.solution:solve_distortion",),
    "frame": ("frame.master:build_master",),
    "motion": ("motion.two_epoch.motions:two_epoch_motions",),
    "write": ("io.files.writing:write_table", "io.calibrations.distortion_reference:write_distortion",
              "io.calibrations.stdgdc:forward_layers", "io.calibrations.stdgdc:write_stdgdc",
              "io.calibrations.stdpsf:write_stdpsf", "io.calibrations.epsf_reference:write_epsf_reference"),
}  # fmt: skip


class Stopwatch:
    """CPU seconds by part, each second counted once: what runs within a part stops its clock."""

    def __init__(self):
        self.seconds, self.stack, self.last = {}, ["rest"], time.process_time()

    def turn(self):
        now = time.process_time()
        self.seconds[self.stack[-1]] = self.seconds.get(self.stack[-1], 0.0) + now - self.last
        self.last = now

    def enter(self, part):
        self.turn()
        self.stack.append(part)

    def leave(self):
        self.turn()
        self.stack.pop()

    def timed(self, function, part):
        def run(*args, **kwargs):
            self.enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        run.__dict__.update(function.__dict__)
        run.__wrapped__ = function  # parameters of Steps are those of its signature
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        return run


def watch(clock):
    """Put the clock around the functions of all parts wherever they are known, and around the compiler."""
    from importlib import import_module

    from numba.core import event

    timed = {}
    for part, names in PARTS.items():
        for name in names:
            module, function = name.split(":")
            owner, _, function = f".{function}".rpartition(".")
            module = import_module(f"jwst_hpastrom.{module}")
            place = getattr(module, owner[1:]) if owner else module
            original = getattr(place, function)
            if owner:  # a method
                setattr(place, function, clock.timed(original, part))
            else:
                timed[id(original)] = original, clock.timed(original, part)
    for module in [m for n, m in sys.modules.items() if n.startswith("jwst_hpastrom")]:
        for name, value in list(vars(module).items()):
            if id(value) in timed:
                setattr(module, name, timed[id(value)][1])

    class Compiling(event.Listener):
        def __init__(self):
            self.open, self.own, self.called = [], {}, []

        def on_start(self, event):
            clock.enter("compile")
            self.open.append([time.process_time(), 0.0])

        def on_end(self, event):
            clock.leave()
            start, inner = self.open.pop()
            spent = time.process_time() - start
            kernel = event.data["dispatcher"]
            function = kernel.py_func
            if self.open:
                self.open[-1][1] += spent
            elif function.__module__.startswith("jwst_hpastrom."):
                self.called.append((kernel, event.data["args"]))
            name = f"{function.__module__.removeprefix('jwst_hpastrom.')}.{function.__name__}"
            self.own.setdefault(name, []).append(spent - inner)

    listener = Compiling()
    event.register("numba:compile", listener)
    return listener


def child(folder, out):
    """Run the pipeline in this process and write the seconds by part."""
    clock, begun = Stopwatch(), time.monotonic()
    clock.enter("import")
    from jwst_hpastrom.steps import (
        DistortionRefineStep,
        EPSFBuildStep,
        EPSFFitStep,
        HPAstromPipeline,
        MasterFrameStep,
        ProperMotionStep,
    )

    assert all((DistortionRefineStep, EPSFBuildStep, EPSFFitStep, MasterFrameStep, ProperMotionStep))
    compiler = watch(clock)
    clock.leave()
    files = json.loads((Path(folder) / "files.json").read_text())
    HPAstromPipeline(output_dir=out, reference_catalog=files["catalog"]).run(files["association"])
    clock.turn()
    from jwst_hpastrom.steps.execution.ahead import line_of

    found = {
        "seconds": clock.seconds,
        "wall": time.monotonic() - begun,
        "others": sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]),
        "compiled": compiler.own,
        "called": list(dict.fromkeys(line_of(*call) for call in compiler.called)),
    }
    Path(folder, f"{Path(out).name}.json").write_text(json.dumps(found))


def triad(n=1 << 22, repeat=20):
    """CPU seconds of 10⁹ operations of a = b + s c."""
    import numba
    import numpy as np

    @numba.njit
    def run(a, b, c):
        for i in range(a.size):
            a[i] = b[i] + 1.5 * c[i]

    a, b, c = np.zeros(n), np.ones(n), np.ones(n)
    run(a, b, c)
    start = time.process_time()
    for _ in range(repeat):
        run(a, b, c)
    return (time.process_time() - start) / (2 * n * repeat) * 1e9


def disk(folder, n=1 << 27):
    """CPU seconds a byte written and read again."""
    path, content = Path(folder) / "yardstick", os.urandom(n)
    start = time.process_time()
    path.write_bytes(content)
    path.read_bytes()
    seconds = time.process_time() - start
    path.unlink()
    return seconds / (2 * n)


def size_of(folder):
    return sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())


def list_kernels(compiled, shown=0.3):
    """Print the functions that took longest to compile, and those compiled more than once."""
    own = {name: (sum(v), len(v)) for name, v in compiled.items()}
    again = sum(sum(sorted(v)[:-1]) for n, v in compiled.items() if not n.startswith("numba."))
    print(f"\n{len(own)} functions compiled, {sum(s for s, _ in own.values()):.1f} s; "
          f"kinds of arguments beyond one, of ours: {again:.1f} s")  # fmt: skip
    for name, (spent, kinds) in sorted(own.items(), key=lambda item: -item[1][0]):
        if spent > shown or (kinds > 1 and not name.startswith("numba.")):
            print(f"{name:60s} {spent:6.2f} s {kinds:2d}")


def compare_list(called, write):
    """Say whether the package's list of kernels is that of a cold run, or write it."""
    from jwst_hpastrom.steps.execution import ahead

    missing, more = (sorted(set(a) - set(b)) for a, b in ((called, ahead.listed()), (ahead.listed(), called)))
    print(f"\n{len(called)} kernels called; not in the package's list: {missing}; only there: {more}")
    if write:
        Path(ahead.__file__).with_name(ahead.LIST).write_text("\n".join(called) + "\n")


def run_child(folder, out, environment, alone):
    """Run the pipeline in a process of its own, on one core if ``alone``; return what it found."""
    command = [sys.executable, __file__, "--child", folder, str(out)]
    command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command] if alone else command
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
    return json.loads(Path(folder, f"{out.name}.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", action="store_true", help="18 exposures of 20,000 stars, not 4 of 1,200")
    parser.add_argument("--warm-only", action="store_true", help="with the compiled functions that are there")
    parser.add_argument("--kernels", action="store_true", help="list what is compiled, too")
    parser.add_argument("--list", action="store_true", help="write the package's list of kernels, too")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*args.child)

    from jwst_hpastrom.simulation import FieldConfig, simulate_field, write_field
    from jwst_hpastrom.simulation.config import demo_config

    with tempfile.TemporaryDirectory() as folder:
        config = demo_config(quick=True)
        if args.dense:
            config = FieldConfig(filter="F150W", n_exposures=9, n_repeat=2, n_stars=20000, seed=1)
        files = write_field(simulate_field(config), Path(folder) / "exposures", truth=False)
        given = {"association": str(files.association), "catalog": str(files.reference_catalog)}
        Path(folder, "files.json").write_text(json.dumps(given))
        flop, byte = triad(), disk(folder)
        print(f"yardsticks: {1 / byte / 1e9:.2f} GB a CPU second to and from the disk, "
              f"10⁹ operations of a triad in {flop:.2f} s")  # fmt: skip
        read = size_of(Path(folder) / "exposures")
        environment = dict(os.environ, STPIPE_DISABLE_CRDS_STEPPARS="true")
        if not args.warm_only:
            environment["NUMBA_CACHE_DIR"] = str(Path(folder) / "compiled")
        for state in ("warm",) if args.warm_only else ("cold", "warm"):
            out = Path(folder) / state
            out.mkdir()
            found = run_child(folder, out, environment, args.kernels or args.list)
            seconds = found["seconds"]
            data, total = read + size_of(out), sum(seconds.values())
            print(f"\n{state}: {total:.1f} CPU s; {data / 1e6:.0f} MB at the disk's speed take "
                  f"{data * byte:.2f} s, 1/{total / (data * byte):.0f} of it; {found['others']:.1f} CPU s of "
                  f"other processes; {found['wall']:.0f} s on the clock")  # fmt: skip
            print(f"{'part':28s} {'CPU s':>8s} {'share':>6s} {'/ bytes':>8s} {'/ 10⁹ triad':>11s}")
            for part, spent in sorted(seconds.items(), key=lambda item: -item[1]):
                print(f"{part:28s} {spent:8.2f} {spent / total:6.1%} {spent / (data * byte):8.2f} "
                      f"{spent / flop:11.1f}")  # fmt: skip
            if args.kernels:
                list_kernels(found["compiled"])
            if state == "cold" and (args.kernels or args.list):
                compare_list(found["called"], args.list)
    return 0


if __name__ == "__main__":
    sys.exit(main())
