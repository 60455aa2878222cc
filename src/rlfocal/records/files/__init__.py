"""Tables on disk: one file of three formats, or a folder of Parquet files."""
