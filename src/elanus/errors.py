"""Every error Elanus raises, as one tree.

A class exists only where a caller would act differently. Each carries Milvus' wire
code, so the wire layers need no table of their own. Code numbers and texts follow
Milvus' ``merr`` package; the shape of a message is
``<context>: <text>[key=value][key=value]``.
"""

from __future__ import annotations

from typing import ClassVar


class ElanusError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        code: Milvus' error code, sent on the wire.
        retriable: whether the same call may succeed later without a change.
        is_input_error: whether the caller can mend it by asking differently.
        rows_refused: rows of the write that it ended.
    """

    code: ClassVar[int] = 65535
    retriable: ClassVar[bool] = False
    is_input_error: ClassVar[bool] = False
    rows_refused: int = 0

    def within(self, context: str) -> ElanusError:
        """The same error with ``context`` put in front of its message."""
        wrapped = type(self).__new__(type(self))
        Exception.__init__(wrapped, f"{context}: {self}")
        wrapped.__dict__.update(self.__dict__)
        return wrapped


class InternalError(ElanusError):
    """A broken invariant of ours. Report it; nothing the caller did is at fault."""

    code = 5


# --- requests: the caller can mend these -------------------------------------


class RequestError(ElanusError):
    """The request cannot be served as it stands; change it."""

    code = 1100
    is_input_error = True


class InvalidParameter(RequestError):
    """A value is outside what is allowed. The message says what is allowed."""

    code = 1100

    def __init__(
        self, message: str = "", *, expected: object = None, actual: object = None
    ) -> None:
        text = f"{message}: invalid parameter" if message else "invalid parameter"
        if expected is not None or actual is not None:
            text += f"[expected={expected}][actual={actual}]"
        super().__init__(text)

    @classmethod
    def out_of_range(
        cls, message: str, value: object, low: object, high: object
    ) -> InvalidParameter:
        """The error of a number that has to lie in ``[low, high]``."""
        error = cls(message)
        error.args = (f"{error}[{value} out of range {low} <= value <= {high}]",)
        return error


class MissingParameter(RequestError):
    """A required value was not given."""

    code = 1101

    def __init__(self, message: str = "", *, missing: str | None = None) -> None:
        text = f"{message}: missing parameter" if message else "missing parameter"
        if missing is not None:
            text += f"[missing_param={missing}]"
        super().__init__(text)


class ParameterTooLarge(RequestError):
    """The request is larger than a limit; split it."""

    code = 1102

    def __init__(self, message: str) -> None:
        super().__init__(f"parameter too large[message={message}]")


class UnsupportedOperation(RequestError):
    """Elanus does not do this; ``docs/compatibility.md`` lists what it does."""

    code = 3000
    is_input_error = False

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}: unsupported operation")


class IllegalSchema(RequestError):
    """The schema contradicts itself."""

    code = 105

    def __init__(self, message: str, collection: str) -> None:
        super().__init__(
            f"{message}: illegal collection schema[collection={collection}]"
        )


class VectorClusteringKey(RequestError):
    """A vector cannot be the clustering key; choose a scalar field."""

    code = 107

    def __init__(self, collection: str) -> None:
        super().__init__(f"vector clustering key not allowed[collection={collection}]")


class CollectionLoaded(RequestError):
    """This cannot be changed while the collection is loaded; release it first."""

    code = 104

    def __init__(self, message: str, collection: str) -> None:
        super().__init__(
            f"{message}: collection already loaded[collection={collection}]"
        )


class CollectionNotFound(RequestError):
    """No collection has this name. Create it, or correct the name."""

    code = 100

    def __init__(self, collection: object, database: str = "default") -> None:
        place = f"[database={database}]" if database else ""
        super().__init__(f"collection not found{place}[collection={collection}]")


class CollectionUnknown(CollectionNotFound):
    """Nothing to describe: no collection has this name."""

    def __init__(self, collection: object, database: str = "default") -> None:
        Exception.__init__(
            self,
            f"can't find collection[database={database}][collection={collection}]",
        )


class TooManyCollections(RequestError):
    """The limit on collections is reached; drop some."""

    code = 102

    def __init__(self, database: str, limit: int) -> None:
        super().__init__(
            f"exceeded the limit number of collections[dbName={database}]"
            f"[limit={limit}]"
        )


class SchemaMismatch(RequestError):
    """The caller knows another schema than the current one; ask for it again."""

    code = 109

    def __init__(self, collection: str) -> None:
        super().__init__(f"collection schema mismatch[collection={collection}]")


class CollectionNotLoaded(ElanusError):
    """The collection is released; load it before reading."""

    code = 101

    def __init__(self, collection: object) -> None:
        super().__init__(f"collection not loaded[collection={collection}]")


class CollectionNotFullyLoaded(ElanusError):
    """The collection is not loaded; load it first."""

    code = 103
    retriable = True

    def __init__(self, collection: object) -> None:
        super().__init__(f"collection not fully loaded[collection={collection}]")


class PartitionNotFound(RequestError):
    """The collection has no partition by this name."""

    code = 200

    def __init__(self, partition: str) -> None:
        super().__init__(f"partition not found[partition={partition}]")


class PartitionNotLoaded(ElanusError):
    """The partition is released; load it before reading."""

    code = 201

    def __init__(self, partition: object) -> None:
        super().__init__(f"partition not loaded[partition={partition}]")


class AliasNotFound(RequestError):
    """The database has no alias by this name."""

    code = 1600

    def __init__(self, alias: str, database: str) -> None:
        super().__init__(f"alias not found[database={database}][alias={alias}]")


class AliasConflict(RequestError):
    """An alias and a collection cannot have the same name; choose another."""

    code = 1601

    def __init__(self, alias: str, database: str, message: str = "") -> None:
        prefix = f"{message}: " if message else ""
        super().__init__(
            f"{prefix}alias and collection name conflict[database={database}]"
            f"[alias={alias}]"
        )


class AliasExists(ElanusError):
    """The alias stands for another collection; alter or drop it."""

    code = 1602

    def __init__(self, alias: str, database: str, collection: str) -> None:
        super().__init__(
            f"{alias} is alias to another collection: {collection}: alias already "
            f"exist[database={database}][alias={alias}]"
        )


class DatabaseNotFound(RequestError):
    """No database has this name."""

    code = 800

    def __init__(self, database: str) -> None:
        super().__init__(f"database not found[database={database}]")


class TooManyDatabases(ElanusError):
    """The limit on databases is reached; drop some."""

    code = 801
    is_input_error = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"exceeded the limit number of database[limit={limit}]")


class DatabaseNameInvalid(RequestError):
    """The database name breaks the naming rules."""

    code = 802

    def __init__(self, message: str, database: str) -> None:
        super().__init__(f"{message}: invalid database name[database={database}]")


class ResourceGroupNotFound(RequestError):
    """No resource group has this name."""

    code = 300

    def __init__(self, group: str) -> None:
        super().__init__(f"resource group not found[rg={group}]")


class ResourceGroupExists(RequestError):
    """A resource group of this name has other bounds; update it instead."""

    code = 301

    def __init__(self, group: str) -> None:
        super().__init__(
            f"resource group already exist, but create with different config"
            f"[rg={group}]"
        )


class ResourceGroupsTooMany(RequestError):
    """The limit on resource groups is reached; drop some."""

    code = 302

    def __init__(self, group: str, limit: int) -> None:
        super().__init__(f"resource group num reach limit[rg={group}][limit={limit}]")


class ResourceGroupConfigIllegal(RequestError):
    """The bounds of a resource group contradict each other."""

    code = 303

    def __init__(self, group: str, reason: str) -> None:
        super().__init__(f"resource group illegal config[rg={group}]: {reason}")


class ResourceGroupLacksNodes(ElanusError):
    """The resource group has fewer nodes than are to be moved."""

    code = 304

    def __init__(self, group: str, current: int, wanted: int) -> None:
        super().__init__(
            f"resource group node not enough[rg={group}][currentNodeNum={current}]"
            f"[expectedNodeNum={wanted}]"
        )


class NodeNotFound(ElanusError):
    """There is no node of this number; the only one is 1."""

    code = 901

    def __init__(self, node: int, message: str = "") -> None:
        prefix = f"{message}: " if message else ""
        super().__init__(f"{prefix}node not found[node={node}]")


class SegmentNotFound(ElanusError):
    """The collection has no such segment."""

    code = 600

    def __init__(self, segment: int, message: str = "") -> None:
        prefix = f"{message}: " if message else ""
        super().__init__(f"{prefix}segment not found[segment={segment}]")


class ServiceUnavailable(ElanusError):
    """Milvus does not answer this call any more, and neither does Elanus."""

    code = 2
    retriable = True

    def __init__(self, message: str) -> None:
        super().__init__(f"service unavailable: {message}")


class IndexNotFound(ElanusError):
    """The field has no index by this name. Create it, or correct the name."""

    code = 700

    def __init__(self, *, index: str | None = None, collection: str = "") -> None:
        key = f"indexName={index}" if index is not None else f"collection={collection}"
        super().__init__(f"index not found[{key}]")


class IndexAmbiguous(RequestError):
    """Several indexes could be meant; name one."""

    code = 702

    def __init__(self, index: str, message: str = "") -> None:
        prefix = f"{message}: " if message else ""
        super().__init__(f"{prefix}index duplicates[indexName={index}]")


class FieldNotFound(RequestError):
    """The schema has no field by this name."""

    code = 1700

    def __init__(self, field: str, message: str = "") -> None:
        prefix = f"{message}: " if message else ""
        super().__init__(f"{prefix}field not found[field={field}]")


class FieldNameInvalid(ElanusError):
    """The field name breaks the naming rules."""

    code = 1701

    def __init__(self, message: str, field: str) -> None:
        super().__init__(f"{message}: field name invalid[field={field}]")


class QueryPlanError(InvalidParameter):
    """The filter expression cannot be parsed or bound."""


class NotAuthenticated(ElanusError):
    """The credential is missing or wrong."""

    code = 1400
    is_input_error = True


class PermissionDenied(ElanusError):
    """The user lacks the privilege; an administrator can grant it."""

    code = 1401
    is_input_error = True


# --- state of the server or the database --------------------------------------


class RateLimited(ElanusError):
    """Writers are ahead of background work; wait a moment and repeat the call."""

    code = 8
    retriable = True

    def __init__(self, message: str, rate: object = 0) -> None:
        super().__init__(f"{message}: rate limit exceeded[rate={rate}]")


class AccessDisabled(ElanusError):
    """The database's properties forbid calls of this kind; alter the database first."""

    code = 9

    def __init__(self) -> None:
        super().__init__(
            "quota exceeded[reason=access has been disabled by the administrator]"
        )


