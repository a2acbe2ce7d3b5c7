"""Corpus to tokenizer, and corpus and tokenizer to the token shards that the trainer reads."""
