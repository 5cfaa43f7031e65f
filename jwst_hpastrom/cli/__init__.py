"""The command ``hpastrom``: run, demo, check, report, kinematics, convert, info, completion."""

from jwst_hpastrom.cli.commands import main

__all__ = ["main"]
