"""Documents to a corpus in which each text stands once; see stage.py."""
