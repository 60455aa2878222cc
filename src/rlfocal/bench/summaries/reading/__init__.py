"""What readers made of what they read: a description of recorded answers, not a test.

Whether they follow who is right (`following`), what biases judges have (`judging`), who mattered to
the final answers without labels (`importance`), and what each role is worth with them (`roles`).
"""

from rlfocal.bench.summaries.reading.summary import Readings, readings_of

__all__ = ["Readings", "readings_of"]
