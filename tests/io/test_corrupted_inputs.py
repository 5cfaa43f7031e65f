"""Five hundred damaged files over all readers; benchmarks/corrupted_inputs.py reads more."""

import importlib.util
from pathlib import Path


def test_damaged_files(tmp_path):
    path = Path(__file__).parents[2] / "benchmarks" / "corrupted_inputs.py"
    spec = importlib.util.spec_from_file_location("corrupted_inputs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.run(520, 1, tmp_path) == []
