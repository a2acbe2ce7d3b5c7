"""From Reddit submissions to token shards; knows nothing of torch."""
