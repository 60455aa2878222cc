"""Charts as SVG text: scales, marks, names that do not collide, colours that follow the page.

Knows numbers, names and pixels; nothing of benchmarks. Every text handed in is escaped here.
"""
