"""The endpoints' dialects: each reads its body as a chat completion and writes what came of it.

`dialect` says what one has to do and `translating` how a body becomes a chat completion's; each of
the other modules is one dialect, or one dialect's bodies (`..._body`). They know nothing of HTTP,
keys and members.
"""
