"""What a gateway keeps in its database: keys, money, requests, feedback, policies."""
