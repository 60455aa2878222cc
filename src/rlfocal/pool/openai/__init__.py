"""Servers that speak OpenAI's API: what is sent to them, and all that real ones send back."""
