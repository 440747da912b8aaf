"""The exceptions of the core. Those of other parts derive from the same root.

.. code-block:: text

    SessionstreamError
    ├── SchemaError                    a registration, a name or a payload does not fit the registry
    │   ├── InvalidNameError           a name is empty or not a string
    │   ├── UnknownSchemaError         nothing is registered under this name
    │   ├── DuplicateSchemaError       something is registered under this name already
    │   ├── PayloadTypeError           the payload is another message, or not a message
    │   │   └── PayloadValueError      it holds a value that has no JSON form
    │   ├── PayloadDecodeError         the bytes or the JSON are not such a message
    │   └── StructPayloadError         a top-level google.protobuf.Struct
    ├── InvalidIdError                 a session, event or entity id that not every store can keep
    ├── CommandError
    │   ├── UnknownCommandError        no handler is registered
    │   ├── DuplicateCommandError      a handler is registered already
    │   ├── CommandConflict            an idempotency key was used before for another command
    │   └── CommandUnfinished          the command with this idempotency key ended before it had finished
    ├── ProjectionError                a projection failed; its session is held
    ├── SessionHeld                    an earlier event still holds the session; this one waits in the log
    ├── HubError
    │   ├── HubClosed
    │   ├── LaneReentryError           a projection made a call that would wait for itself
    │   └── EventLoopError             a call from another event loop than the hub's
    ├── StoreError
    │   ├── OrdinalConflict            another writer moved the session first
    │   ├── OrdinalExhausted           no ordinal is left
    │   ├── EventConflict              an event id was used before for another event
    │   ├── HistoryPruned              that part of the history was pruned
    │   ├── Unstorable                 the store can never keep this
    │   ├── CommitUnknown              whether a change was stored is not known
    │   ├── StoreClosed
    │   ├── StoreDamaged               its file holds values that it did not write
    │   ├── StoreLost                  its file was deleted or replaced while it was open
    │   └── StoreUpgraded              its file was migrated to another version while it was open
    ├── BusError
    └── TransportError

The attributes of an error are part of its contract; the wording of its message is not.
"""

from __future__ import annotations

from reprlib import Repr
from typing import TYPE_CHECKING, Any, Final

from sessionstream.tracebacks import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessionstream.types import Event


def _revive(cls: type[SessionstreamError], args: tuple[object, ...]) -> SessionstreamError:
    error = cls.__new__(cls, *args)
    error.args = args
    return error


def error_text(error: BaseException) -> str:
    """Return an exception's type and message, as error records show them; never raises."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as failure:  # noqa: BLE001 - a __str__ that fails must not hide its error
        return f"{type(error).__name__} (whose message raised {type(failure).__name__})"


class SessionstreamError(Exception):
    """The root of all exceptions that this library raises on purpose."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...], dict[str, object]]:
        return _revive, (type(self), self.args), self.__dict__


def _first(name: object, register: str) -> str:
    """Return what to do about an unknown name: register it, if that is possible."""
    usable = isinstance(name, str) and name and not name.isspace()
    return register if usable else "give the name of one that is, a non-empty string"


class SchemaError(SessionstreamError):
    """A registration, a name or a payload does not fit the schema registry.

    Attributes:
        family: ``"command"``, ``"event"``, ``"ui event"`` or ``"timeline entity"``.
        name: the logical name concerned.
        ordinal: of the stored event that could not be read, or 0.
    """

    def __init__(self, message: str, *, family: str, name: object) -> None:
        super().__init__(message)
        self.ordinal = 0
        self.family = family
        self.name = name


class InvalidNameError(SchemaError):
    """A logical name is empty, blank or not a string."""

    def __init__(self, family: str, name: object) -> None:
        super().__init__(
            f"{family} name {name!r} is not usable: give a non-empty string without NUL or lone "
            f"surrogates, one that stays the same for as long as its data is kept",
            family=family,
            name=name,
        )


class UnknownSchemaError(SchemaError):
    """Nothing is registered under this name, or the stored payload's type is registered nowhere.

    Attributes:
        payload_type: full name of the stored message, if the error came from a store; else ``""``.
        clash: how a registered message of that name differs from the stored one, so that it cannot be read; else
            ``""``.
        names: every name that is not registered; always one, except when a hub starts.
    """

    def __init__(
        self, family: str, name: str, *, payload_type: str = "", clash: str = "", others: Sequence[str] = ()
    ) -> None:
        method = f"register_{family.replace(' ', '_')}"
        if clash:
            message = (
                f"{family} {name!r} is stored as another {payload_type} than the one that is registered: {clash}; give "
                f"a field that has changed its type a new number, or the message a new name"
            )
        elif payload_type:
            message = (
                f"{family} {name!r} is stored as {payload_type}, which this registry does not know: "
                f"register it again with {method}({name!r}, …)"
            )
        else:
            way_out = _first(name, f"call {method}({name!r}, …) of the schema registry first")
            nor = f", nor {'is' if len(others) == 1 else 'are'} {', '.join(map(repr, others))}" if others else ""
            message = f"{family} {name!r} is not registered{nor}: {way_out}"
        super().__init__(message, family=family, name=name)
        self.names: tuple[str, ...] = (name, *others)
        self.payload_type = payload_type
        self.clash = clash


