"""Submissions to links: which posts count, and what one outbound URL is."""
