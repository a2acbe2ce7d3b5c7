"""Links to pages: which record of which WARC file answers for each kept link.

Read in this order: frames.py (where records lie in a file), warc.py (what a record holds),
capture.py (what a record is worth), choose.py (which capture a link gets), stage.py.
"""
