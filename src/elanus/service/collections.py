"""Operations on collections: what they are, and what of them is loaded."""

from __future__ import annotations

from elanus.database import resource_groups
from elanus.database.creation import NewCollection
from elanus.database.loading import (
    load_collection as load_whole,
)
from elanus.database.loading import (
    loaded_partitions,
)
from elanus.database.loading import (
    release_collection as release_whole,
)
from elanus.engine.collection import Collection
from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.plan import QueryRequest
from elanus.errors import (
    CollectionNotFound,
    CollectionNotLoaded,
    CollectionUnknown,
    ElanusError,
    IndexNotFound,
    InvalidParameter,
    MissingParameter,
    PartitionNotLoaded,
    RequestError,
    ResourcesInsufficient,
)
from elanus.schema import limits
from elanus.schema.names import check_collection_name
from elanus.schema.schema import CollectionSchema
from elanus.service import requests as r
from elanus.service import requests_admin as rn
from elanus.service.altered_properties import consistency_level
from elanus.service.core import Core
from elanus.service.properties import check_collection_properties, shown_properties
from elanus.service.replies import (
    CollectionEntry,
    CollectionInfo,
    CollectionList,
    Done,
    Flag,
    Loaded,
    LoadingProgress,
    LoadState,
    Statistics,
)
from elanus.service.replies_admin import CollectionInfos
from elanus.service.skipped_load import check_skipped_loads
from elanus.service.times import told_schema
from elanus.service.warmup import check_field_warmup

DONE = Done()


def create_collection(core: Core, request: r.CreateCollection) -> Done:
    """Create a collection; once more does no harm.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid, IllegalSchema.
        DatabaseNotFound, AliasConflict, TooManyCollections, UnsupportedOperation.
    """
    name = request.collection
    shards = request.shards or 1
    if not 0 < shards <= limits.SHARDS:
        raise InvalidParameter(
            f"maximum shards's number should be limited to {limits.SHARDS}"
        )
    check_collection_name(name)
    _check_partitions(request)
    for field in request.schema.fields:
        check_field_warmup(field)
    check_skipped_loads(request.schema.fields)
    if request.schema_name not in ("", name):
        raise InvalidParameter(
            f"collection name = {name}, schema.Name={request.schema_name}",
            expected="collection name matches schema name",
            actual="don't match",
        )
    core.database.create_collection(
        NewCollection(
            name,
            request.schema,
            request.is_dynamic,
            database=request.database,
            shards=shards,
            consistency_level=consistency_level(str(request.consistency_level)),
            properties=check_collection_properties(
                request.schema, request.properties, name
            ),
            partitions=request.partitions,
        )
    )
    return DONE


def _check_partitions(request: r.CreateCollection) -> None:
    number = request.partitions
    if any(field.is_partition_key for field in request.schema.fields):
        if number < 0:
            raise InvalidParameter(
                "the specified partitions should be greater than 0 if partition key is "
                "used"
            )
        if number > limits.PARTITIONS:
            raise InvalidParameter(
                f"partition number ({number}) exceeds max configuration "
                f"({limits.PARTITIONS})"
            )
    elif number:
        raise InvalidParameter(
            "num_partitions should only be specified with partition key field enabled"
        )


def drop_collection(core: Core, request: r.DropCollection) -> Done:
    """Drop a collection; nothing happens if there is none.

    Raises:
        InvalidParameter: it is an alias, or has some.
    """
    name, directory = request.collection, core.database.directory
    check_collection_name(name)
    if not directory.has_database(request.database):
        return DONE
    try:
        collection = core.collection(request)
    except CollectionNotFound:
        return DONE
    if collection.definition.name != name:
        raise InvalidParameter(f"cannot drop the collection via alias = {name}")
    aliases = directory.aliases_of(collection)
    if aliases:
        raise InvalidParameter(
            f"unable to drop the collection [{name}] because it has associated aliases "
            f"[{' '.join(aliases)}], please remove all aliases before dropping the "
            f"collection"
        )
    core.database.drop_collection(collection)
    return DONE


def has_collection(core: Core, request: r.HasCollection) -> Flag:
    """Whether a collection, by name or alias, exists."""
    try:
        core.collection(request)
    except CollectionNotFound:
        return Flag(False)
    return Flag(True)


