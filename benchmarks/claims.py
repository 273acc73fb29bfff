"""The ledger of claims: every measured number of the README and the documentation, and what produces it.

    python benchmarks/claims.py --check [PAGE ...]        # numbers without an entry, entries that do not hold
    python benchmarks/claims.py --stale                   # claims and results that are older than their code
    python benchmarks/claims.py --recompute [TEXT ...]    # compute the cheap ones again, or those whose text contains TEXT
    python benchmarks/claims.py --write                   # bring ledger and pages in line with the JSONs

benchmarks/claims.toml says at its top what an entry holds. Exit status 1 if something was found.
"""

import argparse
import sys
from pathlib import Path

from _claims_ledger import ROOT, Ledger, check
from _claims_runs import recompute, rewrite, stale

LEDGER = ROOT / "benchmarks" / "claims.toml"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", nargs="*", metavar="PAGE", help="of all pages, or of these")
    action.add_argument("--stale", action="store_true", help="claims and results that are older than their code")
    action.add_argument(
        "--recompute", nargs="*", metavar="TEXT", help="the cheap claims, or those whose text contains TEXT"
    )
    action.add_argument("--write", action="store_true", help="bring ledger and pages in line with the JSONs")
    given = parser.parse_args(arguments)
    file = root / LEDGER.relative_to(ROOT)
    ledger = Ledger.read(file)
    if given.check is not None:
        found = [str(problem) for problem in check(ledger, root, given.check or None)]
        print("\n".join([*found, f"{len(ledger.claims)} claims, {len(found)} problems."]))
    elif given.stale:
        found = stale(ledger, root)
        print("\n".join([*found, f"{len(found)} claims and results are older than their code."]))
    elif given.recompute is not None:
        found = recompute(ledger, root, given.recompute, print)
    else:
        found = rewrite(ledger, file, root)
        print("\n".join([*found, f"{len(found)} claims could not be written."]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
