"""Deep linear nets on a full batch: the same network on eleven rows instead of a thousand samples, many runs at once.

`normscape.reduced.batch` derives it; `normscape.reduced.eligible` says which runs are computed so.
"""
