"""Pages from Common Crawl: links go to its columnar index, captures come by ranges of its WARCs."""
