"""``hpastrom run``: a short front of ``strun calwebb_hpastrom``."""

import argparse
import os
import re
import shlex
from importlib.resources import files
from pathlib import Path

from jwst_hpastrom.cli.strun import run_pipeline
from jwst_hpastrom.errors import BadFileError, ParameterError

__all__ = ["PRESETS", "add_run", "parameter_lines"]

#: parameter files that come with the package
PRESETS = ("sparse", "dense", "calibration")
EPILOG = """examples:
  hpastrom run *_cal.fits --reference_catalog=hst.ecsv --preset=sparse
  hpastrom run scene_asn.json --reference_catalog=hst.ecsv --output_dir=out --workers=2
  hpastrom run exposures/ --epsf_file=STDPSF_NIRISS_F150W.fits --distortion_file=ref_distortion.asdf
  hpastrom run scene_asn.json --steps.hp_epsf_build.n_iterations=12    # any parameter of strun's, with =
  hpastrom run --show-parameters hp_epsf_build                         # which there are

The command that is run is printed, its whole output is in OUTPUT_DIR/strun.log.
"""


class _Once(argparse.Action):
    """An option that is given once: strun takes the last of two in silence."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Take the value."""
        given = getattr(namespace, self.dest)
        if given not in (self.default, values):
            raise ParameterError(f"--{self.dest} twice, as {given} and {values}", "it once")
        setattr(namespace, self.dest, values)


