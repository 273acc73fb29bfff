"""Claims against the present: which are older than their code, what a cheap one gives now, and new values on the pages."""

import importlib
import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _claims_ledger import Claim, Ledger, as_list, experiments, matching, stored, within
from _claims_numbers import numbers, printed

__all__ = ["compute", "recompute", "rewrite", "stale"]


# ---- stale ---------------------------------------------------------------------------------------------------------------


def stale(ledger: Ledger, root: Path) -> list[str]:
    """One line for each claim whose files have a commit on a day after its date, and for each JSON of benchmarks/results whose
    script has one after the day on which it was measured."""
    dated = [(f"{claim.name} ({claim.pages[0]})", claim.date, files_of(claim, root)) for claim in ledger.claims]
    for file in sorted((root / "benchmarks" / "results").glob("*.json")):
        content = json.loads(file.read_text())
        if {"benchmark", "date"} <= set(content):
            dated.append((file.name, content["date"][:10], [f"benchmarks/{content['benchmark']}"]))
    last = {name: last_change(name, root) for name in {name for _, _, files in dated for name in files}}
    return [
        f"{what} of {date}: {name} was changed on {last[name]}"
        for what, date, files in dated
        for name in files
        if last[name] > date
    ]


def files_of(claim: Claim, root: Path) -> list[str]:
    """The script, test or experiment of the command, and what `code` names."""
    words = shlex.split(claim.command)
    named = [word.partition("::")[0] for word in words if (root / word.partition("::")[0]).exists() and "/" in word]
    if "jaxkinetic" in words[0]:
        named += [experiments(root)[word].relative_to(root).as_posix() for word in words if word in experiments(root)]
    return [*named, *claim.code]


def last_change(name: str, root: Path) -> str:
    """The day of the last commit, or ''."""
    command = ["git", "log", "-1", "--format=%cs", "--", name]
    return subprocess.run(command, cwd=root, capture_output=True, text=True).stdout.strip()


# ---- recompute -----------------------------------------------------------------------------------------------------------


def recompute(ledger: Ledger, root: Path, names: list[str], tell: Callable[[str], Any]) -> list[str]:
    """Runs the cheap claims, or all whose text contains one of `names`; returns one line for each that does not hold."""
    chosen = [
        claim
        for claim in ledger.claims
        if (any(name in claim.text for name in names) if names else claim.cheap)
        and (claim.check or "pytest" in claim.command)
    ]
    nodes: dict[str, list[Claim]] = {}
    found = []
    for claim in chosen:
        if not claim.check:
            nodes.setdefault(claim.command, []).append(claim)
            continue
        why = difference(claim, compute(claim.check, root))
        tell(f"{'DIFFERS' if why else 'holds'}  {claim.name}{why}")
        found += [f"{claim.name}{why}"] if why else []
    for command, claims in nodes.items():
        # A test compares with bounds of its own.
        run = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "", *shlex.split(command)[1:]]
        passed = subprocess.run(run, cwd=root, capture_output=True).returncode == 0
        for claim in claims:
            tell(f"{'holds' if passed else 'FAILS'}  {claim.name} ({command})")
        found += [] if passed else [f"{command} fails"]
    return found


