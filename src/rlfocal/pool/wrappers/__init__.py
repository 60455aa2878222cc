"""Endpoints around an endpoint, each with one job: repeat, hold back, break off, count."""
