"""What runs: systems and schemes, the time loop, its adjoints, what is saved, ensembles and chunks."""