class ResourcesInsufficient(ElanusError):
    """One node cannot hold as many replicas; ask for one."""

    code = 12
    retriable = True

    def __init__(self, replicas: int) -> None:
        super().__init__(
            f"when load {replicas} replica count: service resource insufficient"
            f"[currentStreamingNode=1][expectedStreamingNode={replicas}]"
        )


class DeadlineExceeded(ElanusError):
    """The caller's time was over before the work began."""

    code = 10001


class Cancelled(ElanusError):
    """The caller or a shutdown cancelled the work before it finished."""

    code = 10000


class ModelServiceFailed(ElanusError):
    """A model service gave no answer, or no sense. Ask again, or look after it."""

    code = 65535
    retriable = True

    def __init__(self, problem: str) -> None:
        super().__init__(f"call service failed: {problem}")


class ClosedError(ElanusError):
    """The database is closed; open it again."""

    code = 2

    def __init__(self, what: str) -> None:
        super().__init__(f"service unavailable: {what} is closed, open it again")


class LockedError(ElanusError):
    """Another process or handle has the folder open. Close it there first."""

    code = 2


class ReadOnlyError(ElanusError):
    """The database takes no writes: opened read-only, or after a failed sync."""

    code = 9

    def __init__(self, reason: str) -> None:
        super().__init__(f"quota exceeded[reason={reason}]")


class StorageError(ElanusError):
    """The operating system refused a read, write or sync of the file named."""

    code = 1001


class UnknownOutcome(StorageError):
    """A sync failed, so the write may or may not survive. Reopen and look."""


class DiskFull(StorageError):
    """No space left. Free some and repeat the call; reads go on meanwhile."""

    code = 7


class CorruptionError(StorageError):
    """A file fails its checksum or size. The message names the file and the place.

    Column and log files must be restored from a backup; an index file is dropped and
    rebuilt by Elanus itself.
    """

    code = 1009

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"data integrity check failed: {file}: {problem}")
        self.file = file
        self.problem = problem


class FormatError(StorageError):
    """The folder or file is not ours, or was written by a newer version."""