class DuplicateSchemaError(SchemaError):
    """The name is already registered in its family.

    Attributes:
        existing: full name of the message already registered.
        offender: full name of the message that was refused.
    """

    def __init__(self, family: str, name: str, *, existing: str, offender: str) -> None:
        super().__init__(
            f"{family} {name!r} is registered already, as {existing}; {offender} needs another name",
            family=family,
            name=name,
        )
        self.existing = existing
        self.offender = offender


class PayloadTypeError(SchemaError):
    """A payload, or a prototype at registration, is not a message of the required class.

    Attributes:
        expected: full name of the required message; ``""`` if any concrete message is accepted.
        got: full name of the message that was given, or the Python type of what is not a message. A class is
            ``"the class …"``.
    """

    def __init__(self, family: str, name: str, *, expected: str, got: str, hint: str = "") -> None:
        if expected:
            message = f"{family} {name!r} payload type mismatch: got {got}, want {expected}{hint and f'; {hint}'}"
        else:
            message = (
                f"{family} {name!r} needs a concrete protobuf message (a generated class, or an "
                f"instance of one) as its payload, got {got}"
            )
        super().__init__(message, family=family, name=name)
        self.expected = expected
        self.got = got


class PayloadValueError(PayloadTypeError):
    """A payload holds a value without a JSON form, so it cannot be sent to clients.

    Attributes:
        path: of the field, as in ``args.fields["x"].number_value``; ``""`` if it is the message itself.
        reason: why it has no JSON form.
    """

    def __init__(self, family: str, name: str, *, expected: str, path: str, reason: str) -> None:
        SchemaError.__init__(
            self,
            f"{family} {name!r} payload {expected} has no JSON form: {path and f'{path}: '}{reason}; payloads "
            f"travel as JSON, so leave the field out or give it another value",
            family=family,
            name=name,
        )
        self.expected: str = expected
        self.got: str = expected
        self.path = path
        self.reason = reason


class PayloadDecodeError(SchemaError):
    """Bytes or JSON could not be read as the registered message.

    Attributes:
        expected: full name of the message that was wanted.
        reason: the decoder's message.
        path: of the field, if the JSON was read and holds a value without a JSON form, such as ``1e400``; else ``""``.
    """

    def __init__(self, family: str, name: str, *, expected: str, reason: str, path: str = "") -> None:
        super().__init__(
            f"{family} {name!r} payload is not readable as {expected}: {path and f'{path}: '}{reason}",
            family=family,
            name=name,
        )
        self.expected = expected
        self.reason = reason
        self.path = path


class StructPayloadError(SchemaError):
    """A top-level ``google.protobuf.Struct`` was registered; the linter reports the same as SST001."""

    def __init__(self, family: str, name: str) -> None:
        super().__init__(
            f"{family} {name!r} registers google.protobuf.Struct as its payload, which says nothing "
            f"about its fields: define a message for it (a Struct field nested inside is fine)",
            family=family,
            name=name,
        )


_ids: Final = Repr()
_ids.maxstring = _ids.maxother = 200


class InvalidIdError(SessionstreamError):
    """An id is empty, blank, not a string, too long, or has characters that not every store can keep.

    Attributes:
        what: which id, for example ``"session id"``.
        value: the id that was refused.
    """

    def __init__(self, what: str, value: object, reason: str) -> None:
        super().__init__(f"{what} {_ids.repr(value)} is not usable: {reason}")
        self.what = what
        self.value = value


