"""From a question to a member's request: templates, turns, seeds, what goes back to its giver."""
