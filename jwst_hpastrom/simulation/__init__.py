"""A NIRISS field with known truth, for the demo, the tests and one's own planning."""

from jwst_hpastrom.simulation.bounds import cramer_rao, isolated
from jwst_hpastrom.simulation.config import FieldConfig, demo_config
from jwst_hpastrom.simulation.detector import NoiseConfig
from jwst_hpastrom.simulation.epochs import EpochConfig, SimulatedEpochs, simulate_epochs, write_epochs
from jwst_hpastrom.simulation.field import SimulatedExposure, SimulatedField, simulate_field
from jwst_hpastrom.simulation.optics import OpticsConfig, TrueEPSF
from jwst_hpastrom.simulation.writing import FieldFiles, to_model, write_field, write_official_distortion

__all__ = [
    "EpochConfig",
    "FieldConfig",
    "FieldFiles",
    "NoiseConfig",
    "OpticsConfig",
    "SimulatedEpochs",
    "SimulatedExposure",
    "SimulatedField",
    "TrueEPSF",
    "cramer_rao",
    "demo_config",
    "isolated",
    "simulate_epochs",
    "simulate_field",
    "to_model",
    "write_epochs",
    "write_field",
    "write_official_distortion",
]