class CommandError(SessionstreamError):
    """A command could not be accepted.

    Attributes:
        name: the command's logical name.
    """

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownCommandError(CommandError):
    """No handler is registered for the command."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"command {name!r} has no handler: {_first(name, f'call hub.register_command({name!r}, handler) first')}",
            name=name,
        )


class DuplicateCommandError(CommandError):
    """A second handler was registered for the command."""

    def __init__(self, name: str) -> None:
        super().__init__(f"command {name!r} already has a handler, and can have only one", name=name)


class CommandConflict(CommandError):
    """An idempotency key was repeated with another command.

    Attributes:
        session_id: the session the key belongs to.
        key: the idempotency key.
    """

    def __init__(self, session_id: str, key: str, *, name: str) -> None:
        super().__init__(
            f"idempotency key {key!r} of session {session_id!r} was used before for another command "
            f"than this {name!r}: use a new key for a new command",
            name=name,
        )
        self.session_id = session_id
        self.key = key


class CommandUnfinished(CommandError):
    """A command was repeated that began with this idempotency key, and ended before it had finished.

    Its handler was cancelled or failed after it had published events, or its process ended. It does not run again by
    itself: what it has published stays, and how far it came only the application knows.

    Attributes:
        session_id: the session the key belongs to.
        key: the idempotency key.
    """

    def __init__(self, session_id: str, key: str, *, name: str) -> None:
        super().__init__(
            f"command {name!r} with idempotency key {key!r} began in session {session_id!r} and ended before it had "
            f"finished: see from the session's events how far it came, and submit what is missing under a new key",
            name=name,
        )
        self.session_id = session_id
        self.key = key


class ProjectionError(SessionstreamError):
    """A projection failed under the ``fail`` policy. Its cause is ``__cause__``.

    The event is stored, the timeline is not moved, and the session is held until the projection succeeds. In a rebuild,
    the timeline stays as it was; the session is held only if it was before.

    Attributes:
        event: the event, with its ordinal and id.
        projector: what failed, for example ``"timeline projection app.project_chat"``.
        where: the frame in which it failed, for example ``"chat/app.py:42 in project_chat"``; the application's own
            if there is one.
    """

    def __init__(self, event: Event, projector: str, cause: BaseException, *, rebuild: bool = False) -> None:
        if rebuild:
            advice = "The timeline is as before; fix the projection and rebuild again"
        else:
            advice = (
                "The event is stored and holds its session; fix the projection and call retry_timeline; do not publish "
                "it again"
            )
        place = where(cause, projector)
        at = "" if place in ("", projector) else f" at {place}"
        super().__init__(
            f"{projector} failed{at} on event {event.name!r} (session {event.session_id!r}, ordinal "
            f"{event.ordinal}): {error_text(cause)}. {advice}"
        )
        self.event = event
        self.projector = projector
        self.where = place


class SessionHeld(SessionstreamError):
    """The event is stored, but not applied, because a projection still fails on an earlier event.

    Attributes:
        event: the event that was published, with its ordinal and id.
        failed_ordinal: ordinal of the event that holds the session.
    """

    def __init__(self, event: Event, failed_ordinal: int) -> None:
        waits = (
            "this is that event, stored already"
            if event.ordinal == failed_ordinal
            else f"event {event.name!r} is stored as {event.ordinal} and will be applied after it"
        )
        super().__init__(
            f"session {event.session_id!r} is held by its event {failed_ordinal}, which a projection fails on; {waits}"
        )
        self.event = event
        self.failed_ordinal = failed_ordinal


class HubError(SessionstreamError):
    """The hub cannot perform the call."""


class HubClosed(HubError):
    """The hub was shut down."""

    def __init__(self) -> None:
        super().__init__("the hub is shut down: it accepts no more commands or events")


_OUTLIVE: Final = "call it from elsewhere, or from a task that outlives the projection"
_WAYS_OUT: Final = {
    "publish": "a projection only returns what an event means; publish from a command handler, or from a task that "
    "outlives the projection",
    "session": "a projection is given its session as an argument; session_metadata may ask for snapshots and cursors",
}


class LaneReentryError(HubError):
    """A projection, or ``session_metadata``, called a method that enters a lane, and would wait for itself.

    Attributes:
        session_id: the session of the projection or of the metadata.
        call: the method: ``"publish"``, ``"submit"``, ``"session"``, ``"retry_timeline"``,
            ``"rebuild_timeline"`` or ``"shutdown"``.
    """

    def __init__(self, session_id: str, call: str) -> None:
        super().__init__(
            f"{call} was called inside a projection (or session_metadata) of session {session_id!r}, and would wait "
            f"for itself: {_WAYS_OUT.get(call, _OUTLIVE)}"
        )
        self.session_id = session_id
        self.call = call


class EventLoopError(HubError):
    """A hub was called from another event loop, while the loop it is used in is still running."""

    def __init__(self) -> None:
        super().__init__(
            "the hub is used in another event loop, which is still running, and its lanes belong to that one: make a "
            "hub for each event loop (they may share a SQLiteStore), or hand the call to the hub's own loop with "
            "asyncio.run_coroutine_threadsafe"
        )


class StoreError(SessionstreamError):
    """A hydration store could not complete a call; no call is completed in part."""


class OrdinalConflict(StoreError):
    """Another writer moved the session since its cursors were read; reload and try again.

    Attributes:
        session_id: the session.
        expected: what the writer expected.
        actual: what the store holds.
    """

    def __init__(self, session_id: str, *, expected: object, actual: object) -> None:
        super().__init__(f"session {session_id!r} was moved by another writer: expected {expected}, found {actual}")
        self.session_id = session_id
        self.expected = expected
        self.actual = actual


class OrdinalExhausted(StoreError):
    """The session has used the highest possible ordinal.

    Attributes:
        session_id: the session.
        cursor: its event cursor.
    """

    def __init__(self, session_id: str, cursor: int) -> None:
        super().__init__(
            f"session {session_id!r} is at ordinal {cursor}, the highest there is: continue in a new session"
        )
        self.session_id = session_id
        self.cursor = cursor


class EventConflict(StoreError):
    """An event id was repeated with another event.

    Attributes:
        session_id: the session the id belongs to.
        event_id: the id.
        ordinal: ordinal of the event that has it.
        digest, descriptors: of that event, as in ``LoggedEvent``; from them a hub knows whether it is a repeat.
    """

    def __init__(self, session_id: str, event_id: str, ordinal: int, digest: bytes, descriptors: bytes = b"") -> None:
        super().__init__(
            f"event id {event_id!r} of session {session_id!r} belongs to another event, at ordinal "
            f"{ordinal}: use a new id for a new event"
        )
        self.session_id = session_id
        self.event_id = event_id
        self.ordinal = ordinal
        self.digest = digest
        self.descriptors = descriptors


class HistoryPruned(StoreError):
    """A read needs history that was pruned.

    Attributes:
        session_id: the session.
        ordinal: the ordinal that was requested.
        floor: the lowest ordinal that can be requested.
    """

    def __init__(self, session_id: str, ordinal: int, floor: int) -> None:
        pruned = f"{ordinal} is pruned" if ordinal else "its first events are pruned, so it cannot be rebuilt"
        super().__init__(f"session {session_id!r} keeps its history from ordinal {floor} on; {pruned}")
        self.session_id = session_id
        self.ordinal = ordinal
        self.floor = floor


class Unstorable(StoreError):
    """The store can never keep this: it is too large, or a value has no form in which it could be stored.

    Nothing was stored. To try again is of no use; another StoreError may be transient.
    """


class CommitUnknown(StoreError):
    """The store did not answer in time, so whether a change was stored, or will be, is not known.

    Attributes:
        name: the store, for example the path of its file.
        seconds: how long it was waited for.
    """

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"{name} has not answered within {seconds:g} seconds, so whether the change was stored is not known: "
            f"repeat it with the same event id or idempotency key, which changes nothing if it was, once the disk or "
            f"the server answers"
        )
        self.name = name
        self.seconds = seconds


class StoreClosed(StoreError):
    """The store was closed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is closed")


