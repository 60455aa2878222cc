"""How the shipped prior is made: from batches of simulated pools."""
