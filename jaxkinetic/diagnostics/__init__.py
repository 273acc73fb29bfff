"""Diagnostics: functions of the state. All are differentiable except the counts `histogram` and `marginal_l1`. H denotes the
entropy int f log f, which decreases in time."""

from .correlations import pair_correlation as pair_correlation
from .densities import entropy_per_particle as entropy_per_particle
from .distances import (
    relative_entropy as relative_entropy,
    sliced_wasserstein as sliced_wasserstein,
    wasserstein as wasserstein,
)
from .entropy import (
    entropy as entropy,
    entropy_bias as entropy_bias,
    knn_entropy as knn_entropy,
    knn_entropy_bias as knn_entropy_bias,
)
from .histograms import (
    grid_entropy as grid_entropy,
    histogram as histogram,
    marginal_l1 as marginal_l1,
    marginal_l1_floor as marginal_l1_floor,
    speed as speed,
)
from .kde import (
    fisher_information as fisher_information,
    fisher_information_bias as fisher_information_bias,
    kde_entropy as kde_entropy,
)
from .moments import (
    energy as energy,
    mode as mode,
    moment as moment,
    momentum as momentum,
    stress as stress,
    temperature as temperature,
)
from .rescaled import (
    SelfSimilar as SelfSimilar,
    rescaled_density as rescaled_density,
    rescaled_f1 as rescaled_f1,
    rescaled_f2 as rescaled_f2,
    self_similar as self_similar,
    self_similar_time as self_similar_time,
)

__all__ = [
    "SelfSimilar", "energy", "entropy", "entropy_bias", "entropy_per_particle", "fisher_information",
    "fisher_information_bias", "grid_entropy", "histogram", "kde_entropy", "knn_entropy", "knn_entropy_bias",
    "marginal_l1", "marginal_l1_floor", "mode", "moment", "momentum", "pair_correlation", "relative_entropy",
    "rescaled_density", "rescaled_f1", "rescaled_f2", "self_similar", "self_similar_time", "sliced_wasserstein",
    "speed", "stress", "temperature", "wasserstein",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
