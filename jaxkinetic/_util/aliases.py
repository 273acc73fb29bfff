"""Former names of modules."""

import sys
from types import ModuleType


def alias_modules(package: str, **modules: ModuleType) -> None:
    """Keep former module names importable: `import package.name` returns the module that replaced it."""
    for name, module in modules.items():
        sys.modules[f"{package}.{name}"] = module
        setattr(sys.modules[package], name, module)
