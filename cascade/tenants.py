"""Tenants as declared: what each may use, whose credentials open it, and what others may learn from it.

    <root>/access.json                 the platform's own credentials; where it is there, callers need some
    <root>/audit.jsonl                 who declared, changed and removed tenants, and gave credentials
    <root>/<tenant>/tenant.json        one tenant; a tenant with rankers but no such file has the defaults

Rankers lie beside them, with an audit log of theirs (`store.py`). One file a tenant, so that a server of ten
thousand reads those that are asked for.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import msgspec

from cascade.audit import AUDIT, Entry, append, local_actor, read_audit
from cascade.credentials import Credentials
from cascade.files import locked, make_directory, put_aside, remove_tree, replace_durably
from cascade.names import check_name
from cascade.store import unknown_tenant
from features.errors import Conflict, Corrupt, InvalidInput, Unavailable

TENANT = "tenant.json"
ACCESS = "access.json"
LOCK = ".lock"

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
SECONDS = 10.0
"""Of the rate may be spent at once, unless the burst is given."""
Amount = Annotated[float, msgspec.Meta(ge=0)]


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may spend, in units: a candidate that is ranked, or a token that a model reads, is one.

    Attributes:
        rate: units a second; 0 refuses everything.
        burst: units that may be spent at once after a pause.
    """

    rate: Amount
    burst: Amount


class Tenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A declared tenant.

    Attributes:
        created: when it was added; None for one that has rankers only.
        share_with_base: whether a base that other tenants start from may learn from its data.
        base: the ranker (`tenant/ranker`) that answers while its own is loaded for the first time; "" = none.
        quota: None = as much as there is.
        weight: its part of a busy server beside the others'.
        priority: a class goes before those below it.
    """

    created: datetime | None = None
    share_with_base: bool = False
    base: str = ""
    quota: Quota | None = None
    weight: Annotated[float, msgspec.Meta(gt=0, le=1_000)] = 1.0
    priority: Priority = "normal"
    credentials: Credentials = Credentials()


class Platform(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Credentials that open every tenant. That the file is there means that callers need credentials."""

    credentials: Credentials = Credentials()


S = TypeVar("S", Tenant, Platform)


