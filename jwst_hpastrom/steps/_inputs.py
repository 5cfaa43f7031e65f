"""What a Step is given: paths, associations, models, containers or libraries of them."""

from dataclasses import dataclass
from pathlib import Path

from jwst.datamodels import ModelContainer, ModelLibrary

from jwst_hpastrom.errors import MissingDataError, ParameterError
from jwst_hpastrom.io.association import associate, read_association
from jwst_hpastrom.io.exposures.exposure import exposure_root

__all__ = ["Inputs", "Members"]


@dataclass
class Inputs:
    """What a Step was given.

    Attributes
    ----------
    product : str
        Root of the products' names.

    members : tuple
        Paths, or models in memory.

    returned : object or None
        What ``process`` gives back: the models, or None where it was given a path.
    """

    product: str
    members: tuple
    returned: object = None

    def members_by_name(self):
        """Return the members' names."""
        if isinstance(self.returned, ModelLibrary):
            return tuple(m["expname"] for m in self.returned.asn["products"][0]["members"])
        return tuple(m if isinstance(m, str) else _name_of(m) for m in self.members)

    @property
    def in_memory(self):
        """Whether the members are models."""
        return self.returned is not None


def _name_of(model):
    if not model.meta.filename:
        raise MissingDataError("a model without meta.filename", "a name for its products", "set it")
    return model.meta.filename


class Members:
    """Mixin: a Step's inputs opened, and gone through."""

    @staticmethod
    def default_name(data):
        """Name of models in memory, for messages and products."""
        table = data.asn if isinstance(data, ModelLibrary) else getattr(data, "asn_table", None)
        name = next((p.get("name") for p in (table or {}).get("products", ())), None)
        if name:
            return name
        members = (table or {}).get("products", [{}])[0].get("members", ())  # of a library of files
        if members:
            return members[0]["expname"]
        models = data if isinstance(data, ModelContainer | list | tuple) else [data]
        names = (
            m if isinstance(m, str | Path) else getattr(getattr(m, "meta", None), "filename", None)
            for m in models
        )
        return next((str(n) for n in names if n), "models in memory")

    def open_inputs(self, data):
        """Return the `Inputs` for a path, an association, a model, a container or a library."""
        if isinstance(data, str | Path):
            association = read_association(data)
            return Inputs(association.product, association.members)
        if self.takes_several and isinstance(data, list) and all(isinstance(d, str | Path) for d in data):
            association = associate(data)
            return Inputs(association.product, association.members)
        data = list(data) if isinstance(data, tuple) else data
        if not isinstance(data, ModelLibrary):
            members = data if isinstance(data, ModelContainer | list) else [data]
            if wrong := [type(m).__name__ for m in members if isinstance(getattr(m, "meta", {}), dict)]:
                raise ParameterError(
                    f"{wrong[0]}", "a path, an association, or data models", "tables are for the functions"
                )
        out = self.prepare_output(data, **({"open_models": False} if isinstance(data, list) else {}))
        product = exposure_root(self.default_name(data))
        if isinstance(out, ModelLibrary):
            return Inputs(product, tuple(range(len(out))), out)
        members = tuple(out) if isinstance(out, ModelContainer | list) else (out,)
        roots = [exposure_root(m.meta.filename) for m in members if m.meta.filename]
        if twice := sorted({root for root in roots if roots.count(root) > 1}):
            raise ParameterError(
                f"more than one model of {', '.join(twice[:3])}", "each exposure once",
                "take one out, or change its meta.filename",
            )  # fmt: skip
        return Inputs(product, members, out)

    def each_member(self, inputs):
        """Yield (name, member) of the inputs, member being a path or a model open for changes."""
        if isinstance(inputs.returned, ModelLibrary):
            with inputs.returned as library:
                for model in library:
                    try:
                        yield _name_of(model), model
                    finally:
                        library.shelve(model)
            return
        for member in inputs.members:
            yield (member if isinstance(member, str) else _name_of(member)), member
