"""The command line: one file per verb, thin; whatever is heavy is imported when it is needed."""
