"""Former names of modules."""

import sys
from types import ModuleType


def alias_modules(package: str, **modules: ModuleType) -> None:
    """`import package.name` gives the module that has another name now."""
    for name, module in modules.items():
        sys.modules[f"{package}.{name}"] = module
        setattr(sys.modules[package], name, module)
