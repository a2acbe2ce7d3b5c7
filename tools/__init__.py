"""What people touch: the command line, the whole build, the report."""