def add_run(sub):
    """Add the command."""
    run = sub.add_parser(
        "run",
        help="exposures to motions: calwebb_hpastrom, the verdict, the report",
        description="Run strun calwebb_hpastrom on exposures, then say what was made and how good it is.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    once = {"action": _Once, "metavar": "FILE"}
    inputs = run.add_argument_group("inputs")
    inputs.add_argument("exposures", nargs="*", help="an association, exposures of a filter, or their folder")
    inputs.add_argument("--reference_catalog", **once, help="catalog of the first epoch")
    inputs.add_argument("--gaia_catalog", **once, help="Gaia table, for exposures of several epochs")
    inputs.add_argument("--epsf_file", **once, help="ePSF library to use instead of building one")
    inputs.add_argument("--start_epsf", **once, help="ePSF library to adapt to the exposures")
    inputs.add_argument("--distortion_file", **once, help="distortion to use instead of solving one")
    outputs = run.add_argument_group("outputs")
    outputs.add_argument(
        "--output_dir", action=_Once, default=".", metavar="DIR", help="default: the current folder"
    )
    outputs.add_argument(
        "--product", metavar="NAME", help="name of the products (default: from the exposures)"
    )
    outputs.add_argument("--no-report", action="store_true", help="write no page")
    how = run.add_argument_group("how")
    kinds = "sparse: stars apart; dense: neighbors subtracted; calibration: positions and distortion together"
    how.add_argument("--preset", choices=PRESETS, help=kinds)
    how.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    how.add_argument("--resume", action="store_true", help="go on with what is there")
    how.add_argument("--dry-run", action="store_true", help="print the command, run nothing")
    how.add_argument("--show-parameters", nargs="?", const="", metavar="STEP",
                     help="list the parameters, by Step, or those of one Step")  # fmt: skip
    run.set_defaults(run=_run)


def parameter_lines(step=""):
    """Return the parameters of the pipeline in groups, from the Steps' own specifications.

    Parameters
    ----------
    step : str
        Alias of the only Step wanted.

    Returns
    -------
    list of str
    """
    from jwst_hpastrom.steps import HPAstromPipeline

    groups = {"calwebb_hpastrom": ("--", HPAstromPipeline)}
    groups |= {name: (f"--steps.{name}.", cls) for name, cls in HPAstromPipeline.step_defs.items()}
    if step and step not in groups:
        raise ParameterError(f"a Step {step!r}", f"one of {', '.join(groups)}")
    lines, shared = [], set()
    for name, (start, cls) in groups.items():
        if step and name != step:
            continue
        lines += ["", f"{name}: " + (cls.__doc__ or "").strip().partition("\n")[0]]
        for key, default, text in _specified(cls.spec):
            if name != "calwebb_hpastrom" and not step and key in shared:
                continue  # said once, of the pipeline, which hands them on
            shared |= {key} if name == "calwebb_hpastrom" else set()
            lines += [f"  {start}{key}={default}", f"      {text}"]
    return lines[1:]


def _specified(spec):
    for line in spec.splitlines():
        found = re.match(r"\s*(\w+) = (\w+)\((.*)\)\s*(?:#\s*(.*))?$", line)
        if found:
            default = re.search(r"default=('[^']*'|[^,)]*)", found[3])
            yield found[1], (default[1].strip("'\"") if default else found[2]), (found[4] or "").strip()


def _exposures(given):
    """Paths of the exposures that files and folders name."""
    paths = []
    for path in map(Path, given):
        if path.is_dir():
            found = sorted(path.glob("*_cal.fits"))
            if not found:
                raise BadFileError("no *_cal.fits", "a folder with exposures", "name the files", path)
            paths += found
        else:
            paths.append(path)
    if missing := [p for p in paths if not p.is_file()]:
        raise BadFileError("no such file", "exposures or an association", "check the path", missing[0])
    return paths


def _product_name(paths):
    from jwst_hpastrom.io.exposures.exposure import exposure_root

    roots = [exposure_root(p) for p in paths]
    if len(roots) == 1:
        return roots[0]
    return os.path.commonprefix(roots).rstrip("_-0") or "field"  # noqa: RUF071 - of characters: no path


#: parameters of strun's that are options here
_NAMED = ("reference_catalog", "gaia_catalog", "epsf_file", "start_epsf", "distortion_file", "output_dir")


def _command(args, association):
    preset = files("jwst_hpastrom") / "presets" / f"{args.preset}.asdf"
    command = ["strun", str(preset) if args.preset else "calwebb_hpastrom", str(association)]
    command += [f"--{name}={value}" for name in _NAMED if (value := getattr(args, name))]
    command += [f"--workers={args.workers}"] if args.workers != 1 else []
    command += ["--resume=true"] if args.resume else []
    rest = (r.partition("=") for r in args.rest)
    command += [f"--{name[2:].replace('-', '_')}={value}" for name, _, value in rest]
    if comments := [c for c in command if c.startswith("--") and "#" in c]:
        needed = "values without #, behind which strun takes all for a comment"
        raise ParameterError(comments[0], needed, "rename it, or make a link")
    return command


def _run(args):
    if args.show_parameters is not None:
        print("\n".join(parameter_lines(args.show_parameters)))
        return
    if not args.exposures:
        raise ParameterError(
            "no exposures", "an association, exposures or a folder", "see hpastrom run --help"
        )
    if wrong := [r for r in args.rest if not re.match(r"--[\w.-]+=", r)]:
        raise ParameterError(f"the argument {wrong[0]}", "--PARAMETER=VALUE", "see --show-parameters")
    from jwst_hpastrom.io.association import ASSOCIATIONS

    paths, folder = _exposures(args.exposures), Path(args.output_dir)
    given = paths[0].suffix in ASSOCIATIONS
    if given and len(paths) > 1:
        raise ParameterError(f"{paths[0].name} and {len(paths) - 1} more", "one association, or exposures")
    if given:
        from jwst_hpastrom.io.association import read_association

        association, name = paths[0], read_association(paths[0]).product
    else:
        name = args.product or _product_name(paths)
        if Path(name).name != name:
            raise ParameterError(f"--product={name}", "a name that files can begin with, without folders")
        association = folder / f"{name}_asn.json"
    command = _command(args, association)
    print("STPIPE_DISABLE_CRDS_STEPPARS=true " + shlex.join(command), flush=True)
    if args.dry_run:
        return
    if not given:
        from jwst_hpastrom.io.association import write_association

        header = {"asn_rule": "hpastrom_run", "asn_id": "a3001", "asn_pool": "none"}
        write_association(association, name, paths, **header)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise BadFileError(f"no folder to write to ({err.strerror})", "one", "", folder) from err
    run_pipeline(command, folder / "strun.log")
    _tell(args, folder, name, paths[0].parent)


def _tell(args, folder, name, exposures):
    from importlib.util import find_spec

    from jwst_hpastrom.report.story import ending, story

    print("\n".join(story(folder, name)))
    page = None
    if not args.no_report and find_spec("matplotlib"):
        from jwst_hpastrom.report import write_report

        page = write_report(folder, exposures=exposures)
    print("\n".join(ending(folder, name, page)))
