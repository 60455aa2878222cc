"""Verbs about local models: blends that write together, and models that examine replies."""
