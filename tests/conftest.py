"""What tests of all packages share."""

import pytest


@pytest.fixture(scope="module")
def offline():
    """No CRDS is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
        patch.setattr("stpipe.crds_client.get_context_used", lambda observatory: "offline")
        yield
