"""Properties of an index that may change after its creation; kept to be told back."""

from __future__ import annotations

from dataclasses import replace

from elanus.database.alteration import alter
from elanus.engine.definition import CollectionDefinition, IndexDefinition
from elanus.errors import CollectionLoaded, IndexNotFound, InvalidParameter
from elanus.service import requests_alter as r
from elanus.service.core import Core
from elanus.service.indexes import told_params
from elanus.service.replies import Done
from elanus.service.warmup import WARMUP, check_warmup

OFFSET_CACHE = "indexoffsetcache.enabled"
_KEYS = frozenset({"mmap.enabled", OFFSET_CACHE, WARMUP})


def alter_index(core: Core, request: r.AlterIndex) -> Done:
    """Set properties of an index, or delete some.

    Raises:
        InvalidParameter: a property cannot be changed, or not to this value.
        CollectionLoaded: release it first.
        CollectionNotFound, IndexNotFound.
    """
    given, gone = dict(request.properties), request.delete_keys
    if not request.index:
        raise InvalidParameter("index name is empty")
    if given and gone:
        raise InvalidParameter("cannot provide both DeleteKeys and ExtraParams")
    for key in (*given, *gone):
        if key not in _KEYS:
            raise InvalidParameter(f"{key} is not a configable index property")
    if WARMUP in given:
        check_warmup(WARMUP, given[WARMUP])
    collection = core.collection(request)
    if collection.definition.loaded is not None:
        raise CollectionLoaded(
            "can't alter index on loaded collection, please release the collection "
            "first",
            collection.definition.name,
        )

    def change(old: CollectionDefinition) -> CollectionDefinition:
        index = _named(old, request.index)
        if OFFSET_CACHE in given and index.index_type != "BITMAP":
            raise InvalidParameter(
                f"invalid offset cache index params: only bitmap index support "
                f"{OFFSET_CACHE} now"
            )
        kept = {k: v for k, v in told_params(index).items() if k not in gone}
        return _with(old, replace(index, given={**kept, **given}))

    alter(core.database, collection, change)
    return Done()


def _named(definition: CollectionDefinition, name: str) -> IndexDefinition:
    for index in definition.all_indexes:
        if index.name == name:
            return index
    raise IndexNotFound(index=name)


def _with(old: CollectionDefinition, changed: IndexDefinition) -> CollectionDefinition:
    if not changed.path:
        return replace(old, indexes={**old.indexes, changed.field_id: changed})
    paths = tuple(changed if i.id == changed.id else i for i in old.path_indexes)
    return replace(old, path_indexes=paths)
