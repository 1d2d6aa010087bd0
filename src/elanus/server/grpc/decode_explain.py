"""Whether a search or query asks to be explained, in one of the ways that clients have.

Any client can name ``explain(*)`` among its output fields, as it does ``count(*)``.
Where there are search parameters, ``explain`` may stand there, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from elanus.errors import InvalidParameter
from elanus.service.requests_explain import ExplainForm

PARAMETER = "explain"
_CALL = re.compile(r"\s*explain\s*\(\s*(\*|\w*)\s*\)\s*\Z", re.I)
_FORMS: Mapping[str, ExplainForm | None] = {
    "": ExplainForm.TEXT,
    "*": ExplainForm.TEXT,
    "true": ExplainForm.TEXT,
    "text": ExplainForm.TEXT,
    "json": ExplainForm.JSON,
    "false": None,
}


def explain_form(names: Iterable[str], params: Mapping[str, Any]) -> ExplainForm | None:
    """How the read is to be explained; ``None`` when it is to be answered.

    Args:
        names: of output fields.
        params: where ``explain`` may stand.

    Raises:
        InvalidParameter: there is no such form.
    """
    asked = [match[1] for match in map(_CALL.match, names) if match is not None]
    if PARAMETER in params:
        asked.append(str(params[PARAMETER]))
    forms = [_form(text) for text in asked]
    return next((form for form in forms if form is not None), None)


def without_explain(names: Iterable[str]) -> tuple[str, ...]:
    """The output fields that the read itself has."""
    return tuple(name for name in names if _CALL.match(name) is None)


def _form(text: str) -> ExplainForm | None:
    try:
        return _FORMS[text.lower()]
    except KeyError:
        raise InvalidParameter(
            f"explain [{text}] is invalid, it should be one of [true false text json]"
        ) from None
