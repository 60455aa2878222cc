"""The same request twice: one reply under an idempotency key, and texts that are referred to."""
