"""The verbs of a gateway: serving, and keys and policies in its database."""
