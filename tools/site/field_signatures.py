"""Signatures of classes whose constructor is made from their fields (`eqx.Module`, dataclasses), for the API reference.

An extension of griffe, which reads source code and so does not see these constructors.
"""

import importlib
import inspect
from typing import Any

import griffe

__all__ = ["FieldSignatures"]

_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: griffe.ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
    inspect.Parameter.VAR_POSITIONAL: griffe.ParameterKind.var_positional,
    inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
    inspect.Parameter.VAR_KEYWORD: griffe.ParameterKind.var_keyword,
}


class FieldSignatures(griffe.Extension):
    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Add the constructor that Python shows to a class that does not define one."""
        if "__init__" in cls.members or not cls.path.startswith("jaxkinetic."):
            return
        value = getattr(importlib.import_module(cls.module.path), cls.name, None)
        if not isinstance(value, type) or cls.path != f"{value.__module__}.{value.__qualname__}":
            return
        try:
            signature = inspect.signature(value)
        except (TypeError, ValueError):
            return
        parameters = [
            griffe.Parameter(
                p.name, kind=_KINDS[p.kind], default=None if p.default is inspect.Parameter.empty else _text(p.default)
            )
            for p in signature.parameters.values()
        ]
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in signature.parameters.values()):
            return
        first = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
        cls.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(first, *parameters)))


def _text(default: Any) -> str:
    return default.__name__ if inspect.isroutine(default) or isinstance(default, type) else repr(default)
