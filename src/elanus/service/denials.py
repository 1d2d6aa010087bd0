"""What a database's administrator has switched off, by properties of the database."""

from __future__ import annotations

from elanus.errors import AccessDisabled
from elanus.service import requests as r
from elanus.service.core import Core
from elanus.service.requests_explain import Explain

_PREFIX = "database.force.deny."
_EVERY_DDL = f"{_PREFIX}ddl"
_KINDS: dict[str, tuple[type[r.Request], ...]] = {
    "writing": (r.Insert, r.Upsert, r.Delete),
    "reading": (r.Search, r.HybridSearch, r.Query, Explain),
    "collectionDDL": (
        r.CreateCollection,
        r.DropCollection,
        r.LoadCollection,
        r.ReleaseCollection,
    ),
    "partitionDDL": (
        r.CreatePartition,
        r.DropPartition,
        r.LoadPartitions,
        r.ReleasePartitions,
    ),
    "index": (r.CreateIndex, r.DropIndex),
    "flush": (r.Flush,),
    "compaction": (r.ManualCompaction,),
}
_KEYS: dict[type[r.Request], tuple[str, ...]] = {
    kind: (_PREFIX + name,)
    if name in ("writing", "reading")
    else (_PREFIX + name, _EVERY_DDL)
    for name, kinds in _KINDS.items()
    for kind in kinds
}


def check_permitted(core: Core, request: r.Request) -> None:
    """Raise unless a request's database permits requests of its kind.

    Raises:
        AccessDisabled: alter the database's property.
    """
    keys = _KEYS.get(type(request))
    if keys is None:
        return
    assert isinstance(request, r.DatabaseRequest)
    properties = core.database.directory.properties_of(request.database)
    if properties and any(properties.get(key, "").lower() == "true" for key in keys):
        raise AccessDisabled
