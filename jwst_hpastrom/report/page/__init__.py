"""The HTML page: its head, tables, verdicts and the diagrams that people zoom into."""

from jwst_hpastrom._lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "document": ("write_page", "write_report"),
    },
)
