"""Members that read others: who reads whom, in what order, in what words, and what judges say."""
