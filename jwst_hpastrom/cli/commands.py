"""The parser of ``hpastrom``, and its shorter commands."""

import argparse
import os
import shlex
import sys
import time
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from jwst_hpastrom.cli.calibration import add_calibration
from jwst_hpastrom.cli.completion import add_completion, spelled
from jwst_hpastrom.cli.frame import add_frame
from jwst_hpastrom.cli.run import add_run
from jwst_hpastrom.cli.streams import open_streams
from jwst_hpastrom.cli.strun import run_pipeline
from jwst_hpastrom.errors import BadFileError, HPAstromError, ParameterError

__all__ = ["main"]

EPILOG = """examples:
  hpastrom run *_cal.fits --reference_catalog=hst.ecsv   # exposures to motions, verdict and report
  hpastrom check out                                     # believe it or not
  hpastrom COMMAND --help                                # options and examples of a command
"""
EXAMPLES = {
    "demo": "  hpastrom demo --quick --output_dir=demo",
    "check": "  hpastrom check out && echo good\n  hpastrom check out --all",
    "report": "  hpastrom report out\n  hpastrom report out --output=page.html --exposures=exposures",
    "kinematics": "  hpastrom kinematics out/field_pm.ecsv --distance=49.5 --find-cluster",
    "convert": "  hpastrom convert hst.xym hst.ecsv --epoch=2006.4\n"
    "  hpastrom convert field_epsf.fits field_epsf.asdf\n"
    "  hpastrom convert STDGDC_NIRISS_F150W.fits own.asdf --like=crds_distortion.asdf",
    "info": "  hpastrom info\n  hpastrom info out/field_pm.ecsv x_cal.fits",
}  # fmt: skip


