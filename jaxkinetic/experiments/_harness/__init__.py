"""Runs experiments from the command line: options, files, tables and figures."""
