"""Conversations: published ways in which models read one another, held over live members."""
