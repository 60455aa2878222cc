"""A data set as one dense `ResponseTable`: how it is built, calibrated and judged.

`candidates` numbers the answers, `build` fills the arrays of `table`, `calibration` makes supports
of option scores, `missing` says what was never recorded, `known` counts what was.
"""
