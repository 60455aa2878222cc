"""Importers of evaluation harnesses and leaderboards that need one file each."""
