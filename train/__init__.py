"""From token shards to a trained, evaluated, sampled GPT-2; knows nothing of `pipeline`."""
