"""The agents, their environment and their training; the only package that imports torch."""
