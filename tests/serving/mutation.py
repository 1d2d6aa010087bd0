"""Changes of valid messages that a server must survive."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from elanus.server.grpc.messages import METHODS

INTEGERS = (0, -1, 1, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e308, 5e-324)
TEXTS = (
    "",
    "docs",
    "vector",
    "id",
    "_default",
    "-1",
    "9" * 400,
    "a" * 70_000,
    "id > 1 and " * 300 + "id > 1",
    "(" * 5_000,
    "not " * 5_000,
    "[" * 10_000,
    '{"a":' * 5_000,
    "id in [" + "1," * 20_000 + "1]",
    "nan",
    "1e999",
    "true",
    "null",
    "{}",
    "[]",
    "%s%n\0\n",
    "größe\U0001f600",
    '"',
    "' or 1 == 1",
    "count(*)",
    "18446744073709551616",
)
# The longest lengths that a varint can claim.
LENGTHS = (b"\xff\xff\xff\xff\x07", b"\x80\x80\x80\x80\x08", b"\xff" * 9 + b"\x01")


def mutated(rng: random.Random, method: str, payload: bytes) -> bytes:
    """A message like this one, changed in a few places."""
    if rng.random() < 0.3:
        return _damaged(rng, payload)
    message = METHODS[method].request.FromString(payload)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(rng, message)
    content: bytes = message.SerializeToString()
    return content if rng.random() < 0.9 else _damaged(rng, content)


def _damaged(rng: random.Random, payload: bytes) -> bytes:
    content = bytearray(payload or b"\0")
    place = rng.randrange(len(content))
    kinds: list[Callable[[], object]] = [
        lambda: content.__setitem__(place, rng.randrange(256)),
        lambda: content.__delitem__(slice(place, None)),
        lambda: content.__setitem__(slice(place, place + 1), rng.choice(LENGTHS)),
        lambda: content.__setitem__(slice(place, place), content[: place + 9]),
        lambda: content.extend(rng.randbytes(rng.randrange(40))),
        lambda: content.extend(b"\x0b" * rng.choice((5, 200, 20_000))),  # groups
    ]
    rng.choice(kinds)()
    return bytes(content)


def _change(rng: random.Random, message: Any) -> None:
    """Change a random field of the message, or of one inside it."""
    present = [field for field, _ in message.ListFields()]
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    field = rng.choice(present) if present and rng.random() < 0.85 else None
    field = field or rng.choice(list(fields))
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name).clear()
    elif _is_repeated(field):
        _change_list(rng, message, field)
    elif field.message_type is not None:
        if rng.random() < 0.1:
            message.ClearField(field.name)
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _change(rng, inner)
    else:
        setattr(message, field.name, _value(rng, field, getattr(message, field.name)))


def _change_list(rng: random.Random, message: Any, field: Any) -> None:
    values = getattr(message, field.name)
    draw = rng.random()
    if draw < 0.15 or not values:
        values.add() if field.message_type else values.append(_value(rng, field, None))
    elif draw < 0.3:
        del values[rng.randrange(len(values)) :]
    elif draw < 0.45:
        few = list(values)[: 1 + 2000 // len(values)]
        values.extend(few * rng.choice((1, 1, 3, 300)))
    elif field.message_type is not None:
        _change(rng, rng.choice(values))
    else:
        place = rng.randrange(len(values))
        values[place] = _value(rng, field, values[place])


def _value(rng: random.Random, field: Any, old: Any) -> Any:
    """A hostile value that the field can hold."""
    if field.type == field.TYPE_BOOL:
        return not old
    if field.type == field.TYPE_STRING:
        text = old or ""
        cut = rng.randrange(len(text) + 1)
        return rng.choice((*TEXTS, text[:cut], text + rng.choice(TEXTS), text * 2))
    if field.type == field.TYPE_BYTES:
        content = old or b""
        cut = rng.randrange(len(content) + 1)
        own = (content[:cut], content * 3, rng.randbytes(rng.randrange(60)))
        return rng.choice((b"", *own, b"{" * 10_000, b'{"$meta":1}', b"null"))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return rng.choice(FLOATS)
    low, high = _RANGES.get(field.type, (-(2**31), 2**31 - 1))
    value = rng.choice((*INTEGERS, (old or 0) + 1, (old or 0) - 1, rng.randrange(120)))
    return min(max(value, low), high)


_RANGES = {
    3: (-(2**63), 2**63 - 1),
    4: (0, 2**64 - 1),
    13: (0, 2**32 - 1),
}


def _is_repeated(field: Any) -> bool:
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)
