"""The HMF model, Gamma = -cos x [AntoniRuffo1995]: a homogeneous state below T = 1/2 is unstable and forms a cluster."""

import math

from ...vlasov import Cosine, Maxwellian
from .._harness import option as options
from .._harness.grid import GridProblem
from ._growth import GrowthExperiment

__all__ = ["HMF"]


class HMF(GrowthExperiment):
    name = "hmf"
    summary = "the HMF model below its critical temperature: growth rate beside the dispersion relation, and the final cluster"
    dt: float = options.dt(0.05)
    steps: int = options.steps(420, minimum=20)
    amplitude: float = options.amplitude(1e-4)
    temperature: float = options.temperature(0.1)

    def problem(self) -> GridProblem:
        width = math.sqrt(self.temperature)
        f0 = Maxwellian(self.temperature, 2 * math.pi)
        # Particles trapped by a cluster of unit mass reach |v| = 2. Sign -1: the cluster forms in the middle of the grid.
        return GridProblem(Cosine(), f0, 1.0, 2.0 + 6 * width, width, sign=-1)

    def title(self) -> str:
        return f"HMF model, T = {self.temperature:g}"
