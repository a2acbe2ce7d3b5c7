"""Pages to documents: decode, count, extract, clean, tell the language."""
