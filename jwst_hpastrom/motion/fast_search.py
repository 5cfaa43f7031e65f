"""What two and many epochs ask of the search for fast stars."""

from jwst_hpastrom.configuration import Configuration, configuration, parameter

__all__ = ["FastSearch"]


@configuration
class FastSearch(Configuration):
    """The second search, for fast stars among those that the first leaves over."""

    fast_motion: float = parameter(
        default=200.0, kind="float",
        text="""Largest motion relative to the field, mas/yr, of stars that a second search looks for among
        those left over; 0 looks for none.""",
    )  # fmt: skip
    fast_false_share: float = parameter(
        default=0.2, kind="float",
        text="Largest share of chance among the stars that the second search takes.",
    )  # fmt: skip
