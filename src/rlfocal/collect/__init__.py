"""Ask a pool the queries of a data set, into a database; resumable, and never paid twice."""
