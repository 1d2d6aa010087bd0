"""Protobuf's wire format, as far as large or frequent messages are written by hand.

A search reply is put together from bytes: filling a message object value by value
costs several times the search's own wire work.

Source: "Encoding", protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from functools import lru_cache

_LENGTH_DELIMITED = 2


@lru_cache(maxsize=4096)
def varint(value: int) -> bytes:
    """A number from 0 to 2**64 - 1, seven bits a byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """A number of 64 bits that may be negative, as ``int32`` and ``int64`` fields."""
    return varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def number(field: int, value: int) -> bytes:
    """A field that holds an integer or a bool; nothing for 0, which is the default."""
    return varint(field << 3) + signed(value) if value else b""


def delimited(field: int, content: bytes) -> bytes:
    """A field that holds bytes, a string, a message or packed numbers."""
    head = varint(field << 3 | _LENGTH_DELIMITED)
    return b"".join((head, varint(len(content)), content))


@lru_cache(maxsize=1024)
def text(field: int, value: str) -> bytes:
    """A field that holds a short string, such as a name; nothing for an empty one."""
    return delimited(field, value.encode()) if value else b""
