"""What a model is worth: loss on its held-out split, and the tasks of the GPT-2 paper.

To read first: `task.py` says what a task is, `scoring.py` how text gets its log-probabilities,
`lambada.py` is the shortest whole task, `suite.py` runs them all.
"""
