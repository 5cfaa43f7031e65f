"""The command ``hpastrom frame``: a catalog's frame, as H25 studies it."""

from pathlib import Path

from jwst_hpastrom.errors import ParameterError

__all__ = ["add_frame"]

DESCRIPTION = """
The frame that a catalog of motions realizes (H25 §4, §5.2): quality cuts, error budget, the catalog about
objects at rest, comparison with another list and joint test, forecasts. Writes PRODUCT_frame_*_quality.ecsv,
PRODUCT_frame.ecsv (the catalog with flags), PRODUCT_at_rest_*.ecsv and a page PRODUCT_frame.html.
"""
#: tables that hold figures of the frame, and not stars of the catalog
QUALITY = ("cuts", "budget", "comparison", "differences", "forecast")
#: limits of `~jwst_hpastrom.motion.quality_cuts`, said again so that help needs no import of it
LIMITS = {
    "min_epochs": 4, "max_chi2_loo": 5.0, "min_position_error": 0.01, "max_position_error": 10.0,
    "min_motion_error": 0.01, "max_motion_error": 2.0, "max_motion": 15.0, "max_mag": 20.5,
}  # fmt: skip


def add_frame(sub):
    """Add the command to the parser's subcommands."""
    frame = sub.add_parser("frame", help="error budget, rest frames, comparison, forecasts (H25 section 4)",
                           description=DESCRIPTION)  # fmt: skip
    frame.add_argument("motions", help="PRODUCT_pm.ecsv, or another catalog with motions and errors")
    frame.add_argument(
        "--at-rest", action="append", metavar="NAME|FILE",
        help="xu2022, reid2020, gordon2023 (SgrA*), sgra for all three, none, or a table of objects with ra "
        "dec pmra pmdec ref_epoch; may be repeated (default: sgra where the field is there)",
    )  # fmt: skip
    frame.add_argument(
        "--compare", metavar="FILE",
        help="list to compare with: x y vx vy about the object at rest, or ra dec pmra pmdec, with errors",
    )  # fmt: skip
    frame.add_argument("--radius", type=float, default=100.0, help="of the match, mas (default: %(default)s)")
    frame.add_argument(
        "--match-epoch", type=float, default=2015.5, help="at which lists are matched (default: %(default)s)"
    )
    numbers = {"type": float, "nargs": 4, "metavar": ("PMRA", "PMDEC", "RA", "DEC")}
    frame.add_argument(
        "--frame-error", **numbers, help="of the catalog's frame, mas/yr and mas (default: from its metadata)"
    )
    frame.add_argument(
        "--icrs-error", **numbers, help="of the reference catalog's frame (default: Gaia-CRF3's)"
    )
    frame.add_argument("--gaia", metavar="FILE", help="reference catalog, for forecasts of a better one")
    frame.add_argument(
        "--new-epochs", type=float, nargs="+", default=(), metavar="YEAR", help="more epochs, for forecasts"
    )
    for name, default in LIMITS.items():
        frame.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help="(default: %(default)s)"
        )
    frame.add_argument("--output_dir", default=None, help="folder of the tables (default: the catalog's)")
    frame.set_defaults(run=_frame)


def _points(names):
    """Objects at rest by the names or files given; None for the default."""
    from jwst_hpastrom.io.tables.rest_lists import read_points
    from jwst_hpastrom.motion.analysis.rest_frame import RADIO_SGRA

    if not names:
        return None
    out = {}
    for name in names:
        if name == "sgra":
            out |= RADIO_SGRA
        elif name in RADIO_SGRA:
            out[name] = RADIO_SGRA[name]
        elif Path(name).exists():
            out |= read_points(name)
        elif name != "none":
            raise ParameterError(
                f"--at-rest {name}",
                f"{', '.join(RADIO_SGRA)}, sgra, none, or a file",
                "see hpastrom frame --help",
            )
    return out


def _terms(args, table):
    """Terms of the error budget, as given or as the catalog says; None where neither is known."""
    from jwst_hpastrom.motion.analysis.frame_study import GAIA_TO_ICRS, FrameTerm, frame_error

    def term(name, numbers):
        return FrameTerm(name, tuple(numbers[:2]), tuple(numbers[2:]))

    own = frame_error(table) if args.frame_error is None else term("catalog to its frame", args.frame_error)
    icrs = GAIA_TO_ICRS if args.icrs_error is None else term("its frame to the ICRS", args.icrs_error)
    return [] if own is None else [own, icrs]


def _frame(args):
    from jwst_hpastrom.io.gaia.table import read_gaia
    from jwst_hpastrom.io.tables.catalogs import read_catalog
    from jwst_hpastrom.io.tables.rest_lists import read_comparison
    from jwst_hpastrom.motion.analysis.frame_study import study_frame

    path = Path(args.motions)
    table = read_catalog(path)
    if missing := [c for c in ("pmra", "pmdec", "pmra_error", "pmdec_error") if c not in table.colnames]:
        raise ParameterError(f"no column {', '.join(missing)}", "a catalog with motions and errors", "", path)
    points, terms = _points(args.at_rest), _terms(args, table)
    if not terms:
        print("note: the catalog does not say what its frame may be off; give --frame-error for a budget")
    study = study_frame(
        table, terms=terms, points=points,
        other=read_comparison(args.compare) if args.compare else None,
        other_name=Path(args.compare).name if args.compare else "list",
        radius_mas=args.radius, match_epoch=args.match_epoch,
        gaia=read_gaia(args.gaia) if args.gaia else None, new_epochs=args.new_epochs,
        cuts={name: getattr(args, name) for name in LIMITS},
    )  # fmt: skip
    if args.compare and study.comparison is None:
        print(f"note: no star in common with {args.compare} within {args.radius:g} mas at "
              f"{args.match_epoch:g}; widen --radius")  # fmt: skip
    _write(args, path, study)


def _write(args, path, study):
    from jwst_hpastrom.io.files.writing import write_table

    folder, name = Path(args.output_dir or path.parent), path.name.split(".")[0].removesuffix("_pm")
    tables = {n: getattr(study, n) for n in QUALITY if getattr(study, n) is not None}
    written = [write_table(t, folder / f"{name}_frame_{n}_quality.ecsv") for n, t in tables.items()]
    written.append(write_table(study.motions, folder / f"{name}_frame.ecsv"))
    written += [write_table(t, folder / f"{name}_at_rest_{n}.ecsv") for n, t in study.at_rest.items()]
    passed = study.cuts.meta
    print(f"{passed['n_passed']} of {passed['n_stars']} stars pass the quality cuts")
    for label in ("budget", "comparison", "forecast"):
        if label in tables:
            print(f"\n{label}:")
            for line in _short(tables[label]).pformat(max_lines=-1, max_width=-1):
                print(line)
    page = _page(folder / f"{name}_frame.html", name, tables)
    print("\n" + "\n".join([*written, *page]))


def _short(table):
    """A table for the screen: fewer digits, without the columns that only a file needs."""
    out = table[[c for c in table.colnames if not c.startswith("step_") and not c.endswith("_measured")]]
    for c in out.colnames:
        if out[c].dtype.kind == "f":
            out[c].info.format = ".4f" if "epoch" in c else ".3f"
    return out


def _page(path, name, tables):
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return []
    from jwst_hpastrom.report.frame_figures import study_contents
    from jwst_hpastrom.report.page.document import write_page

    return [write_page(path, f"{name}: frame", [("Frame", study_contents(tables))])]
