"""An OpenAI-compatible server over live members: keys, budgets, feedback, metrics, a dashboard."""
