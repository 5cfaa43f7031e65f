"""Gaia's sources: from a file, from the archive, release by release."""

from jwst_hpastrom._lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "archive": ("query_gaia",),
        "table": ("convert_flystar_gaia", "read_gaia"),
    },
)
