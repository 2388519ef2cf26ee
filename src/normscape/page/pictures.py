"""Pictures inside a page."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from normscape.errors import UserError

COLORS = 64


class Picture(NamedTuple):
    """A picture as the address that contains it, with its size in pixels and words for those who cannot see it."""

    address: str
    width: int
    height: int
    words: str


def embedded(content: bytes, words: str, name: str) -> Picture:
    """Return a PNG file for a page: the same pixels in at most 64 colours, as WebP without loss, a quarter of the size.

    Raises
    ------
    UserError
        If it is no picture; ``name`` says which.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            few = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UserError(f"{name}: not a picture ({error}); draw it again: make redraw-all") from error
    small = io.BytesIO()
    few.save(small, "WEBP", lossless=True, quality=100, method=4)
    address = f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"
    return Picture(address, few.width, few.height, words)


def embedded_file(path: Path, words: str) -> Picture | None:
    """Return a picture from its file; None if there is none."""
    return embedded(path.read_bytes(), words, str(path)) if path.exists() else None
