"""Pages for people who run a gateway: what is asked, what it costs, how right it is, who drifts.

The pages are files without data; figures come from routes that only an administrator's key opens.
"""