def _parser():
    parser = argparse.ArgumentParser(
        prog="hpastrom",
        description="Exposures to motions, verdicts, reports, conversions, information on files.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="versions of this package and of those it needs")
    sub = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_run(sub)
    _add_demo(sub)
    _add_check(sub)
    _add_report(sub)
    _add_kinematics(sub)
    add_frame(sub)
    add_calibration(sub)
    _add_convert(sub)
    _add_info(sub)
    add_completion(sub, parser)
    for name, text in EXAMPLES.items():
        child = sub.choices[name]
        child.epilog = f"examples:\n{text}"
        child.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _add_demo(sub):
    demo = sub.add_parser("demo", help="simulate a field, run calwebb_hpastrom on it, compare with the truth")
    demo.add_argument(
        "--output_dir", default="hpastrom_demo", help="folder for everything (default: %(default)s)"
    )
    demo.add_argument("--quick", action="store_true", help="fewer exposures and stars")
    demo.add_argument("--seed", type=int, default=1, help="seed of the simulation (default: %(default)s)")
    demo.add_argument(
        "--workers", type=int, default=None, help="processes (default: 2 where there are as many cores)"
    )
    demo.set_defaults(run=_demo)


def _add_check(sub):
    check = sub.add_parser(
        "check", help="verdicts on a folder of products; exit status 0: ok, 3: worth a look, 4: bad"
    )
    check.add_argument(
        "folder", nargs="?", default=".", help="folder with products (default: the current one)"
    )
    check.add_argument("--all", action="store_true", help="show the checks that are ok, too")
    check.set_defaults(run=_check)


def _add_report(sub):
    report = sub.add_parser("report", help="plots and one HTML page from a folder of products")
    report.add_argument(
        "folder", nargs="?", default=".", help="folder with products (default: the current one)"
    )
    report.add_argument("--output", default=None, help="the page (default: FOLDER/PRODUCT_report.html)")
    report.add_argument(
        "--exposures", default=None, help="folder with the exposures, for figures that need pixels"
    )
    report.set_defaults(run=_report)


def _add_kinematics(sub):
    kinematics = sub.add_parser(
        "kinematics",
        help="populations, their groups and dispersions, a cluster, from motions (L23 section 5)",
    )
    kinematics.add_argument("motions", help="motions with colors: PRODUCT_pm.ecsv of hp_proper_motion")
    kinematics.add_argument("--split", type=float, help="color between the populations (default: the best)")
    kinematics.add_argument(
        "--bright", type=float, nargs=2, metavar="MAG",
        help="magnitudes of the best motions (default: -6.5 -5)",
    )  # fmt: skip
    kinematics.add_argument(
        "--center", "--centre", type=float, nargs=2, metavar="DEG",
        help="of a cluster (default: none is looked for)",
    )  # fmt: skip
    kinematics.add_argument(
        "--find-cluster", action="store_true", help="look for one where young stars are densest"
    )
    kinematics.add_argument(
        "--radius", type=float, default=25.0, help="of the cluster, arcsec (default: %(default)s)"
    )
    kinematics.add_argument(
        "--distance", type=float, default=None, help="kpc, for velocities in km/s (default: mas/yr only)"
    )
    kinematics.add_argument("--distance-error", type=float, default=0.0, help="kpc (default: %(default)s)")
    kinematics.add_argument(
        "--seed", type=int, default=1, help="of the noise realizations (default: %(default)s)"
    )
    kinematics.add_argument(
        "--output", default=None, help="the page (default: PRODUCT_kinematics.html beside)"
    )
    kinematics.set_defaults(run=_kinematics)


def _add_convert(sub):
    convert = sub.add_parser(
        "convert",
        help="catalogs, ePSF libraries, distortions from one file format to another",
        description=_convert.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    convert.add_argument("source")
    convert.add_argument("target")
    convert.add_argument(
        "--epoch", type=float, default=None, help="Julian year, where a catalog does not say"
    )
    convert.add_argument(
        "--kind",
        choices=("catalog", "epoch", "gaia"),
        default=None,
        help="what a table is: a catalog (default), one epoch's star list (.calib is), a Gaia table",
    )
    convert.add_argument("--like", default=None, help="distortion reference whose place in V2V3 to take")
    convert.set_defaults(run=_convert)


def _add_info(sub):
    info = sub.add_parser("info", help="versions, or what a product holds")
    info.add_argument("files", nargs="*")
    info.set_defaults(run=_info)


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments, ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        Exit status: 0 where all went well, 1 after an error (one line on stderr), 2 for wrong arguments; of
        ``check`` 3 where something is worth a look, 4 where something is bad.
    """
    open_streams()
    parser = _parser()
    try:
        args, args.rest = parser.parse_known_args(spelled(sys.argv[1:] if argv is None else argv, parser))
    except ParameterError as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return 1
    if args.rest and args.command != "run":  # which hands on parameters of strun's
        parser.error(f"unrecognized arguments: {' '.join(args.rest)}")
    try:
        return args.run(args) or 0
    except HPAstromError as err:
        given = next((vars(args)[name] for name in ("motions", "source", "folder") if name in args), None)
        print(f"{type(err).__name__}: {err.about(given)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("hpastrom: interrupted", file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as err:  # a command line shows no traceback
        text = " ".join(str(err).split())
        print(f"hpastrom {args.command}: {type(err).__name__}: {text}", file=sys.stderr)
        if os.environ.get("HPASTROM_TRACEBACK"):
            raise
    return 1


def _compile_fits(path):
    """Have the star fits compiled: numba keeps them on disk for every process that comes after."""
    import numpy as np

    from jwst_hpastrom.epsf import EPSFLibrary, measure_stars
    from jwst_hpastrom.io.exposures.exposure import read_exposure

    image = read_exposure(path).image
    nodes = [np.linspace(0, n - 1, 5) for n in image.shape]
    r2 = np.add.outer(*2 * [np.linspace(-12.5, 12.5, 101) ** 2])
    library = EPSFLibrary(np.tile(np.exp(-2 * r2), (25, 1, 1)), nodes[1], nodes[0]).normalized()
    measure_stars(image, library)


def _demo(args):
    """Simulate, run the pipeline as a user would, compare with the truth."""
    from jwst_hpastrom.report import write_report, write_truth_plots
    from jwst_hpastrom.simulation import demo_config, simulate_field, write_field
    from jwst_hpastrom.simulation.comparison import compare, format_summary

    if find_spec("matplotlib") is None:  # say so before minutes of work
        raise ParameterError("no matplotlib", "it for the plots", "pip install 'jwst_hpastrom[demo]'", "demo")
    started = time.monotonic()
    folder = Path(args.output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise BadFileError(f"no folder ({err.strerror})", "one that can be made", "", folder) from err
    workers = args.workers or min(2, os.cpu_count() or 1)
    config = demo_config(quick=args.quick, seed=args.seed)
    ny, nx = config.shape
    print(
        f"Simulating {config.n_exposures} exposures of {nx} x {ny} pixels in {config.filter}, about "
        f"{config.n_stars} stars each, seed {config.seed}"
    )
    field = simulate_field(config)
    files = write_field(field, folder / "exposures", progress=True)
    if workers > 1:
        # a first run compiles for minutes, one function after the other: the second core helps
        get_context("spawn").Process(target=_compile_fits, args=(files.exposures[0],), daemon=True).start()
    products = folder / "products"
    command = ["strun", "calwebb_hpastrom", files.association]
    command += [f"--reference_catalog={files.reference_catalog}", f"--output_dir={products}"]
    command += ["--mode=isolated"]  # a sparse field: no neighbors to subtract
    command += [f"--workers={workers}"]
    print("\nSTPIPE_DISABLE_CRDS_STEPPARS=true " + shlex.join(command))
    run_pipeline(command, folder / "strun.log")
    summary, details = compare(field, products, official=files.distortion)
    summary.write(folder / "comparison.ecsv", format="ascii.ecsv", overwrite=True)
    plots = write_truth_plots(details, folder / "plots")
    page = write_report(products, exposures=folder / "exposures")
    print("\nMeasured against the truth (scatter: robust; pull: scatter over the stated error, 1 is honest;")
    print("/bound: scatter over the Cramer-Rao bound, 1 is perfect; distortion: root mean square):\n")
    print(format_summary(summary))
    print(f"\nplots: {' '.join(plots)}\nreport: {page}\nlog: {folder / 'strun.log'}")
    print(f"{time.monotonic() - started:.0f} s in all")


def _check(args):
    from jwst_hpastrom.checks import check_folder, condense, overall

    checks = check_folder(args.folder)
    if not checks:
        raise BadFileError("no quality tables, master frame or motions", "products of the pipeline's Steps",
                           "run them again", args.folder)  # fmt: skip
    noted = [c for c in checks if args.all or c.verdict != "ok"]
    for check in condense(noted):
        print(check)
    verdict = overall(checks)
    counts = ", ".join(f"{sum(c.verdict == v for c in checks)} {v}" for v in ("ok", "look", "bad"))
    print(f"{verdict.upper()}: {len(checks)} checks, {counts}")
    return {"ok": 0, "look": 3, "bad": 4}[verdict]


def _report(args):
    from jwst_hpastrom.report import write_report

    print(write_report(args.folder, args.output, args.exposures))


def _kinematics(args):
    import numpy as np

    from jwst_hpastrom.io.tables.reading import read_table
    from jwst_hpastrom.kinematics import study_field
    from jwst_hpastrom.report.captions import shown
    from jwst_hpastrom.report.kinematics_figures import study_contents
    from jwst_hpastrom.report.motion_figures import motion_errors
    from jwst_hpastrom.report.page.document import write_page

    path = Path(args.motions)
    motions = read_table(path, "PRODUCT_pm.ecsv of hp_proper_motion")
    study = study_field(
        motions,
        rng=np.random.default_rng(args.seed),
        split=args.split,
        **({"bright": tuple(args.bright)} if args.bright else {}),
        center=tuple(args.center) if args.center else "densest" if args.find_cluster else None,
        radius=args.radius,
        distance_kpc=args.distance,
        distance_error=args.distance_error,
    )
    for row in study.summary:
        error = f" ± {row['error']:.4f}" if np.isfinite(row["error"]) else ""
        print(f"{row['quantity']:42s} {row['value']:10.4f}{error} {row['unit']}")
    name = path.stem.removesuffix("_pm")
    output = args.output or path.with_name(f"{name}_kinematics.html")
    contents = [
        shown(motion_errors(study.motions), "motion_errors", "Colors and errors (L23 Fig. 20)"),
        *study_contents(study),
    ]
    print(write_page(output, f"{name}: kinematics", [("Kinematics", contents)]))


def _convert(args):
    """Convert a file; the names say how.

    ePSF libraries:   STDPSF (.fits) <-> ASDF reference (.asdf), where either name has "psf" in it
    distortions:      *_distortion.asdf or STDGDC -> *_gdc.fits (format 2), other .fits (format 1);
                      STDGDC -> *.asdf, placed in V2V3 as the reference given by --like is
    catalogs:       .ecsv .fits .parquet .csv .xym* .lis -> .ecsv .fits .parquet, standard columns
    epochs' lists:    the same, and flystar's .calib (the epoch from the date in the name, or --epoch)
    Gaia tables:      Gaia's columns, or flystar's x0 y0 vx vy, with --kind=gaia
    """
    source, target = Path(args.source), Path(args.target)
    if not source.exists():
        raise BadFileError("no such file", "a file to convert", "check the path", source)
    if "psf" in (source.name + target.name).lower():
        print(_convert_epsf(source, target))
    elif "gdc" in target.stem.lower() or ".asdf" in (source.suffix, target.suffix):
        from jwst_hpastrom.io.calibrations.conversion import convert_distortion

        print(convert_distortion(source, target, like=args.like))
    elif target.suffix in (".ecsv", ".fits", ".parquet"):
        kind = args.kind or ("epoch" if source.suffix == ".calib" else "catalog")
        print(_convert_table(source, target, kind, args.epoch))
    else:
        raise ParameterError(
            f"a target {target.name}",
            ".ecsv, .fits or .parquet for a table, .asdf for a reference file",
            "see hpastrom convert --help",
        )


def _convert_epsf(source, target):
    from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
    from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf

    writers = {".asdf": write_epsf_reference, ".fits": write_stdpsf}
    if target.suffix not in writers:
        raise ParameterError(f"a target {target.name}", ".fits or .asdf for an ePSF library")
    return writers[target.suffix](read_epsf(source), target)


def _convert_table(source, target, kind, epoch):
    from jwst_hpastrom.io.files.writing import write_table
    from jwst_hpastrom.io.gaia.table import read_gaia
    from jwst_hpastrom.io.tables.catalogs import read_catalog
    from jwst_hpastrom.io.tables.epochs import convert_flystar_list, read_epoch_list

    if kind == "gaia":
        table = read_gaia(source)
    elif kind == "epoch":
        read = convert_flystar_list if source.suffix == ".calib" else read_epoch_list
        table = read(source, epoch=epoch)
    else:
        table = read_catalog(source, epoch=epoch, need_sky=False)
    return write_table(table, target)


class _Version(argparse.Action):
    """Print versions and leave; they are looked up only when asked for."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(self, parser, namespace, values, option_string=None):
        _print_versions()
        parser.exit()


def _print_versions():
    from importlib.metadata import version

    for name in ("jwst_hpastrom", "jwst", "stpipe", "photutils", "astropy", "gwcs", "asdf", "numpy", "numba"):
        print(f"{name:14s} {version(name)}")


def _info(args):
    if not args.files:
        from jwst_hpastrom.integration import get_steps

        _print_versions()
        print("steps          " + " ".join(alias for _, alias, _ in get_steps()))
    for name in args.files:
        from jwst_hpastrom.report.information import describe

        print(describe(name))
