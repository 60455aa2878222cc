"""What is given for an answer: its words, what else was said, and one reply made of several."""