def compute(expression: str, root: Path) -> list[float]:
    """The numbers that a `check` gives, in float64. Its names: jax, jnp, np, jk, math, re; `text(FILE)`;
    `results(FILE)`, a JSON of benchmarks/results; `script(NAME)`, a module of benchmarks or of the library."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import jaxkinetic as jk

    def results(file: str) -> Any:
        return json.loads((root / "benchmarks" / "results" / file).read_text())

    names = {
        "jax": jax,
        "jnp": jnp,
        "np": np,
        "jk": jk,
        "math": math,
        "re": re,
        "results": results,
        "script": importlib.import_module,
        "text": lambda file: (root / file).read_text(),
    }
    with jax.enable_x64(True):
        value = eval(expression, names)
    return [float(x) for x in (np.ravel(value) if np.ndim(value) else as_list(value))]


def difference(claim: Claim, now: list[float]) -> str:
    """'' if every number holds, else what it is now."""
    old = zip(claim.value, now, matching(claim), strict=False)
    right = len(now) == len(claim.value) and all(
        within(new, value, number, claim.tolerance) for value, new, number in old
    )
    return "" if right else f": now {', '.join(f'{x:.6g}' for x in now)}"


# ---- write ---------------------------------------------------------------------------------------------------------------


def rewrite(ledger: Ledger, file: Path, root: Path) -> list[str]:
    """Prints what changed. Two cases: the source of a claim, or `check` of a cheap one, has another number; or `value` was
    edited in the ledger and the text still has the old one. The numbers are replaced in the text, in the ledger and on the
    pages. Returns one line for each claim that must be edited by hand."""
    by_hand, content = [], file.read_text()
    for claim in ledger.claims:
        try:
            values = stored(claim, root) if claim.source else list(claim.value)
            if claim.cheap and claim.check and None not in matching(claim):
                values = compute(claim.check, root)
            text = with_values(claim, values)
        except (ValueError, KeyError, OSError) as error:
            by_hand.append(f"{claim.name}: {error}")
            continue
        if text == claim.text:
            continue
        absent = [name for name in claim.pages if not claim.spans((root / name).read_text())]
        if absent or content.count(f"text = {quoted(claim.text)}") != 1:
            by_hand.append(f"{claim.name}: its text must occur on its pages and once in the ledger, as one string")
            continue
        for name in claim.pages:
            page = (root / name).read_text()
            for start, end in reversed(claim.spans(page)):
                page = page[:start] + replaced(page[start:end], text) + page[end:]
            (root / name).write_text(page)
        content = in_ledger(content, claim, text)
        print(f"{claim.name} -> {quoted(text)}")
    file.write_text(content)
    return by_hand


def with_values(claim: Claim, values: list[float]) -> str:
    """The text with new numbers in the places of the old ones, in their form."""
    found = matching(claim)
    places = [place for place in found if place is not None]
    if len(places) < len(found):
        places = numbers(claim.text.replace("`", " "))
    if len(places) != len(values):
        raise ValueError("it cannot be said which numbers of its text are its values; edit the page by hand")
    text = claim.text
    for place, value in sorted(zip(places, values, strict=True), key=lambda pair: pair[0].start, reverse=True):
        if not within(value, place.value, place, claim.tolerance if None not in found else 0.0):
            text = text[: place.start] + printed(place.text, value) + text[place.end :]
    return text


def replaced(old: str, new: str) -> str:
    """The words of `new` with the white space of `old`, where a line may end."""
    gaps, words = re.findall(r"\s+", old), new.split()
    return "".join(word + gap for word, gap in zip(words, [*gaps, ""], strict=True))


def in_ledger(content: str, claim: Claim, text: str) -> str:
    """The entry with its new text and values; nothing else of the file changes."""
    old = f"text = {quoted(claim.text)}"
    start = content.rindex("[[claim]]", 0, content.index(old))
    following = re.search(r"^\[\[", content[start + 9 :], re.MULTILINE)
    end = start + 9 + following.start() if following else len(content)
    entry = content[start:end].replace(old, f"text = {quoted(text)}")
    found = matching(claim)
    places = [place for place in found if place is not None]
    if len(places) == len(found):
        fresh = numbers(text.replace("`", " "))
        before = numbers(claim.text.replace("`", " "))
        values = [fresh[before.index(place)].value for place in places]
        shown = ", ".join(f"{x:.12g}" for x in values)
        entry = re.sub(
            r"^value = .*$", f"value = {f'[{shown}]' if len(values) > 1 else shown}", entry, flags=re.MULTILINE
        )
    return content[:start] + entry + content[end:]


def quoted(text: str) -> str:
    """As TOML writes it, in the simplest of its forms."""
    return json.dumps(text, ensure_ascii=False)
