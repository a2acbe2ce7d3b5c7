"""An archive of pages that grows: WARC segments, and what each source gave for each link."""
