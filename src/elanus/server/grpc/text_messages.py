"""Messages about analyzers."""

from __future__ import annotations

from elanus.server.grpc.encode import reply_bytes, reply_message
from elanus.server.grpc.messages import Message, message_class
from elanus.service.replies_text import AnalyzedTexts, AnalyzedToken, PhraseSlops
from elanus.service.requests import Request
from elanus.service.requests_text import ComputePhraseMatchSlop, RunAnalyzer


def run_analyzer(message: Message, database: str) -> Request:
    """``RunAnalyzerRequest``."""
    return RunAnalyzer(
        message.db_name or database,
        message.collection_name,
        texts=tuple(message.placeholder),
        description=message.analyzer_params,
        field=message.field_name,
        analyzers=tuple(message.analyzer_names),
        has_detail=message.with_detail,
        has_hash=message.with_hash,
    )


def analyzed(reply: AnalyzedTexts) -> bytes:
    """``RunAnalyzerResponse``."""
    result = message_class("milvus.AnalyzerResult")
    results = [result(tokens=map(_token, tokens)) for tokens in reply.texts]
    return reply_bytes(reply_message("RunAnalyzerResponse", results=results))


def _token(token: AnalyzedToken) -> Message:
    return message_class("milvus.AnalyzerToken")(
        token=token.text,
        start_offset=token.start,
        end_offset=token.end,
        position=token.position,
        position_length=token.length,
        hash=token.hash,
    )


def compute_slops(message: Message, database: str) -> Request:
    """``ComputePhraseMatchSlopRequest``."""
    return ComputePhraseMatchSlop(
        message.analyzer_params, message.query_text, tuple(message.data_texts)
    )


def slops(reply: PhraseSlops) -> bytes:
    """``ComputePhraseMatchSlopResponse``; the slop of a text that cannot match is 0."""
    message = reply_message(
        "ComputePhraseMatchSlopResponse",
        is_match=[slop is not None for slop in reply.slops],
        slops=[slop or 0 for slop in reply.slops],
    )
    return reply_bytes(message)
