"""The landing page's picture: a field of the package's own simulation, drawn at the build."""

from pathlib import Path

FIELD = {
    "size": 320,
    "n_exposures": 1,
    "n_stars": 500,
    "mag_faint": -3.5,
    "cluster_fraction": 0.25,
    "seed": 4,
}
EPOCHS = {"n_stars": 700, "seed": 2}


def draw(path):
    """Draw pixels, the ePSF and true motions side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from astropy.visualization import AsinhStretch, ImageNormalize, PercentileInterval

    from jwst_hpastrom import simulation

    field = simulation.simulate_field(**FIELD)
    data = field.exposures[0].image.data

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
    norm = ImageNormalize(data, interval=PercentileInterval(99.5), stretch=AsinhStretch(0.02))
    left.imshow(data, origin="lower", cmap="magma", norm=norm)
    left.set(title="pixels", xticks=[], yticks=[])
    line = np.linspace(-8, 8, 101)
    cut = field.epsf.evaluate(*np.meshgrid(line, line), 1024.0, 1024.0)
    middle.imshow(cut, origin="lower", cmap="magma", norm=ImageNormalize(cut, stretch=AsinhStretch(0.02)))
    middle.set(title="effective PSF", xticks=[], yticks=[])
    truth = simulation.simulate_epochs(**EPOCHS).truth
    right.scatter(truth["pmra"], truth["pmdec"], s=5, c=truth["mag"], cmap="viridis_r")
    right.set(title="motions", xlabel="$\\mu_\\alpha\\cos\\delta$ (mas/yr)", ylabel="$\\mu_\\delta$ (mas/yr)")
    right.set_aspect("equal")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def make(app):
    """Draw it once."""
    path = Path(app.srcdir) / "_static" / "landing.png"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        draw(path)


def setup(app):
    """Draw before pages are read."""
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
