"""How errors leave a Step: as one of `jwst_hpastrom.errors`, naming a file."""

import os
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

from stpipe.exceptions import ValidationError
from tqdm import tqdm

from jwst_hpastrom.errors import HPAstromError, ParameterError, UnexpectedError, WorkerLostError
from jwst_hpastrom.io.files.folder import one_run
from jwst_hpastrom.steps._ranges import check_ranges

__all__ = ["ErrorsByCause", "errors_by_cause", "no_bars_after"]


@contextmanager
def errors_by_cause(name):
    """Let only errors of `jwst_hpastrom.errors` out, naming the input where they name no file."""
    try:
        with no_bars_after():
            yield
    except HPAstromError as err:
        named = err.about(name)
        if named is err:
            raise
        raise named from err
    except BrokenExecutor as err:
        raise WorkerLostError(
            "a worker process that died (killed, perhaps for want of memory)", "one that works to the end",
            "give fewer workers", name,
        ) from err  # fmt: skip
    except MemoryError as err:
        raise WorkerLostError(
            f"no memory ({err})", "more of it", "give fewer workers or exposures", name
        ) from err
    except Exception as err:
        raise UnexpectedError(
            f"{type(err).__name__}: {err}", "a run without it", "please report it with the log", name
        ) from err


@contextmanager
def no_bars_after():
    """End the progress bars that a block began where it fails: the error is to be the last line."""
    before = list(tqdm._instances)
    try:
        yield
    except BaseException:
        for bar in [b for b in tqdm._instances if b not in before]:
            bar.close()
        raise


class ErrorsByCause:
    """Mixin: a parameter that makes no sense and a folder that cannot be made are errors of ours too."""

    #: whether several paths are the members of one product
    takes_several = False

    @classmethod
    def call(cls, *args, **kwargs):
        """Run the Step with these parameters; paths may be `~pathlib.Path`."""
        plain = {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in kwargs.items()}
        return super().call(*args, **plain)

    @classmethod
    def _get_crds_parameters(cls, dataset):
        """Facts of the input (stpipe's own); where it has none that jwst can read, stpipe goes on without."""
        try:
            return super()._get_crds_parameters(dataset)
        except Exception as err:
            raise ValueError(f"no data model of jwst: {err}") from err

    @classmethod
    def from_config_section(cls, config, parent=None, **kwargs):
        """Make a Step from its configuration (stpipe's own, with our error)."""
        if parent is not None:
            config.defaults = []  # which are the pipeline's, not to be replaced by the Step's
        try:
            return super().from_config_section(config, parent=parent, **kwargs)
        except ValidationError as err:
            raise ParameterError(str(err), "a valid value", f"see strun {cls.class_alias} --help") from err

    def run(self, *args):
        """Run the Step (stpipe's own) on one input, alone in a folder that can be made."""
        if self.takes_several and len(args) > 1 and all(isinstance(a, str | Path) for a in args):
            args = ([str(a) for a in args],)
        if len(args) != 1:
            raise ParameterError(
                f"{len(args)} inputs", "one exposure or association", "make one with asn_from_list",
                self.class_alias,
            )  # fmt: skip
        check_ranges(self)
        folder = self.output_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise ParameterError(
                f"no folder ({err.strerror})", "one that can be made", "give another output_dir", folder
            ) from err
        with one_run(folder):
            return super().run(*args)

    def output_folder(self):
        """Folder of the products: the outermost Step's ``output_dir``, else the current directory."""
        folder = self.search_attr("output_dir") or "."
        return Path(os.path.expandvars(os.path.expanduser(folder)))
