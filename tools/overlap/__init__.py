"""Which texts of a test set stand in a corpus, by 8-grams (the GPT-2 paper, section 4).

The paper keeps the corpus in Bloom filters that err once in 10^8. Here the test sets' 8-grams are
kept instead, and the corpus goes by, once: memory is that of the test sets, nothing is estimated.
To read first: `grams.py`.
"""
