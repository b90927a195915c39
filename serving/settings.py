"""Settings of the process: one TOML file and the flags over it, parsed into frozen values.

They are another file than `cascade.toml`, with another lifetime: a ranker moves between servers, these stay.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from cascade.profiles.rules import Rules
from features.errors import InvalidConfig
from features.registry import parse

Count = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one request may be; enforced before any work is done.

    Attributes:
        message_bytes: of one request on the wire (gRPC itself refuses more).
        candidates: ids in a request.
        columns: candidate columns, those of the number matrix included.
        text_bytes: of one text of one candidate, in UTF-8.
        query_bytes: of the query's text, in UTF-8.
        query_values: named values and vectors of query and user together.
        vector_dimension: elements of one vector.
        top_k: the largest that may be asked for.
        name_bytes: of an id, a tenant, a ranker or a column name, in UTF-8.
        events: in one batch of feedback.
        event_bytes: of the features, and of the ids, of one impression.
    """

    message_bytes: Count = 64 << 20
    candidates: Count = 10_000
    columns: Count = 1_000
    text_bytes: Count = 1 << 20
    query_bytes: Count = 64 << 10
    query_values: Count = 256
    vector_dimension: Count = 4_096
    top_k: Count = 10_000
    name_bytes: Count = 1_024
    events: Count = 10_000
    event_bytes: Count = 4 << 20


class Feedback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events are logged.

    Attributes:
        wait: Rank answers once its impression is on the disk; else it answers at once, and the impression
            follows within a group commit.
        items: of the shown items of a page that are logged, the best first.
        queue: impressions that may wait to be logged; one more is dropped, and the answer says so.
        calls: Record calls at the same time.
        streams: RecordStream calls at the same time.
        segment_s: a file of the log is closed, so that it can be compacted, once it is this old.
        lift_pages: the last pages that the lift monitor holds for their clicks; 0 = it is off.
        examination: how often each place of a page is seen, from the first; empty = as manifests tell.
    """

    wait: bool = False
    items: Count = 200
    queue: Count = 1_000
    calls: Count = 64
    streams: Count = 8
    segment_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    lift_pages: Annotated[int, msgspec.Meta(ge=0)] = 20_000
    examination: tuple[float, ...] = ()


class Shadows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How versions of shadow experiments are run beside requests.

    Attributes:
        workers: shadow rankings at the same time.
        queue: shadow rankings that may wait; one more is dropped.
        budget_ms: time that one may take.
    """

    workers: Count = 1
    queue: Annotated[int, msgspec.Meta(ge=0)] = 4
    budget_ms: Annotated[float, msgspec.Meta(gt=0)] = 1_000.0


