"""Star lists of a Step's inputs, read or made."""

from jwst_hpastrom.errors import HPAstromError, MissingDataError
from jwst_hpastrom.io.exposures.exposure import exposure_root
from jwst_hpastrom.io.tables.star_lists import find_star_list, is_star_list, read_star_list
from jwst_hpastrom.steps._exposure_fit import held
from jwst_hpastrom.steps.epsf_fit_step import EPSFFitStep

__all__ = ["StarLists"]


class StarLists:
    """Mixin of Steps that work on the star lists of exposures."""

    def star_lists(self, inputs, epsf_file=None, *, columns, store):
        """Return the star lists of all members; make the missing ones where an ``epsf_file`` is given.

        Parameters
        ----------
        inputs : `Inputs`
        epsf_file : path-like, optional
        columns : sequence of str
            What is kept of them.
        store : `~jwst_hpastrom.storage.Store`
            Has it.

        Raises
        ------
        MissingDataError
            A list is missing and no ePSF was given to make it with.
        """
        tables = []
        for name, member in self.each_member(inputs):
            try:
                tables.append(held(self._star_list(name, member, epsf_file), store, columns))
            except HPAstromError as err:
                self.failed(err.about(name))
        return tables

    def _star_list(self, name, member, epsf_file):
        if isinstance(member, str) and is_star_list(member):
            return read_star_list(member)
        path = find_star_list(name, [self.output_folder()])
        if path is None:
            if not epsf_file:
                raise MissingDataError(
                    "no star list",
                    f"{exposure_root(name)}_stars.ecsv",
                    "run hp_epsf_fit first, or give epsf_file",
                    name,
                )
            fit = EPSFFitStep(parent=self, epsf_file=epsf_file, **self.reading())
            fit.run(member)
            path = find_star_list(name, [self.output_folder()])
        return read_star_list(path, exposure=name)