def describe_collection(core: Core, request: r.DescribeCollection) -> CollectionInfo:
    """What a collection is like.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionUnknown.
    """
    if not request.collection and request.collection_id:
        collection = core.numbered(request.collection_id)
    else:
        try:
            collection = core.collection(request)
        except CollectionNotFound as error:
            raise CollectionUnknown(request.collection, request.database) from error
    definition = collection.definition
    directory = core.database.directory
    database = directory.database_of(collection)
    return CollectionInfo(
        name=definition.name,
        requested=request.collection or definition.name,
        id=definition.id,
        schema=told_schema(definition.schema, definition.zone),
        database=database.name,
        database_id=database.id,
        created_ts=definition.created_ts,
        updated_ts=definition.updated_ts,
        aliases=tuple(directory.aliases_of(collection)),
        shards=definition.shards,
        partitions=len(definition.partitions),
        consistency_level=definition.consistency_level,
        properties=shown_properties(definition),
    )


def batch_describe(core: Core, request: rn.BatchDescribeCollection) -> CollectionInfos:
    """What several collections are like; one that there is not has its error.

    Raises:
        MissingParameter: none is named.
    """
    if not request.names:
        raise MissingParameter("collection names cannot be empty")
    answers: list[CollectionInfo | ElanusError] = []
    for name in request.names:
        try:
            asked = r.DescribeCollection(request.database, name)
            answers.append(describe_collection(core, asked))
        except RequestError as error:
            answers.append(error)
    return CollectionInfos(tuple(answers))


def show_collections(core: Core, request: r.ShowCollections) -> CollectionList:
    """The collections of a database, oldest first.

    Raises:
        DatabaseNotFound.
        CollectionNotLoaded: a named one is not, and only loaded ones are asked for.
    """
    directory = core.database.directory
    chosen = directory.collections(directory.database(request.database).id)
    if request.names:
        named = {core.named(name, request.database).id: name for name in request.names}
        chosen = [c for c in chosen if c.id in named]
        for collection in chosen:
            if request.in_memory and collection.definition.loaded is None:
                raise CollectionNotLoaded(named[collection.id])
    if request.in_memory:
        chosen = [c for c in chosen if c.definition.loaded is not None]
    percent = 100 if request.in_memory else None
    return CollectionList(tuple(_entry(c.definition, percent) for c in chosen))


def _entry(definition: CollectionDefinition, percent: int | None) -> CollectionEntry:
    return CollectionEntry(
        definition.name,
        definition.id,
        definition.created_ts,
        definition.shards,
        percent,
    )


def collection_statistics(core: Core, request: r.GetCollectionStatistics) -> Statistics:
    """How many rows there are, those deleted left out."""
    return row_count(core.collection(request), ())


def row_count(collection: Collection, partitions: tuple[str, ...]) -> Statistics:
    """Rows of a collection, or of some of its partitions, as statistics."""
    request = QueryRequest(partitions=partitions)
    rows = collection.count(collection.pin(), request)
    return Statistics({"row_count": str(rows)})


def rename_collection(core: Core, request: r.RenameCollection) -> Done:
    """Give a collection another name.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionNotFound, AliasConflict.
    """
    new, name = request.new_name, request.collection
    if not new:
        raise InvalidParameter("new collection name should not be empty")
    check_collection_name(new)
    place = request.new_database or request.database
    if new == name and place == request.database:
        raise InvalidParameter("collection name or database name should be different")
    core.database.directory.database(place)
    collection = core.collection(request)
    if collection.definition.name != name:
        raise InvalidParameter(
            f"unsupported use an alias to rename collection, alias:{name}"
        )
    core.database.rename_collection(collection, new, place)
    return DONE


def truncate_collection(core: Core, request: r.TruncateCollection) -> Done:
    """Remove every row.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionNotFound.
    """
    core.database.truncate(core.collection(request))
    return DONE


# --- loading ------------------------------------------------------------------------


def load_collection(core: Core, request: r.LoadCollection) -> Done:
    """Make a collection readable; once more may change the fields loaded.

    Raises:
        CollectionNotFound, IndexNotFound, InvalidParameter, ResourcesInsufficient.
    """
    collection = core.collection(request)
    check_replicas(core, request.options, "LoadCollection")
    fields = fields_to_load(collection, request.options)
    load_whole(core.database, collection, fields)
    return DONE


