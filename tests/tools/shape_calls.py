"""Which public functions does the step "shapes" of `.ci/run` leave out? By hand, instead of the type checker itself:

    .venv/bin/pytest -n0 -m 'shapes and not slow and not gpu' --jaxtyping-packages=jaxkinetic,shape_calls.check

prints at its end every function that has shapes in its annotations and was not called. Abstract methods stay in the list.
"""

import atexit
import functools
import inspect

from beartype import BeartypeConf, beartype

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_shaped: set[str] = set()
_called: set[str] = set()


def check(function):
    """The type checker, which notes what it is asked to check and what is called."""
    name = f"{function.__module__}.{function.__qualname__}"
    signature = inspect.signature(function)
    hints = repr([signature.return_annotation, *(p.annotation for p in signature.parameters.values())])
    # As jaxtyping's classes are shown.
    if any(text in hints for text in ("jaxtyping.", "Array, '", "ndarray, '")):
        _shaped.add(name)
    checked = _checked(function)

    @functools.wraps(function)
    def counted(*args, **kwargs):
        _called.add(name)
        return checked(*args, **kwargs)

    return counted


@atexit.register
def _print() -> None:
    def public(name: str) -> bool:
        *modules, last = name.split(".")
        hidden = last.startswith("_") and not last.endswith("__")
        return not hidden and "<locals>" not in name and not any(part.startswith("_") for part in modules[2:])

    missing = sorted(name for name in _shaped - _called if public(name))
    print(f"{len(_shaped)} functions with shapes; not called:", *missing, sep="\n  ")
