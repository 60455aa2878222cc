"""Figures without folds: of recorded answers, of how members fail, of one checkpoint.

What `inspect`, `diversity` and `evaluate` show, on the command line and in Python alike.
"""
