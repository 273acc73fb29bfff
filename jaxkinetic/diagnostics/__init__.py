"""Functions of the state, differentiable. H is the entropy int f log f everywhere: it falls."""

from .entropy import knn_entropy as knn_entropy
from .entropy import knn_entropy_bias as knn_entropy_bias
from .moments import (
    energy as energy,
)
from .moments import (
    mode as mode,
)
from .moments import (
    moment as moment,
)
from .moments import (
    momentum as momentum,
)
from .moments import (
    stress as stress,
)
from .moments import (
    temperature as temperature,
)