def check_replicas(core: Core, options: r.LoadOptions, operation: str) -> None:
    """Raise unless one node can hold the replicas asked for.

    Raises:
        ResourcesInsufficient: more than one.
        ResourceGroupNotFound: in a group that there is not.
    """
    for group in options.resource_groups:
        resource_groups.group(core.database, group)
    if options.replicas > 1:
        raise ResourcesInsufficient(options.replicas).within(
            f"call query coordinator {operation}"
        )


def fields_to_load(collection: Collection, options: r.LoadOptions) -> tuple[str, ...]:
    """Names of the fields to load, when they and their indexes suffice.

    Raises:
        IndexNotFound: there is no index at all.
        InvalidParameter: a field is missing, or a vector field's index.
    """
    definition = collection.definition
    fields = _named_fields(definition.schema, options.fields)
    if not definition.indexes:
        raise IndexNotFound(collection=definition.name)
    bare = [
        vector.name
        for vector in definition.schema.vectors
        if vector.id not in definition.indexes
        and (not fields or vector.name in fields or vector.struct in fields)
    ]
    if bare:
        raise InvalidParameter(
            f"there is no vector index on field: [{' '.join(bare)}], please create "
            f"index firstly"
        )
    dynamic = definition.schema.dynamic
    if not fields and options.skip_dynamic and dynamic is not None:
        return tuple(f.name for f in definition.schema.visible)
    if fields and dynamic is not None and not options.skip_dynamic:
        return tuple(dict.fromkeys((*fields, dynamic.name)))
    return fields


def _named_fields(schema: CollectionSchema, names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    for name in names:
        if name not in schema.by_name and name not in schema.parts:
            raise InvalidParameter(
                f"failed to get field schema by name: fieldName({name}) not found"
            )
    listed = f"load field list [{' '.join(names)}] does not contain"
    if schema.primary.name not in names:
        raise InvalidParameter(f"{listed} primary key field {schema.primary.name}")
    chosen = [f for f in schema.fields if f.name in names or f.struct in names]
    if not any(field.is_vector for field in chosen):
        raise InvalidParameter(f"{listed} vector field")
    for field in schema.fields:
        if field.name in names:
            continue
        if field.is_partition_key:
            raise InvalidParameter(f"{listed} partition key field {field.name}")
        if field.is_clustering_key:
            raise InvalidParameter(f"{listed} clustering key field {field.name}")
    return names


def release_collection(core: Core, request: r.ReleaseCollection) -> Done:
    """Make a collection unreadable; nothing happens if it is so already."""
    release_whole(core.database, core.collection(request))
    return DONE


def get_load_state(core: Core, request: r.GetLoadState) -> Loaded:
    """Whether a collection, or all partitions named, are loaded.

    Raises:
        PartitionNotFound, DatabaseNotFound.
    """
    try:
        definition = core.collection(request).definition
    except CollectionNotFound:
        return Loaded(LoadState.NOT_EXIST)
    named = {definition.partition_id(name) for name in request.partitions}
    is_loaded = definition.loaded is not None and named <= loaded_partitions(definition)
    return Loaded(LoadState.LOADED if is_loaded else LoadState.NOT_LOADED)


def get_loading_progress(core: Core, request: r.GetLoadingProgress) -> LoadingProgress:
    """How much is loaded: all of it, since loading is immediate.

    Raises:
        CollectionNotFound, PartitionNotFound.
        CollectionNotLoaded, PartitionNotLoaded: nothing is under way.
    """
    definition = core.collection(request).definition
    named = [definition.partition_id(name) for name in request.partitions]
    need_loaded(definition, named)
    return LoadingProgress(100, 100)


def need_loaded(definition: CollectionDefinition, partitions: list[int]) -> None:
    """Raise unless a collection, and these of its partitions, are loaded.

    Raises:
        CollectionNotLoaded, PartitionNotLoaded: load it first.
    """
    if definition.loaded is None:
        raise CollectionNotLoaded(definition.id)
    if partitions:
        loaded = loaded_partitions(definition)
        for partition in partitions:
            if partition not in loaded:
                raise PartitionNotLoaded(partition)
