"""What turns an experiment into commands, files, tables and figures."""
