"""``python -m jwst_hpastrom``: the command ``hpastrom``."""

import sys

from jwst_hpastrom.cli import main

if __name__ == "__main__":
    sys.exit(main())
