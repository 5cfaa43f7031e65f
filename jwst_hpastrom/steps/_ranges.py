"""Parameters of the Steps, checked before any work."""

import re

from jwst_hpastrom.io.exposures.quality_bits import dq_bits
from jwst_hpastrom.motion.selection import parse_polygon
from jwst_hpastrom.ranges import RANGES, check_pairs, check_parameter, memory_bytes

__all__ = ["RANGES", "check_ranges"]


def check_ranges(step):
    """Raise where a parameter of a Step, or of one of a pipeline's Steps, is out of its range or no choice.

    Parameters
    ----------
    step : `stpipe.Step`

    Raises
    ------
    ParameterError
        Names the parameter, its value, and its range or choices.
    """
    do = f"see strun {step.class_alias} --help"
    values = {name: getattr(step, name, None) for name in type(step).load_spec_file()}
    for name, spec in type(step).load_spec_file().items():
        option = re.match(r"option\((.*?),?\s*default=", str(spec))
        choices = tuple(re.findall(r"'([^']*)'", option[1])) if option else None
        check_parameter(name, values[name], choices, do)
    check_pairs(values, do)
    parse_polygon(values.get("polygon"))
    if values.get("memory") is not None:
        memory_bytes(values["memory"])
    dq_bits(values.get("bad_bits"))
    for name in getattr(step, "step_defs", {}):
        check_ranges(getattr(step, name))
