"""Two counter-streaming beams of a plasma: the growth of the instability, and the phase-space vortex at saturation."""

from ...vlasov import Poisson, TwoStream
from .._harness.experiment import Experiment, GridOptions, Headline, Report, Watch
from ._growth import run_growth
from ._mean_field import wavelength

__all__ = ["TWO_STREAM", "run"]


def run(options: GridOptions, watch: Watch) -> Report:
    k, drift = options.wavenumber or 0.2, options.drift or 2.4
    length = wavelength(k)
    title = f"Two streams at ± {drift:g}, k = {k:g}  ({options.system}, {options.nx} × {options.nv} points)"
    f0 = TwoStream(drift, 1.0, length)
    return run_growth(options, Poisson(length), f0, k, drift + 7.0, 1.0 + drift / 4, title, TWO_STREAM.name, watch)


TWO_STREAM = Experiment(
    name="two-stream",
    summary="two-stream instability of a plasma: growth rate beside the dispersion relation, and the final vortex",
    defaults=GridOptions(nx=256, nv=512, dt=0.1, steps=620, amplitude=1e-5, wavenumber=0.2, drift=2.4),
    run=run,
    precision=64,
    headline=Headline("growth_rate", "growth_rate_systematic", "growth rate", "the systematic error"),
    least_steps=20,
    least_dim=1,
    most_dim=1,
    schemes=("strang", "strang-4"),
)