class StoreLost(StoreError):
    """The file of the store was deleted, moved or replaced while the store was open.

    A commit that raises this may be lost; every later call of this store raises it as well.

    Attributes:
        name: the store, for example the path of its file.
        log: path of the write-ahead log, if only that is lost: closing the store then saves the earlier commits,
            unless the log was emptied.
        emptied: whether the log exists but its contents are gone: the last commits are lost.
    """

    def __init__(self, name: str, *, log: str = "", emptied: bool = False) -> None:
        what, way_out = "deleted, moved or replaced", "put the file back or restore it from a backup, and open it again"
        if emptied:
            what, way_out = "emptied", "restore the file from a backup, or open it again without the last commits"
        elif log:
            way_out = "which writes the commits in the log to the file, and open it again"
        super().__init__(
            f"{log or name} was {what} while the store was open, so nothing more can be kept in it: "
            f"close the store, {way_out}"
        )
        self.name = name
        self.log = log
        self.emptied = emptied


class StoreUpgraded(StoreError):
    """Another process migrated the store's file to a version that this store does not know, while it was open.

    The store reads and writes nothing until it is opened again.

    Attributes:
        name: the store, for example the path of its file.
        version: the schema version of the file now.
        known: the schema version that this store knows.
    """

    def __init__(self, name: str, *, version: int, known: int) -> None:
        super().__init__(
            f"{name} was brought to another version (schema {version}, this store knows {known}) by another process "
            f"while the store was open: close the store, update this program to the version that the other one has, "
            f"and open it again"
        )
        self.name = name
        self.version = version
        self.known = known


class StoreDamaged(StoreError):
    """A store read a value from its file or database that it did not write: something else has changed it.

    Calls that do not read that row work as before.

    Attributes:
        name: the store, for example the path of its file.
        table, row, column: the place: the table, the identity of the row, and the column, which is empty if the error
            concerns the whole row.
    """

    def __init__(self, name: str, words: str, *, table: str, row: str, column: str = "") -> None:
        super().__init__(words)
        self.name = name
        self.table = table
        self.row = row
        self.column = column


class BusError(SessionstreamError):
    """An event bus could not carry a message."""


class TransportError(SessionstreamError):
    """A transport could not reach its peer, or the peer broke the protocol."""
