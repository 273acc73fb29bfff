"""Experiments that are computed in named parts; each is stored when it is finished."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..._io.fingerprint import fingerprint
from ..._io.part_files import open_parts
from ..._io.progress import Progress
from ..._util.checks import argument_error, describe
from .experiment import Experiment, Watch
from .report import Report

Part = Callable[[], Sequence[Any]]


class ExperimentInParts(Experiment):
    @abstractmethod
    def problem(self) -> Mapping[str, Part]:
        """Functions by name, each of which returns a list or tuple of numbers and arrays. They do not depend on one another."""

    @abstractmethod
    def analyse(self, parts: Mapping[str, Sequence[np.ndarray]]) -> Report:
        """The report. `parts`: what every function returned."""

    def run(self, watch: Watch = Watch()) -> Report:  # noqa: B008  (immutable)
        problem, store = self.problem(), None
        if watch.partial is not None:
            # That the options are the same was checked when the folder was opened.
            names = fingerprint(list(problem))
            assert names is not None
            store = open_parts("path", watch.partial.path(self.name), {"parts": names})
        found: dict[str, Sequence[np.ndarray]] = {}
        with Progress(len(problem), "part", shown=watch.progress, label=self.name) as bar:
            for index, (name, compute) in enumerate(problem.items()):
                file = f"part-{index:05d}"
                known = None if store is None else store.load(file)
                if known is None:
                    computed = compute()
                    if not isinstance(computed, (list, tuple)):
                        raise argument_error(
                            name,
                            "return a list of numbers and arrays",
                            f"returns {describe(computed)}",
                            "return [x, y]",
                        )
                    known = [np.asarray(x) for x in computed]
                    if store is not None:
                        store.save(file, known)
                found[name] = known
                bar.advance()
        return self.analyse(found)