class Tenants:
    """The tenants of a store directory. Any number of processes may read and write."""

    def __init__(self, root: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.root, self._now = root, now

    def get(self, name: str) -> Tenant:
        """A tenant; the defaults for one that has rankers but no file.

        Raises:
            InvalidInput: for what cannot be a name.
            NotFound: for an unknown one. The others are not named: not everybody may know of them.
            Corrupt: if its file is not what is written here.
            Unavailable: if the store itself is not there.
        """
        home = self.root / check_name(name, "tenant")
        found = read(home / TENANT, Tenant)
        if found is not None or home.is_dir():
            return found or Tenant()
        if not self.root.is_dir():
            raise Unavailable(f"no directory {self.root}")
        raise unknown_tenant(name)

    def add(self, name: str, tenant: Tenant, actor: str = "") -> Tenant:
        """Declare a tenant, new or with rankers already.

        Raises:
            Conflict: if it is declared already.
        """
        home = self.root / check_name(name, "tenant")
        make_directory(self.root)
        with locked(self.root / LOCK):
            if (home / TENANT).exists():
                raise Conflict(f"tenant {name!r} is there already; `sluice tenants set` changes it")
            made = msgspec.structs.replace(tenant, created=tenant.created or self._now())
            self._note("tenant-add", name, "", told(made), actor)
            make_directory(home)
            write(home / TENANT, made)
        return made

    def change(
        self, name: str, action: str, edit: Callable[[Tenant], Tenant], actor: str = "", after: str = ""
    ) -> Tenant:
        """A tenant's declaration edited, one process at a time; `after` is for the audit log."""
        with locked(self.root / LOCK):
            before = self.get(name)
            made = edit(before)
            self._note(action, name, "" if after else told(before), after or told(made), actor)
            write(self.root / name / TENANT, made)
        return made

    def remove(self, name: str, actor: str = "") -> None:
        """A tenant with its rankers, configuration and credentials. Requests in flight finish.

        The audit log of the store keeps what the tenant's own said.
        """
        home = self.root / check_name(name, "tenant")
        with locked(self.root / LOCK):
            self._note("tenant-remove", name, told(self.get(name)), "", actor)
            append(self.root / AUDIT, *read_audit(home / AUDIT))
            aside = put_aside(home)
        remove_tree(aside)

    def platform(self) -> Platform | None:
        """The platform's credentials; None where callers need none.

        Raises:
            Corrupt: if the file is not what is written here.
        """
        return read(self.root / ACCESS, Platform)

    def protect(
        self,
        edit: Callable[[Platform], Platform] = lambda platform: platform,
        action: str = "protect",
        actor: str = "",
        after: str = "",
    ) -> Platform:
        """The platform's credentials edited. From the first time on, every caller needs credentials."""
        make_directory(self.root)
        with locked(self.root / LOCK):
            before = self.platform()
            made = edit(before or Platform())
            if made != before:
                self._note(action, "", "", after, actor)
                write(self.root / ACCESS, made)
        return made

    def audit(self, name: str) -> tuple[Entry, ...]:
        """Everything that was done to a tenant and its rankers, oldest first; to one that is gone, too."""
        own = read_audit(self.root / check_name(name, "tenant") / AUDIT)
        entries = [entry for entry in read_audit(self.root / AUDIT) if entry.tenant == name]
        return tuple(sorted([*entries, *own], key=lambda entry: entry.time))

    def _note(self, action: str, tenant: str, before: str, after: str, actor: str) -> None:
        entry = Entry(
            time=self._now(),
            actor=actor or local_actor(),
            action=action,
            tenant=tenant,
            before=before,
            after=after,
        )
        append(self.root / AUDIT, entry)


def quota_of(known: Quota | None, rate: float | None, burst: float | None) -> Quota | None:
    """A quota with what is given (not None) in the place of what was known.

    Raises:
        InvalidInput: for a burst without a rate, or one in which nothing has room.
    """
    if rate is None and burst is None:
        return known
    per_second = rate if rate is not None else known.rate if known else None
    if per_second is None:
        raise InvalidInput("means nothing without a rate", path="--burst")
    at_once = burst if burst is not None else SECONDS * per_second
    if per_second and at_once <= 0:
        raise InvalidInput("must be more than 0; a rate of 0 refuses everything", path="--burst")
    return Quota(rate=per_second, burst=at_once)


def check_priority(name: str) -> Priority:
    """A priority class.

    Raises:
        InvalidInput: for any other word.
    """
    if name not in PRIORITIES:
        raise InvalidInput(f"{name!r} is none of {', '.join(PRIORITIES)}", path="--priority")
    return name


def check_base(name: str) -> str:
    """A ranker by `tenant/ranker`.

    Raises:
        InvalidInput: for anything else.
    """
    tenant, _, ranker = name.partition("/")
    return f"{check_name(tenant, '--base')}/{check_name(ranker, '--base')}"


def told(tenant: Tenant) -> str:
    """The settings of a declaration that are not the defaults, as JSON; never its credentials."""
    settings = msgspec.to_builtins(tenant)
    return msgspec.json.encode(
        {key: value for key, value in settings.items() if key not in ("created", "credentials")}
    ).decode()


def read(path: Path, kind: type[S]) -> S | None:
    """A declaration; None where the file is not there.

    Raises:
        Corrupt: if it is not what is written here.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(str(error), path=str(path)) from None


def write(path: Path, value: Tenant | Platform) -> None:
    """A declaration that readers see as it was or as it is."""
    replace_durably(path, msgspec.json.format(msgspec.json.encode(value), indent=2))
