"""What few epochs cannot tell, and which of them may be bad."""

from jwst_hpastrom.motion.many_epoch.few_epochs.inconsistent import (
    group_share_of_time,
    hangs_on_one,
    inconsistent_few,
)

__all__ = ["group_share_of_time", "hangs_on_one", "inconsistent_few"]
