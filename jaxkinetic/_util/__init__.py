"""Helpers shared by every module: argument checks, types, derivative rules, sums, printing."""
