"""One cell of a table: as a text, a number, a list, a right answer, a question or a reply.

Knows nothing of columns, but for what its reader is told of them.
"""
