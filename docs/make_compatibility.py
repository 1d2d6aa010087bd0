"""Writes the tables of types and remote procedures into ``docs/compatibility.md``.

Which there are comes from the protocol's descriptors, and what becomes of each from the
tables of types and of handlers; only the remarks are kept here. ``make reference`` runs
it, and a test compares the page.
"""

from __future__ import annotations

from pathlib import Path

from elanus.schema.types import TYPES
from elanus.server.grpc.handlers import ABSENT, HANDLERS
from elanus.server.grpc.messages import METHODS, message_class

PAGE = Path(__file__).with_name("compatibility.md")
BEGIN = "<!-- methods: written by make reference -->\n"
END = "<!-- end of methods -->\n"
TYPES_BEGIN = "<!-- types: written by make reference -->\n"
TYPES_END = "<!-- end of types -->\n"

TYPE_REMARKS = {
    "ArrayOfStruct": "a struct array, whose fields are of Array and ArrayOfVector",
    "Array": "of the types that say so",
    "String": "refused with Milvus' text: use VarChar",
    "Struct": "the element of a struct array",
    "Text": "needs no setting",
}
# Made of others, so they have no row of their own.
MADE_OF_OTHERS = frozenset({"ArrayOfStruct", "Struct"})

# What differs from Milvus on purpose, or is done in part.
REMARKS = {
    "AddCollectionFunction": "checked, then refused (3000)",
    "AlterCollectionFunction": "checked: functions of BM25 stay as they are",
    "DropCollectionFunction": "checked: functions of BM25 stay as they are",
    "AddCollectionField": "old rows read as the default or null at once; a field of "
    "vectors is searched after the next load",
    "AddCollectionStructField": "old rows read as null at once",
    "AlterCollection": "namespaces are refused (3000); "
    "mmap, warmup, replicas, rates and quotas are kept and told; rows expire by the "
    "second, and isolation changes no answer",
    "AlterCollectionField": "`max_length`, `max_capacity`, description, mmap, warmup",
    "AlterCollectionSchema": "adds and drops fields, drops structs; functions are "
    "refused (3000)",
    "AlterDatabase": "`timezone`, `database.max.collections` and "
    "`database.force.deny.*` act at once; other properties are kept and told",
    "AlterIndex": "kept and told: everything is mapped",
    "Connect": "every credential is accepted",
    "CalcDistance": "code 2, *CalcDistance deprecated*, as Milvus",
    "CreateCollection": "properties without effect here are kept and told; "
    "namespaces and functions but those of BM25 are refused (3000); a "
    "clustering key is kept and told; `query_mode` raises the limits, and every index "
    "serves them",
    "CreateIndex": "FLAT, IVF_FLAT, IVF_SQ8, IVF_PQ, IVF_RABITQ, SCANN, HNSW, "
    "HNSW_SQ, HNSW_PQ, DISKANN, BIN_FLAT, BIN_IVF_FLAT, SPARSE_INVERTED_INDEX, "
    "SPARSE_WAND and "
    "AUTOINDEX, and FAISS where its text names one of those of numbers (`IVF64,Flat`, "
    "`HNSW16,SQ8`); IVF_FLAT_CC, IVF_SQ_CC, HNSW_PRQ, AISAQ, MINHASH_LSH and "
    "GPU_* are refused (3000); DISKANN keeps its codes in memory and reads rows from "
    "disk; those of scalars and JSON paths are built for segments of at least "
    "`Settings.index_rows` rows, and used where they are quicker than a scan",
    "Delete": "a filter that is not of keys needs a loaded collection",
    "DescribeCollection": "an unknown name has code 100 and error code 4",
    "DescribeSegmentIndexData": "code 2, *unimp*, as Milvus",
    "Flush": "complete when it is answered; no rate limit",
    "GetCollectionStatistics": "counts live rows at once, those in memory too",
    "GetFlushAllState": "always true",
    "GetFlushState": "always true",
    "GetIndexStatistics": "as DescribeIndex",
    "GetLoadingProgress": "100 at once",
    "GetPartitionStatistics": "counts live rows at once, those in memory too",
    "GetPersistentSegmentInfo": "a segment holds rows of several partitions; its "
    "partition is -1 then",
    "GetQuerySegmentInfo": "as GetPersistentSegmentInfo, of loaded collections",
    "GetReplicas": "one copy, on node 1",
    "HybridSearch": "any number of searches, RRF and weighted rankers, also as "
    "functions, decay and model functions, boosts in its searches; `ignore_growing` of "
    "each search for itself; function chains are refused (3000)",
    "Insert": "full-length data with nulls is taken, too",
    "LoadCollection": "immediate; of `load_fields` what is left out can not be read; "
    "one replica",
    "ListIndexedSegment": "code 2, *unimp*, as Milvus",
    "LoadBalance": "checked; there is one node, and nothing moves",
    "LoadPartitions": "as LoadCollection",
    "ManualCompaction": "compactions run one by one; the target size bounds the "
    "segments",
    "Query": "rows by `order_by_fields`; groups and aggregates, groups in ascending "
    "order of their keys",
    "RunAnalyzer": "`grpc` tokenizers, file resources, jieba's `_extend_default_` and "
    "lindera's `unidic` and `ipadic-neologd` are refused (3000); stop words of "
    "Chinese, Arabic and Thai are another list than Milvus'",
    "Search": "returns `limit` rows where there are; iterators lose no row of equal "
    "score; `order_by_fields` orders the rows that are returned, after the offset; in "
    "JSON, bools come before numbers before texts; groups are those of the whole "
    "ranking, never fewer than there are, and without `strict_group_size` rows farther "
    "than the nearest one of the last group are left out; JSON values of different "
    "types are different groups; [rerank functions](reranking.md): boosts count among "
    "all rows allowed; with `strict_cast` 1.0 is no whole number; `search_aggregation` "
    "counts the rows that Milvus counts: of the nearest groups as many as the largest "
    "`top_hits` asks for, never fewer than there are; semantic highlighters are "
    "refused (3000)",
    "TransferNode": "the one node can be put into a group, and serves what it did",
    "TransferReplica": "refused (3000) where a copy would leave the only node",
    "Upsert": "replaces the key's rows in all partitions, auto ids by new ones; "
    "a partial update finds and changes its rows with no write between",
}
DONE = "done"
REFUSED = "not built: code 10, *service unimplemented*"
UNKNOWN = "gRPC's UNIMPLEMENTED, as Milvus"


