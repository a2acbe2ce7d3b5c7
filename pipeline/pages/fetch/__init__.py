"""Links to pages of the live web, by one polite, long-lived program.

Read in this order: frontier.py (who may be asked when), visit.py (what one answer means),
program.py (the loop that joins them with transport.py and the archive), guard.py (what is never
asked), worklist.py (the links on disk, by registrable domain).
"""
