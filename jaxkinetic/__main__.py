"""`python -m jaxkinetic` is `jaxkinetic`."""

from .experiments.cli import main

raise SystemExit(main())