def state_of(method: str) -> str:
    """What becomes of a call."""
    if method in HANDLERS:
        return DONE
    return UNKNOWN if method in ABSENT else REFUSED


def table() -> str:
    """One row per method of the protocol."""
    lines = ["| method | state | remark |", "| --- | --- | --- |"]
    for method in sorted(METHODS):
        lines.append(f"| {method} | {state_of(method)} | {REMARKS.get(method, '')} |")
    n_done = sum(method in HANDLERS for method in METHODS)
    head = f"{n_done} of the protocol's {len(METHODS)} methods are done.\n\n"
    return head + "\n".join(lines) + "\n"


def type_table() -> str:
    """One row per type of the protocol."""
    field = message_class("schema.FieldSchema").DESCRIPTOR.fields_by_name["data_type"]
    rows = {int(dtype): row for dtype, row in TYPES.items()}
    lines = [
        "| type | number | state | primary key | partition key | default | in an array "
        "| remark |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for value in field.enum_type.values:
        if not value.number:
            continue
        row = rows.get(value.number)
        is_done = row is not None or value.name in MADE_OF_OTHERS
        marks = [
            "yes" if row is not None and allowed else ""
            for allowed in (
                row is not None and row.can_be_pk,
                row is not None and row.can_be_partition_key,
                row is not None and row.can_default,
                row is not None and row.can_be_element,
            )
        ]
        state = "done" if is_done else "refused: code 1100"
        cells = [value.name, value.number, state, *marks]
        lines.append(
            f"| {' | '.join(map(str, cells))} | {TYPE_REMARKS.get(value.name, '')} |"
        )
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page, its tables renewed."""
    text = PAGE.read_text(encoding="utf-8")
    text = _renewed(text, TYPES_BEGIN, type_table(), TYPES_END)
    return _renewed(text, BEGIN, table(), END)


def _renewed(text: str, begin: str, content: str, end: str) -> str:
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
