"""What members' servers say, made into a `Response` or the reason why there is none.

Servers are not trusted and seldom alike: whatever comes is read as far as it can be understood, and
never further. Nothing in here knows of connections or keys.
"""
