"""Who gets in, and how much a caller may take: keys, bodies, connections, unread replies."""
