"""Parameters of the Steps, checked before any work."""

import re

from jwst_hpastrom.ranges import RANGES, check_parameter

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
    for name, spec in type(step).load_spec_file().items():
        option = re.match(r"option\((.*?),?\s*default=", str(spec))
        choices = tuple(re.findall(r"'([^']*)'", option[1])) if option else None
        check_parameter(name, getattr(step, name, None), choices, do)
    for name in getattr(step, "step_defs", {}):
        check_ranges(getattr(step, name))
