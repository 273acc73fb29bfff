"""Input and output: atomic files, serialised pytrees, fingerprints of systems, folder locks, signals, progress bars."""
