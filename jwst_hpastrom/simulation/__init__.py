"""A NIRISS field with known truth, for the demo, the tests and one's own planning."""

from jwst_hpastrom.simulation.bounds import cramer_rao, frame_bound, isolated
from jwst_hpastrom.simulation.camera import FineStructure, OfficialDistortion, Pointing, TrueDistortion
from jwst_hpastrom.simulation.comparison import (
    compare,
    compare_master,
    compare_proper_motions,
    compare_stars,
    distortion_residuals,
    format_summary,
)
from jwst_hpastrom.simulation.config import FieldConfig, demo_config
from jwst_hpastrom.simulation.detector import NoiseConfig, Pixels, Sensor, make_sensor, read_out, render
from jwst_hpastrom.simulation.epochs import EpochConfig, SimulatedEpochs, simulate_epochs, write_epochs
from jwst_hpastrom.simulation.field import SimulatedExposure, SimulatedField, simulate_field
from jwst_hpastrom.simulation.optics import OpticsConfig, TrueEPSF, make_epsf, pupil_segments
from jwst_hpastrom.simulation.sky import first_epoch_catalog, make_stars, positions_at
from jwst_hpastrom.simulation.writing import FieldFiles, to_model, write_field, write_official_distortion

__all__ = [
    "EpochConfig",
    "FieldConfig",
    "FieldFiles",
    "FineStructure",
    "NoiseConfig",
    "OfficialDistortion",
    "OpticsConfig",
    "Pixels",
    "Pointing",
    "Sensor",
    "SimulatedEpochs",
    "SimulatedExposure",
    "SimulatedField",
    "TrueDistortion",
    "TrueEPSF",
    "compare",
    "compare_master",
    "compare_proper_motions",
    "compare_stars",
    "cramer_rao",
    "demo_config",
    "distortion_residuals",
    "first_epoch_catalog",
    "format_summary",
    "frame_bound",
    "isolated",
    "make_epsf",
    "make_sensor",
    "make_stars",
    "positions_at",
    "pupil_segments",
    "read_out",
    "render",
    "simulate_epochs",
    "simulate_field",
    "to_model",
    "write_epochs",
    "write_field",
    "write_official_distortion",
]
