"""What a program compiled for a GPU launches and waits for, counted from its HLO text.

Counted: kernels (every instruction that computes or copies, times the trips of the loops around it), host synchronisations (a
loop of a length that XLA does not know copies its condition to the host at every turn, a conditional once), library calls.
Of the branches of a conditional the dearest counts. XLA makes a CUDA graph of five and more launches in a row; a conditional in
it waits for nobody, and does not count. A loop, a transform or a call of a library ends the row.
"""

import json
import re
from dataclasses import dataclass, field

# Instructions that launch nothing.
_FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier", "partition-id", "replica-id",
    "async-update", "async-done", "copy-done", "add-dependency",
}  # fmt: skip
# Launches in a row that make a CUDA graph.
_GRAPH = 5
# Kernels of a library call: a transform has two passes, a radix sort of CUB eight.
_KERNELS = {"fft": 2, "sort": 8, "custom-call": 1, "cholesky": 6, "triangular-solve": 4}

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_LINE = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_CALL = re.compile(r"([a-z][\w\-]*)\(")


@dataclass
class Counts:
    """For one execution: `kernels`, `syncs`, and `library`, calls by name (of eigensolvers, transforms, products)."""

    kernels: float = 0.0
    syncs: float = 0.0
    library: dict[str, float] = field(default_factory=dict)

    def add(self, other: "Counts", times: float = 1.0) -> None:
        self.kernels += times * other.kernels
        self.syncs += times * other.syncs
        for name, number in other.library.items():
            self.library[name] = self.library.get(name, 0.0) + times * number


class Program:
    """The computations of an HLO module, as (name, opcode, rest of the line). `trips`: of loops of unknown length."""

    def __init__(self, text: str, trips: int = 8):
        self.trips = trips
        self.computations: dict[str, list[tuple[str, str, str]]] = {}
        self.entry, current = "", []
        for line in text.splitlines():
            if head := _HEAD.match(line):
                current = self.computations.setdefault(head.group(2), [])
                self.entry = head.group(2) if head.group(1) else self.entry
            elif (found := _LINE.match(line)) and (call := _CALL.search(_without_type(found.group(2)))):
                current.append((found.group(1), call.group(1), found.group(2)))

    def counts(self, computation: str | None = None) -> Counts:
        total, row = Counts(), []
        for line in [*self._launched(computation or self.entry), None]:
            if line is not None:
                self._count(total, *line)
            if line is not None and self._in_graph(*line):
                row.append(line[0])
            else:
                total.syncs += row.count("conditional") if len(row) < _GRAPH else 0
                total.syncs += line is not None and line[0] == "conditional"
                row = []
        return total

    def _launched(self, computation: str) -> list[tuple[str, str]]:
        return [(opcode, rest) for _, opcode, rest in self.computations[computation] if opcode not in _FREE]

    def _in_graph(self, opcode: str, rest: str) -> bool:
        if opcode == "conditional":
            return all(self._in_graph(*line) for branch in _branches(rest) for line in self._launched(branch))
        return opcode != "while" and opcode not in _KERNELS

    def _count(self, total: Counts, opcode: str, rest: str) -> None:
        if opcode == "while":
            known = re.search(r'known_trip_count":\{"n":"(\d+)"', rest)
            trips = int(known.group(1)) if known else self.trips
            total.add(self.counts(_named(rest, "body")), trips)
            if not known:
                total.add(self.counts(_named(rest, "condition")), trips + 1)
                total.syncs += trips + 1
        elif opcode == "conditional":
            total.add(max((self.counts(name) for name in _branches(rest)), key=lambda counts: counts.kernels))
        elif opcode in ("call", "async-start"):
            total.add(self.counts(_named(rest, "to_apply") if "to_apply=" in rest else _named(rest, "calls")))
        else:
            total.kernels += _KERNELS.get(opcode, 1)
            if opcode in _KERNELS:
                target = re.search(r'custom_call_target="([^"]*)"', rest)
                total.add(Counts(library={target.group(1) if target else opcode: 1.0}))

    def instructions(self, opcode: str) -> int:
        """In the text of the program, each once."""
        return sum(found == opcode for lines in self.computations.values() for _, found, _ in lines)

    def loops(self) -> list[int | None]:
        """Trips of every loop, None where XLA does not know them."""
        whiles = [rest for lines in self.computations.values() for _, opcode, rest in lines if opcode == "while"]
        known = (re.search(r'known_trip_count":(\{[^}]*\})', rest) for rest in whiles)
        return [int(json.loads(found.group(1))["n"]) if found else None for found in known]


def _without_type(rest: str) -> str:
    """The line from the opcode on: a tuple's type holds brackets of its own."""
    if not rest.startswith("("):
        return rest.split(" ", 1)[1] if " " in rest else rest
    depth = 0
    for place, character in enumerate(rest):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return rest[place + 2 :]
    return rest


def _named(rest: str, attribute: str) -> str:
    found = re.search(rf"{attribute}=%?([\w.\-]+)", rest)
    assert found, rest
    return found.group(1)


def _branches(rest: str) -> list[str]:
    listed = re.search(r"branch_computations=\{([^}]*)\}", rest)
    if listed:
        return re.findall(r"%?([\w.\-]+)", listed.group(1))
    return [_named(rest, "true_computation"), _named(rest, "false_computation")]
