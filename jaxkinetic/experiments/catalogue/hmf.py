"""The HMF model, Gamma = -cos x [AntoniRuffo1995]: a homogeneous state below T = 1/2 is unstable and forms a cluster."""

import math

from ...vlasov import Cosine, Maxwellian
from .._harness.experiment import Experiment, GridOptions, Headline, Report, Watch
from ._growth import run_growth

__all__ = ["HMF", "run"]


def run(options: GridOptions, watch: Watch) -> Report:
    temperature = options.temperature or 0.1
    width = math.sqrt(temperature)
    title = f"HMF model, T = {temperature:g}  ({options.system}, {options.nx} × {options.nv} points)"
    f0 = Maxwellian(temperature, 2 * math.pi)
    # Particles trapped by a cluster of unit mass reach |v| = 2. Sign -1: the cluster forms in the middle of the grid.
    return run_growth(options, Cosine(), f0, 1.0, 2.0 + 6 * width, width, title, HMF.name, watch, sign=-1)


HMF = Experiment(
    name="hmf",
    summary="the HMF model below its critical temperature: growth rate beside the dispersion relation, and the final cluster",
    defaults=GridOptions(nx=256, nv=512, dt=0.05, steps=420, amplitude=1e-4, temperature=0.1),
    run=run,
    precision=64,
    headline=Headline("growth_rate", "growth_rate_systematic", "growth rate", "the systematic error"),
    least_steps=20,
    least_dim=1,
    most_dim=1,
    schemes=("strang", "strang-4"),
)
