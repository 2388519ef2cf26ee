"""Labels where something limits their length: names of files, of W&B runs and their tags."""

import hashlib

LONGEST_FILE_NAME = 100
"""Bytes of a label in a file's name, which with seed and identity stays below what file systems take (255)."""


def shortened(text: str, longest: int) -> str:
    """Return a text of at most ``longest`` bytes in UTF-8.

    A longer one is cut and ends in a hash of the whole, so that texts which differ only in what is cut stay apart.
    """
    if len(text.encode()) <= longest:
        return text
    mark = "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return text.encode()[: longest - len(mark)].decode(errors="ignore") + mark


def file_name(text: str) -> str:
    """Return a text as part of a file's name: not too long, no character that is awkward in a shell."""
    return shortened("".join(c if c.isalnum() or c in "_.,=+-[]" else "_" for c in text), LONGEST_FILE_NAME)
