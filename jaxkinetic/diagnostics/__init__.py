"""Functions of the state, differentiable. H is the entropy int f log f everywhere: it falls."""

from .entropy import knn_entropy as knn_entropy, knn_entropy_bias as knn_entropy_bias
from .moments import (
    energy as energy,
    moment as moment,
    momentum as momentum,
    stress as stress,
    temperature as temperature,
)
