"""Blends: several local models that write one reply together, token by token.

`voices` says what a model would go on with, `mixing` puts that together, `writing` keeps all of
them at one text, and a method decides what comes next: `weighing` by weights, `switching` by what
the text may become, `spans` by what the others think of it. `endpoint` makes it an endpoint.
"""
