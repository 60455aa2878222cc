"""What became of judged answers: the memory that is followed, their number, data to train on."""
