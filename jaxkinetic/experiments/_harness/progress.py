"""The progress bar of an experiment."""

from ..._io import progress as _progress


class Progress(_progress.Progress):
    """`with Progress("label", total) as bar: ... bar.advance()`.

    The host advances it between compiled programs. A callback inside a program would keep the program out of the compilation
    cache, and make a GPU wait for the host."""

    def __init__(self, label: str, total: int, *, shown: bool = True, unit: str = "save"):
        super().__init__(total, unit, shown=shown, label=label)
