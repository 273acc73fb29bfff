"""Two counter-streaming beams of a plasma: the growth of the instability, and the phase-space vortex at saturation."""

from ...vlasov import Poisson, TwoStream as Streams
from .._harness import option as options
from .._harness.grid import GridProblem, wavelength
from ._growth import GrowthExperiment

__all__ = ["TwoStream"]


class TwoStream(GrowthExperiment):
    name = "two-stream"
    summary = "two-stream instability of a plasma: growth rate beside the dispersion relation, and the final vortex"
    dt: float = options.dt(0.1)
    steps: int = options.steps(620, minimum=20)
    amplitude: float = options.amplitude(1e-5)
    wavenumber: float = options.wavenumber(0.2)
    drift: float = options.option(2.4, "drift velocity of the two streams", above=0, symbol="drift $v_0$")

    def problem(self) -> GridProblem:
        length = wavelength(self.wavenumber)
        f0 = Streams(self.drift, 1.0, length)
        return GridProblem(Poisson(length), f0, self.wavenumber, self.drift + 7.0, 1.0 + self.drift / 4)

    def title(self) -> str:
        return f"Two streams at ± {self.drift:g}, k = {self.wavenumber:g}"
