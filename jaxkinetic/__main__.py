"""The command `python -m jaxkinetic`, the same as `jaxkinetic`."""

from ._io.signals import leave_on_signals


def main() -> int:
    # Before JAX is imported, because an interrupt during an import can be lost.
    leave_on_signals()
    from .experiments.cli import main as command

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
