"""Learning from feedback that a served policy gets: logged episodes, estimates, shadow policies."""
