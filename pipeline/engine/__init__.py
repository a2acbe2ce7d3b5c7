"""What every stage stands on: parts, ledgers, drops, resume, exchange, worker pool, Beam.

Read in this order: stage.py (what a stage declares), parts.py (how one part is done and
committed), build.py (how a build runs its stages). Only runner.py imports Beam; worker processes
import pool.py, and parts.py where a whole part runs in them.
"""
