"""Tenants beside each other on one server: nothing of one reaches another, whatever they do at the same time.

Every tenant has words that nobody else uses: in its documents, requests, users, rankers and events. All ask
at once, also for what is another's, with their own credentials and words of the others; then everything that
each of them was answered, every log line and every label is searched for words of somebody else.
"""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.credentials import Bearer, Token, with_token
from cascade.documents import Documents
from cascade.documents.source import open_source
from cascade.stages.embedded import embedded_sentences
from cascade.store import DirectoryStore
from cascade.tenants import Tenant, Tenants
from cascade.testing import NOON, write_tiny_bundle
from features.batch import Query, single
from features.columns import number, text
from features.transformer.model import copy_model
from serving.server import Server
from serving.settings import Documents as Options
from serving.settings import Feedback, Profiles, Settings
from serving.testing import channel, running
from sluice.v1 import feedback_pb2 as feedback
from sluice.v1 import rankers_pb2 as rankers
from sluice.v1 import ranking_pb2 as ranking
from sluice.v1.feedback_pb2_grpc import FeedbackStub
from sluice.v1.rankers_pb2_grpc import RankersStub
from sluice.v1.ranking_pb2_grpc import RankingStub

CASCADE = """
log = true

[[features]]
name = "bm25"
kind = "bm25f"
fields = { title = 1.0 }

[[features]]
name = "clicked"
kind = "behaviour"
of = "user_item"
statistic = "count"

[[features]]
name = "price"
kind = "numeric"
field = "price"

[[stages]]
name = "first"
kind = "linear"
weights = { bm25 = 1.0, clicked = 0.1, price = 0.01 }
keep = 6

[[stages]]
name = "sentences"
kind = "bi_encoder"
fields = ["title"]
max_tokens = 32
"""

COMMON = "return the first item of a sorted list"
"""Words that all of them use, and a document that all of them have."""
ITEM, USER, PAGE = "common-item", "common-user", "common-request"
"""Ids that all of them use."""
PLAIN = ["sort a list", "copy a folder", "open a file", "read lines of text"]


@dataclass(frozen=True)
class Owner:
    """A tenant and its words."""

    name: str
    word: str
    token: str
    version: str

    @property
    def titles(self) -> list[str]:
        """Its documents."""
        return [COMMON, *(f"{self.word} {title}" for title in PLAIN), f"{self.word} {self.word}"]


def bundle(folder: Path, word: str) -> Path:
    """A cascade that has read a tenant's documents: its states hold the words."""
    config = parse_config(CASCADE)
    titles = [COMMON, *(f"{word} {title}" for title in PLAIN)]
    columns = {"title": text(titles), "price": number([1.0] * len(titles))}
    documents = single(Query(word), [f"{word}{row}" for row in range(len(titles))], columns)
    files = folder / "files"
    (files / "sentences").mkdir(parents=True)
    copy_model(embedded_sentences(), files / "sentences")
    features = config.feature_set().prepare(documents)
    write_bundle(folder / "bundle", Draft("main", config, features, files, documents), NOON)
    return folder / "bundle"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    """An empty store."""
    return DirectoryStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def owners(store: DirectoryStore, tmp_path_factory: pytest.TempPathFactory) -> list[Owner]:
    """Three tenants; each has two rankers, one of them under a name that only it uses, and a document table,
    in which the common item costs 1, 2 and 3."""
    tenants, made, dice = Tenants(store.root), [], random.Random(7)
    for name in ("alder", "birch", "cedar"):
        word = "zq" + "".join(dice.choices("bdfgklmprtv", k=10))
        folder = tmp_path_factory.mktemp(name)
        version = store.publish(name, "default", bundle(folder, word))
        store.promote(name, "default", version)
        store.promote(name, word, store.publish(name, word, write_tiny_bundle(folder / "tiny")))
        shown = Bearer(name, f"{word}-id", word * 4)
        token = Token(id=shown.id, hash=shown.hash, roles=("rank", "feedback", "admin"), created=NOON)
        tenants.add(name, Tenant())
        rows = {"id": [ITEM, f"{word}-1"], "price": [len(made) + 1.0, 9.0]}
        pq.write_table(pa.table(rows), folder / "rows.parquet")
        Documents(store.root, name).replace(open_source(folder / "rows.parquet"))
        tenants.change(
            name, "t", lambda one, t=token: replace(one, credentials=with_token(one.credentials, t))
        )
        made.append(Owner(name, word, shown.text, version))
    tenants.protect()
    return made


