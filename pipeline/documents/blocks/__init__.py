"""A page as blocks of text that are scored one by one: what the extractor `combined` is made of."""
