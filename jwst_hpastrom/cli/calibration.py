"""The command ``hpastrom calibration``: filters and dates side by side."""

from pathlib import Path

__all__ = ["add_calibration"]

DESCRIPTION = """
Calibrations of several filters and dates side by side (L23 §3.2, §4.5, §4.6): pixel scales, skew, ePSFs and
distortions, what differs between filters, what changed between dates, and a verdict for each filter. Writes
calibration_*_quality.ecsv, the filters' average distortion (calibration_average_stdgdc.fits) and a page.
"""


def add_calibration(sub):
    """Add the command to the parser's subcommands."""
    command = sub.add_parser("calibration", help="filters and dates side by side: scales, ePSFs, stability",
                             description=DESCRIPTION)  # fmt: skip
    command.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="products of one date, one or more filters"
    )
    command.add_argument(
        "--output_dir", default=".", help="for tables and page (default: the current folder)"
    )
    command.set_defaults(run=_calibration)


def _calibration(args):
    from jwst_hpastrom.checks.stability import calibration_changes, calibration_table, stability
    from jwst_hpastrom.io.calibrations.found import find_calibrations
    from jwst_hpastrom.io.files.writing import write_table

    found = find_calibrations(args.folders)
    tables = {"fields": calibration_table(found), "changes": calibration_changes(found)}
    tables |= _scales(found) | _filters(found)
    lines = stability(tables["changes"])
    folder = Path(args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables.values():
        _print(table)
    print("\n".join(lines or ["one date of each filter: nothing to compare"]) + "\n")
    written = [write_table(t, folder / f"calibration_{name}_quality.ecsv") for name, t in tables.items()]
    written += _average(found, folder) + _page(found, tables, lines, folder)
    print("\n".join(map(str, written)))


def _scales(found):
    """L23 Table 1 and the data of Fig. 18, 19."""
    from astropy.table import vstack

    from jwst_hpastrom.checks.stability import filter_average
    from jwst_hpastrom.distortion import pixel_scale_history

    scales, histories = [], []
    for detector in dict.fromkeys(c.detector for c in found):
        chosen = [c.scale for c in found if c.scale is not None and c.detector == detector]
        if chosen:
            summary, history = pixel_scale_history(chosen)
            average = filter_average(summary)
            summary.add_row(["average", int(sum(summary["n_exposures"])), average[0], average[1], average[1]])
            for table, into in ((summary, scales), (history, histories)):
                table.add_column([detector] * len(table), name="detector", index=0)
                into.append(table)
    return {"scales": vstack(scales), "history": vstack(histories)} if scales else {}


def _filters(found):
    """L23 Fig. 17 in numbers."""
    from astropy.table import vstack

    from jwst_hpastrom.distortion import filter_differences
    from jwst_hpastrom.report.calibration_figures import filter_solutions

    tables = []
    for detector in dict.fromkeys(c.detector for c in found):
        solutions = filter_solutions([c for c in found if c.detector == detector])
        if len(solutions) > 1:
            table = filter_differences(solutions)[0]
            table.add_column([detector] * len(table), name="detector", index=0)
            tables.append(table)
    return {"filters": vstack(tables)} if tables else {}


def _average(found, folder):
    """The average of the filters' solutions as a file, where their parts fit each other."""
    from jwst_hpastrom.distortion import average_corrections
    from jwst_hpastrom.errors import MixedExposuresError
    from jwst_hpastrom.io.calibrations.stdgdc import write_stdgdc
    from jwst_hpastrom.report.calibration_figures import filter_solutions

    out, detectors = [], list(dict.fromkeys(c.detector for c in found))
    for detector in detectors:
        solutions = filter_solutions([c for c in found if c.detector == detector])
        if len(solutions) < 2:
            continue
        name = "_".join(
            ["calibration", *([detector.lower()] if len(detectors) > 1 else []), "average_stdgdc.fits"]
        )
        meta = {"detector": detector, "filter": "+".join(solutions)}
        try:
            write_stdgdc(folder / name, average_corrections(solutions.values()), layout=1, meta=meta)
        except (MixedExposuresError, AttributeError) as err:
            print(f"note: no file of the average: {err}")
            continue
        out.append(folder / name)
    return out


def _print(table):
    shown = table[[c for c in table.colnames if c not in ("from_field", "to_field")]]
    for c in shown.colnames:
        if shown[c].dtype.kind == "f":
            shown[c].info.format = (
                ".7f" if c == "relative" else ".5f" if "scale" in c or "epoch" in c else ".4g"
            )
    if len(shown):
        print("\n".join(shown.pformat(max_lines=40, max_width=-1)) + "\n")


def _page(found, tables, lines, folder):
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return []
    from jwst_hpastrom.report.calibration_figures import study_contents
    from jwst_hpastrom.report.page.document import write_page

    return [write_page(folder / "calibration.html", "Calibrations", study_contents(found, tables, lines))]
