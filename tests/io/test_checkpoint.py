"""Checkpoints: whole or not at all, and only for the same inputs."""

import os

from jwst_hpastrom.io.checkpoint import Checkpoint


def test_the_last_state_comes_back(tmp_path):
    path = tmp_path / "state.pkl"
    checkpoint = Checkpoint(path, ("1.0", ["a"]))
    assert checkpoint.load() is None
    for state in ({"it": 1}, {"it": 2}):
        checkpoint.save(state)
    assert Checkpoint(path, ("1.0", ["a"])).load() == {"it": 2}
    assert os.listdir(tmp_path) == ["state.pkl"]
    checkpoint.remove()
    checkpoint.remove()
    assert not path.exists()


def test_what_does_not_belong_is_not_used(tmp_path, caplog):
    path = tmp_path / "state.pkl"
    Checkpoint(path, 1).save("state")
    assert Checkpoint(path, 1, resume=False).load() is None
    assert Checkpoint(path, 2).load() is None
    path.write_bytes(path.read_bytes()[:10])
    assert Checkpoint(path, 1).load() is None
    assert "starting anew" in caplog.text
