"""The command ``doctor``: checks the connection and the service with read requests only.

One module reads (:mod:`.reader`), one writes the report (:mod:`.report`); the others are pure functions of what was
read. Nothing is sent but GET, and the report holds no text that somebody wrote: it can be pasted into an issue.
"""
