"""How Steps end: the error is the last line, and names that products cannot have are refused first."""

import io

import pytest
from jwst.datamodels import ImageModel
from tqdm import tqdm

from jwst_hpastrom.errors import BadFileError, UnexpectedError
from jwst_hpastrom.steps import EPSFFitStep
from jwst_hpastrom.steps._errors import errors_by_cause


def test_the_error_comes_after_the_progress_bar():
    screen = io.StringIO()

    def work():
        for k in tqdm(range(5), file=screen, desc="work"):
            if k == 2:
                raise KeyError("broken")

    users = tqdm(total=3, file=io.StringIO())
    try:
        with errors_by_cause("a.fits"):
            work()
    except UnexpectedError as error:
        print(error, file=screen)
        kept = error  # and with it the frame of the bar
    else:
        pytest.fail("no error")
    del kept
    users.update()
    assert screen.getvalue().splitlines()[-1].startswith("a.fits: found KeyError")
    assert not users.disable
    users.close()


def test_a_name_that_a_catfile_cannot_hold(tmp_path):
    path = tmp_path / "my exposure_cal.fits"
    path.write_bytes(b"SIMPLE  =")
    with pytest.raises(BadFileError, match=r"my exposure_cal\.fits: found a name with blanks"):
        EPSFFitStep(epsf_file="none.fits", output_dir=str(tmp_path / "a")).run(str(path))


def test_a_folder_that_a_header_cannot_name(tmp_path):
    model = ImageModel((8, 8))
    model.meta.filename = "a_cal.fits"
    with pytest.raises(BadFileError, match="a folder that FITS headers cannot name"):
        EPSFFitStep(epsf_file="none.fits", output_dir=str(tmp_path / "Größe")).run(model)
