"""How a query is deliberated: the protocol of strategies, what they see, the loop of rounds."""