class Rankers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rankers are in memory, and what happens to a request for one that is not.

    Attributes:
        memory_mb: for rankers; 0 = half of what the machine or the container has.
        preload: what is loaded before anybody asks: "all", "promoted-recent", "none", or a list of
            `tenant/ranker` (`tenant` = its default one). Only as far as it fits.
        recent: how many rankers "promoted-recent" loads before the server says that it is ready; higher
            priority classes come first among them.
        load_threads: rankers that are loaded at the same time.
        on_cold: a request for a ranker that is not loaded "wait"s for it, or the "base" answers meanwhile.
        base: `tenant/ranker` that stands in where the tenant declares no base of its own; "" = none.
        waiting: requests that may wait for rankers to load; one more is told to come back.
        sweep_s: how often all that serves is compared with the store; what the store lists as changed is
            noticed within `poll_s`.
    """

    memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    preload: Literal["all", "promoted-recent", "none"] | tuple[str, ...] = "promoted-recent"
    recent: Count = 64
    load_threads: Count = 2
    on_cold: Literal["wait", "base"] = "wait"
    base: str = ""
    waiting: Count = 32
    sweep_s: Annotated[float, msgspec.Meta(gt=0)] = 2.0


class Documents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tenants' document tables.

    Attributes:
        open: tables that stay open; the least recently used one makes room.
        check_s: how often a table that is used is looked at for a newer one.
    """

    open: Count = 256
    check_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files in PEM; without them the port speaks in the clear.

    Attributes:
        certificate, key: what the server shows, the whole chain, and its key.
        client_ca: callers have to show a certificate of this authority; "" = they need none.
    """

    certificate: str = ""
    key: str = ""
    client_ca: str = ""


class Profiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the profiles of users, items and queries are, and how they are kept. See docs/personalization.md.

    Attributes:
        kind: "embedded" = a folder of this machine, "redis" = shared by several servers, "none". Nothing is
            opened before a ranker that reads behaviour is asked.
        path: of the embedded store; "" = `<log>-profiles`, beside the event log.
        url: of Redis.
        timeout_ms: for any answer of Redis; a request goes on without profiles then.
        every_ms: how often the event log is looked at for news.
        max_gb: what the embedded store may grow to.
        rules: how behaviour becomes numbers.
    """

    kind: Literal["embedded", "redis", "none"] = "embedded"
    path: str = ""
    url: str = "redis://127.0.0.1:6379/0"
    timeout_ms: Annotated[float, msgspec.Meta(gt=0)] = 50.0
    every_ms: Annotated[float, msgspec.Meta(gt=0)] = 200.0
    max_gb: Count = 64
    rules: Rules = Rules()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server process is told.

    Attributes:
        store: the directory that bundles are published to.
        log: the directory of the event log; "" = `<store>-log`, beside the store.
        host, port: where to listen; port 0 takes any free one.
        workers: requests that compute at the same time; 0 = one a core.
        queue: requests that may wait for a worker; one more is told to come back later.
        streams: RankMany calls at the same time; a caller has three quarters at most, as of all such places.
        metrics_port: of the Prometheus page on the same host; absent = none, 0 = any free one.
        poll_s: how often the store is asked for newly promoted versions.
        grace_s: how long requests in flight may take to finish once the process is told to end.
        reserve_ms: time kept back from a deadline for the answer's way home.
        inference_threads: of a model's session, at most one a core; 0 = one a core. More than one halve
            what one long pair takes, and read less where cores are shared.
        pinned: versions pinned by `name@version` that stay loaded beside the promoted ones.
        insecure: listen where others can reach the port though nobody is asked for credentials.
        log_requests: log a line for every request, not only for degraded and failed ones.
    """

    store: str = ""
    log: str = ""
    host: str = "127.0.0.1"
    port: Port = 50051
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    queue: Annotated[int, msgspec.Meta(ge=0)] = 64
    streams: Count = 8
    metrics_port: Port | None = None
    poll_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    grace_s: Seconds = 10.0
    reserve_ms: Seconds = 2.0
    inference_threads: Annotated[int, msgspec.Meta(ge=0)] = 1
    pinned: Count = 4
    insecure: bool = False
    log_requests: bool = False
    tls: Tls = Tls()
    limits: Limits = Limits()
    feedback: Feedback = Feedback()
    profiles: Profiles = Profiles()
    rankers: Rankers = Rankers()
    documents: Documents = Documents()
    shadows: Shadows = Shadows()

    @property
    def log_root(self) -> Path | None:
        """Where the event log lies; None where neither a log nor a store is named."""
        if self.log:
            return Path(self.log)
        store = Path(self.store).absolute()
        return store.with_name(f"{store.name}-log") if self.store else None

    @property
    def cores(self) -> int:
        """Requests that compute at the same time."""
        return self.workers or os.cpu_count() or 1


def load_settings(file: Path | None, flags: dict[str, Any]) -> Settings:
    """Settings from a file (if any), with the flags that were given (not None) over it.

    Raises:
        InvalidConfig: naming the key by its path, such as `$.limits.candidates`.
    """
    tables = parse_toml(file) if file else {}
    return parse(
        {**tables, **{key: value for key, value in flags.items() if value is not None}}, Settings, "$"
    )


def parse_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InvalidConfig: if the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"cannot read {file}: {error.strerror}", path="--settings") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{file} is not TOML: {error}", path="--settings") from None
