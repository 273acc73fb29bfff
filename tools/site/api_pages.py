"""The reference of the API: one page for each public module, one entry for each name of its `__all__`.

An entry's anchor is the public dotted path, so `` [`jk.simulate`][jaxkinetic.simulate] `` links to it from any page. A name
that two modules export has its documentation in the first of `PAGES`, and a pointer in the other.
"""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["PAGES", "documented", "names", "on_files", "on_post_build", "page", "page_of", "value_of"]

# Page -> module. The first page that holds an object documents it.
PAGES = {
    "core": "jaxkinetic",
    "landau": "jaxkinetic.landau",
    "landau_exact": "jaxkinetic.landau.exact",
    "boltzmann": "jaxkinetic.boltzmann",
    "boltzmann_exact": "jaxkinetic.boltzmann.exact",
    "vlasov": "jaxkinetic.vlasov",
    "vlasov_exact": "jaxkinetic.vlasov.exact",
    "pairs": "jaxkinetic.pairs",
    "schemes": "jaxkinetic.schemes",
    "states": "jaxkinetic.states",
    "initial": "jaxkinetic.initial",
    "diagnostics": "jaxkinetic.diagnostics",
    "fitting": "jaxkinetic.fitting",
    "chaos": "jaxkinetic.chaos",
    "units": "jaxkinetic.units",
    "random": "jaxkinetic.random",
    "spectral": "jaxkinetic.spectral",
    "plotting": "jaxkinetic.plotting",
    "experiments": "jaxkinetic.experiments",
}
# The names of the package by the module that defines them, in the order of the page.
SECTIONS = {
    "Running": ("_core.simulate", "_core.ensemble", "_core.iterate", "_core.save", "_core.solution", "_core.adjoint"),
    "Adjoints, reductions, checkpoints": ("_core.reversible", "_core.reductions", "_core.checkpoint"),
    "States and grids": ("states", "radial", "laws"),
    "Schemes": ("schemes", "runge_kutta"),
    "Expectations and their gradients": ("expectations",),
    "Fits": ("fitting",),
    "Propagation of chaos": ("chaos",),
    "Protocols of systems and schemes": ("_core.system", "_core.totals"),
}


def _loaded() -> dict[str, ModuleType]:
    """The modules of `PAGES` that exist."""
    found = {}
    for stem, path in PAGES.items():
        try:
            found[stem] = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
    return found


def names() -> dict[str, list[str]]:
    """Page -> the public dotted paths that have an entry on it, and the module's own."""
    return {stem: [PAGES[stem], *(f"{PAGES[stem]}.{name}" for name in _names_of(m))] for stem, m in _loaded().items()}


def _names_of(module: ModuleType) -> list[str]:
    return [name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)]


def documented() -> dict[str, str]:
    """Public path -> the public path under which its object is documented; the same for most."""
    first: dict[int, str] = {}
    found = {}
    for stem, module in _loaded().items():
        for name in _names_of(module):
            path, value = f"{PAGES[stem]}.{name}", getattr(module, name)
            # Equal numbers and strings may be one object.
            found[path] = first.setdefault(id(value), path) if callable(value) else path
    return found


def value_of(path: str) -> Any:
    """The object with a public path."""
    module, _, name = path.rpartition(".")
    return importlib.import_module(path) if path in PAGES.values() else getattr(importlib.import_module(module), name)


def page_of(path: str) -> str:
    """The page that has the entry of a public path."""
    return next(stem for stem, module in PAGES.items() if module == path.rpartition(".")[0])


def _summary(value: Any) -> str:
    """The first sentence of the docstring, on one line."""
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    sentence = re.match(r".*?(?:[.:](?= |$)|$)", text)
    return (sentence[0] if sentence else text).rstrip(":")


def _entry(path: str, home: str) -> str:
    if home == path:
        return f"::: {path}\n"
    return f"### {path} {{ #{path} }}\n\nThe same as [`{home}`][{home}].\n"


def page(stem: str) -> str:
    """The Markdown of one page of the reference."""
    module, path = _loaded()[stem], PAGES[stem]
    homes = documented()
    groups = _sections(module) if stem == "core" else {"": _names_of(module)}
    lines = [f"# {path} {{ #{path} }}", "", inspect.getdoc(module) or "", ""]
    if stem == "core":
        lines += ["Every example writes `import jaxkinetic as jk`.", ""]
    # The entries are what a search must find.
    lines += ['<div data-search-exclude markdown="1">', ""]
    for title, members in groups.items():
        lines += [f"**{title}**", ""] * bool(title)
        for name in members:
            about = _summary(getattr(module, name)) if callable(getattr(module, name)) else ""
            lines.append(f"- [`{name}`][{path}.{name}]" + (f": {about}" if about else ""))
        lines.append("")
    lines += ["</div>", ""]
    for title, members in groups.items():
        lines += [f"## {title or 'Names'}", ""]
        for name in members:
            lines.append(_entry(f"{path}.{name}", homes[f"{path}.{name}"]))
    return "\n".join(lines)


def _sections(module: ModuleType) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {title: [] for title in SECTIONS}
    for name in _names_of(module):
        origin = getattr(module, name).__module__.removeprefix("jaxkinetic.")
        title = next(
            (t for t, places in SECTIONS.items() if any(origin == p or origin.startswith(f"{p}.") for p in places)),
            None,
        )
        groups.setdefault(title or "More", []).append(name)
    return {title: members for title, members in groups.items() if members}


def _index() -> str:
    lines = [
        "# API reference", "",
        "Every public name. Examples write `import jaxkinetic as jk`; a room is an attribute, as in `jk.landau.Kac`.", "",
        "| module | content |", "|---|---|",
    ]  # fmt: skip
    lines += [f"| [`{PAGES[stem]}`]({stem}.md) | {_summary(module)} |" for stem, module in _loaded().items()]
    return "\n".join(lines) + "\n"


def on_files(files, config):
    from mkdocs.structure.files import File

    files.append(File.generated(config, "api/index.md", content=_index()))
    for stem in _loaded():
        files.append(File.generated(config, f"api/{stem}.md", content=page(stem)))
    return files


def on_post_build(config):
    """Every public name has its anchor in the built page."""
    from mkdocs.exceptions import PluginError

    for stem, paths in names().items():
        html = (Path(config.site_dir) / "api" / stem / "index.html").read_text()
        missing = [path for path in paths if f'id="{path}"' not in html]
        if missing:
            raise PluginError(f"api/{stem} has no entry for {missing}.")
