"""OpenAI's chat completions on the wire: requests read, replies and streams written."""
