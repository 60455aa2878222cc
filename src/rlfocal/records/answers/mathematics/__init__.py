"""What it takes to read and compare mathematical answers; `rlfocal.records.answers.maths` joins it.

`picking` finds the answer in a reply, `writing` brings it to one spelling, `literals` reads plain
numbers, `structure` sees tuples, sets, intervals, units and names in it. In `comparing`, `rules`
compares two of them as far as that needs no algebra and groups all answers to one query, and
`verifier` asks the library math-verify in a process of its own (`worker`) for the rest.
"""