@pytest.fixture(scope="module")
def server(
    store: DirectoryStore, owners: list[Owner], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Their server, which logs every request."""
    settings = Settings(
        port=0,
        reserve_ms=0.0,
        poll_s=0.05,
        workers=2,
        log=str(tmp_path_factory.mktemp("log") / "log"),
        log_requests=True,
        feedback=Feedback(wait=True),
        profiles=Profiles(every_ms=3_600_000.0, max_gb=1),
        documents=Options(check_s=3_600.0),
    )
    with running(store, settings, clock=NOON.timestamp) as started:
        yield started


@pytest.fixture(scope="module")
def opened(server: Server) -> Iterator[grpc.Channel]:
    """A channel that they share."""
    with channel(server) as made:
        yield made


Act = Callable[[], Any]


def question(one: Owner, number: int, titles: list[str], **fields: Any) -> ranking.RankRequest:
    """A request full of a tenant's words."""
    asked = ranking.RankRequest(
        **{
            "tenant": one.name,
            "request_id": f"{one.word}-r{number}",
            "query": ranking.Query(text=f"{COMMON} {one.word if number % 2 else ''}"),
            "user": ranking.User(id=f"{one.word}-user"),
            "explain": ranking.EXPLAIN_FEATURES,
            "log": True,
            **fields,
        }
    )
    asked.candidates.ids.extend([ITEM, *(f"{one.word}-{row}" for row in range(1, len(titles)))])
    asked.candidates.columns.add(name="title").text.values.extend(titles)
    return asked


def events(one: Owner, of: Owner, number: int) -> feedback.RecordRequest:
    """A click of one tenant on a page of another, under an event id that the other uses too."""
    made = feedback.RecordRequest(tenant=one.name)
    click = {"event_id": f"e{number}", "request_id": f"{of.word}-r{number}", "candidate_id": f"{of.word}-1"}
    made.interactions.add(type="CLICK", **click)
    return made


def acts(one: Owner, other: Owner, opened: grpc.Channel) -> dict[str, Act]:
    """What a tenant asks: for its own, and for what is another's under the other's names."""
    ask, tell, manage = RankingStub(opened), FeedbackStub(opened), RankersStub(opened)
    how: dict[str, Any] = {"metadata": (("authorization", f"Bearer {one.token}"),), "timeout": 60}
    copied = other.titles[:3] + one.titles[3:]

    def rank(number: int, titles: list[str], **fields: Any) -> Act:
        return lambda: ask.Rank(question(one, number, titles, **fields), **how)

    return {
        "own": rank(1, one.titles),
        "own, plain query": rank(2, one.titles),
        "the other's texts": rank(3, copied),
        "stream": lambda: list(ask.RankStream(question(one, 4, one.titles), **how)),
        "many": lambda: sorted(
            ask.RankMany(iter([question(one, 5, one.titles), question(one, 6, copied)]), **how),
            key=lambda answer: answer.request_id,
        ),
        "own ranker": rank(7, one.titles, ranker=one.word, ignore_unknown_columns=True),
        "the other's ranker": rank(8, one.titles, ranker=other.word),
        "the other's version": rank(9, one.titles, ranker=f"default@{other.version}"),
        "the other's tenant": rank(10, one.titles, tenant=other.name),
        "the other's request id": rank(11, one.titles, request_id=PAGE),
        "the other's user": rank(12, one.titles, user=ranking.User(id=USER)),
        "wrong column": lambda: ask.Rank(misspelt(question(one, 13, one.titles)), **how),
        "no such tenant": rank(14, one.titles, tenant=f"{one.word}x"),
        "click": lambda: tell.Record(events(one, one, 15), **how),
        "click on the other's page": lambda: tell.Record(events(one, other, 16), **how),
        "click for the other": lambda: tell.Record(events(other, one, 17), **how),
        "list": lambda: manage.ListRankers(rankers.ListRankersRequest(tenant=one.name), **how),
        "list the other's": lambda: manage.ListRankers(rankers.ListRankersRequest(tenant=other.name), **how),
        "promote the other's version": lambda: manage.Promote(
            rankers.PromoteRequest(tenant=one.name, version=other.version, expected_version=one.version),
            **how,
        ),
        "promote for the other": lambda: manage.Promote(
            rankers.PromoteRequest(tenant=other.name, version=other.version), **how
        ),
    }


def misspelt(asked: ranking.RankRequest) -> ranking.RankRequest:
    """With a column that no ranker reads."""
    asked.candidates.columns.add(name="titel").text.values.extend(["x"] * len(asked.candidates.ids))
    return asked


DENIED = {
    "the other's tenant",
    "no such tenant",
    "click for the other",
    "list the other's",
    "promote for the other",
}
MISSING = {"the other's ranker", "the other's version", "promote the other's version"}


def told(act: Act) -> str:
    """All that a caller gets, times aside: messages, or status, text and trailers."""
    try:
        answer = act()
    except grpc.RpcError as error:
        return f"{error.code()} {error.details()} {error.trailing_metadata()}"
    return "\n".join(str(timeless(one)) for one in (answer if isinstance(answer, list) else [answer]))


def timeless(message: Any) -> Any:
    """A message without the times that it took."""
    if isinstance(message, ranking.RankResponse):
        for stage in message.stages:
            for field in [name for name in stage.DESCRIPTOR.fields_by_name if name.endswith(("time", "_ms"))]:
                stage.ClearField(field)
    return message


@pytest.fixture(scope="module")
def history(server: Server, owners: list[Owner], opened: grpc.Channel) -> None:
    """The first has clicked once, the second twice, the third three times: the same user on the same item of
    the same page under the same event ids. Nothing else is learned from then on."""
    for clicks, one in enumerate(owners, start=1):
        how: dict[str, Any] = {"metadata": (("authorization", f"Bearer {one.token}"),), "timeout": 60}
        RankingStub(opened).Rank(
            question(one, 0, one.titles, request_id=PAGE, user=ranking.User(id=USER)), **how
        )
        made = feedback.RecordRequest(tenant=one.name)
        for event in range(clicks):
            made.interactions.add(event_id=f"c{event}", request_id=PAGE, candidate_id=ITEM, type="CLICK")
        assert FeedbackStub(opened).Record(made, **how).accepted == clicks
    updater = server.personal.updater
    assert updater is not None
    updater.turn()
    updater.close()


@pytest.fixture(scope="module")
def alone(owners: list[Owner], opened: grpc.Channel, history: None) -> dict[tuple[str, str, str], str]:
    """What every tenant is told of everything while the others are silent, the second time that it asks."""
    every = {
        (one.name, other.name, name): act
        for one, other in permutations(owners, 2)
        for name, act in acts(one, other, opened).items()
    }
    for act in every.values():
        told(act)
    return {key: told(act) for key, act in every.items()}


def test_what_is_anothers_is_refused(alone: dict[tuple[str, str, str], str]) -> None:
    """Each attempt on another's ends as it should, and what is one's own is answered."""
    for (one, _, name), answer in alone.items():
        if name in DENIED:
            assert answer.startswith("StatusCode.PERMISSION_DENIED"), (one, name, answer)
        elif name in MISSING:
            assert answer.startswith("StatusCode.NOT_FOUND"), (one, name, answer)
        elif name == "wrong column":
            assert answer.startswith("StatusCode.INVALID_ARGUMENT"), (one, name, answer)
        else:
            assert not answer.startswith("StatusCode"), (one, name, answer)


def test_the_same_bytes_whatever_the_others_do(
    owners: list[Owner], opened: grpc.Channel, alone: dict[tuple[str, str, str], str]
) -> None:
    """Under everybody's load in random order each answer is that of a silent server."""

    def load(seed: int) -> list[tuple[tuple[str, str, str], str]]:
        dice, seen = random.Random(seed), []
        for _ in range(25):
            one, other = dice.sample(owners, 2)
            name, act = dice.choice([*acts(one, other, opened).items()])
            seen.append(((one.name, other.name, name), told(act)))
        return seen

    with ThreadPoolExecutor(6) as pool:
        answers = [answer for seen in pool.map(load, range(6)) for answer in seen]
    assert len({name for (_, _, name), _ in answers}) > 15
    for key, answer in answers:
        assert answer == alone[key], key


def test_nobody_is_told_a_word_of_anothers(
    owners: list[Owner], alone: dict[tuple[str, str, str], str]
) -> None:
    """In no answer stands a word, version, token or name of a tenant that did not ask, unless it was sent.

    Texts and names of the other that a tenant sent itself come back at most as they were sent: the ids, users
    and tokens, which it did not send, never.
    """
    for (one, other, name), answer in alone.items():
        of = next(each for each in owners if each.name == other)
        third = next(each for each in owners if each.name not in (one, other))
        for secret in (third.word, third.name, third.version, third.token):
            assert secret not in answer, (one, name)
        for secret in (f"{of.word}-1", f"{of.word}-user", f"{of.word}-r", of.token):
            assert secret not in answer, (one, name)
        if name not in ("the other's ranker", "the other's version", "promote the other's version"):
            assert of.version not in answer, (one, name)


def test_what_common_ids_stand_for_is_ones_own(
    owners: list[Owner], opened: grpc.Channel, alone: dict[Any, str]
) -> None:
    """Of a user, a page and an item that all have under one id each knows its own clicks and price alone."""
    for place, one in enumerate(owners, start=1):
        for name in ("the other's user", "the other's request id"):
            answer = acts(one, owners[place - 2], opened)[name]()
            (mine,) = [result for result in answer.results if result.id == ITEM]
            values = {each.name: each.value for each in mine.explanation.features}
            clicks = place if name == "the other's user" else 0
            assert (values["price"], values["clicked"]) == (place, pytest.approx(clicks)), (one.name, name)


def test_what_one_has_had_read_is_new_to_another(opened: grpc.Channel, owners: list[Owner]) -> None:
    """A model's work for one tenant's texts saves another none: its report tells nobody what others hold."""
    titles = [f"a text that nobody sent before, number {row}" for row in range(5)]

    def tokens(one: Owner, number: int) -> int:
        metadata = (("authorization", f"Bearer {one.token}"),)
        asked = question(one, number, titles, query=ranking.Query(text="texts"))
        stages = RankingStub(opened).Rank(asked, metadata=metadata, timeout=60).stages
        return next(stage.tokens for stage in stages if stage.name == "sentences")

    first = [tokens(one, 20) for one in owners]
    assert first[0] > 0
    assert set(first) == {first[0]}
    assert [tokens(one, 21) for one in owners] == [0] * len(owners)


def test_an_event_id_is_ones_own(opened: grpc.Channel, owners: list[Owner]) -> None:
    """What another tenant has recorded under an id makes nobody else's event a repetition."""
    counts = []
    for one, other in permutations(owners, 2):
        metadata = (("authorization", f"Bearer {one.token}"),)
        answer = FeedbackStub(opened).Record(events(one, one, 99), metadata=metadata, timeout=60)
        counts.append((answer.accepted, answer.duplicate, other.name))
    assert [accepted for accepted, _, _ in counts] == [1, 0] * len(owners)


def test_log_lines_name_one_tenant(
    logs: list[dict[str, Any]], owners: list[Owner], alone: dict[tuple[str, str, str], str]
) -> None:
    """A line about a tenant has its name and no word of another, but for what a refused caller sent."""
    about = [line for line in logs if line.get("tenant") in {one.name for one in owners}]
    assert len(about) > 50
    for line in about:
        content = json.dumps(line, default=str)
        words = [one for one in owners if one.word in content and one.name != line["tenant"]]
        asked_for_anothers = line["event"] == "refused" and any(one.word in line["message"] for one in words)
        assert not words or asked_for_anothers, line
        assert not any(one.token in content for one in owners)


def test_labels_hold_names_of_tenants_alone(
    server: Server, owners: list[Owner], alone: dict[Any, str]
) -> None:
    """No word that a tenant sent becomes a label value; of tenants, the declared names."""
    page = generate_latest(server.metrics.registry).decode()
    assert not [one.word for one in owners if one.word in page.replace(f'ranker="{one.word}"', "")]
    assert not [word for word in (USER, PAGE, ITEM, "-user", "-r1") if word in page]
    assert {one.name for one in owners} <= {
        name for name in ("alder", "birch", "cedar") if f'"{name}"' in page
    }


def test_a_tenant_that_is_removed_is_gone(
    store: DirectoryStore, opened: grpc.Channel, owners: list[Owner], alone: dict[Any, str]
) -> None:
    """Under load, every answer of the removed one is its ranking or a refusal; the others' stay the same."""
    leaving, *staying = owners

    def load(one: Owner) -> list[str]:
        return [told(acts(one, owners[2], opened)["own"]) for _ in range(30)]

    with ThreadPoolExecutor(3) as pool:
        answers = {one.name: pool.submit(load, one) for one in owners}
        Tenants(store.root).remove(leaving.name)
        for one in staying:
            other = "cedar" if one.name != "cedar" else "birch"
            assert set(answers[one.name].result()) == {alone[one.name, other, "own"]}
        gone = answers[leaving.name].result()
    allowed = ("StatusCode.UNAUTHENTICATED", "StatusCode.NOT_FOUND")
    assert all(each == alone[leaving.name, "cedar", "own"] or each.startswith(allowed) for each in gone)
    for _ in range(1_000):
        if (last := told(acts(leaving, owners[2], opened)["own"])).startswith(allowed):
            break
    assert last.startswith(allowed)
