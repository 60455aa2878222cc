"""Whether two mathematical answers are one: by rules, and by math-verify for expressions."""
