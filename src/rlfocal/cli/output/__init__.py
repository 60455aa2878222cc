"""What verbs print: tables and figures for people, JSON for scripts, progress and remarks.

Standard output carries results alone; progress and remarks go to standard error.
"""
