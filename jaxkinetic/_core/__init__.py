"""The core: protocols of systems and schemes, the time loop and its adjoints, saving, checkpoints, ensembles and chunks."""
