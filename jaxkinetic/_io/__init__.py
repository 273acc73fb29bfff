"""What lasts: files that are complete or absent, serialised trees, fingerprints of systems, locks, progress bars."""
