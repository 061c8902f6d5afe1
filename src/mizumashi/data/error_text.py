"""What a library says of a file that it cannot read, made fit for one line."""

import textwrap


def reason(error: Exception) -> str:
    r"""The message of an error in one line of at most 200 characters, or its kind where it says nothing.

    Example:
        >>> reason(ValueError("bad\nheader")), reason(MemoryError())
        ('bad header', 'MemoryError')
    """
    return textwrap.shorten(str(error)[:1000], 200) or type(error).__name__
