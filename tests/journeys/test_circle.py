"""The whole circle over real processes: served pages become clicks, clicks a ranker, and that one serves."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from cascade.store import DirectoryStore
from serving.testing import serving_process
from sluice import Client, Interaction, Ranking, Request
from training.simulate.constants import ATTRACTION, POSITION_BIAS
from training.simulate.log import between
from training.simulate.users import PositionBasedUsers

LIVE, HELD, DOCUMENTS = 100, 120, 12
VISITS, SHOWN = 10, 8
PATIENCE_S = 120.0
CASCADE = """
log = true

[[features]]
kind = "numeric"
name = "taste"
field = "taste"

[[features]]
kind = "numeric"
name = "fame"
field = "fame"

[[features]]
kind = "numeric"
name = "price"
field = "price"

[[stages]]
name = "trees"
kind = "lambdamart"
train = { trees = 40, leaves = 6, min_in_leaf = 20, folds = 2 }
"""
SETTINGS = """
poll_s = 0.1

[feedback]
wait = true
"""
BEHAVIOUR = """
split = "user"
resamples = 0
"""


@dataclass(frozen=True, eq=False)
class Shop:
    """Queries with documents, of which some are good: taste tells which, roughly; fame and price do not.

    Attributes:
        good: bool[q, d]. `taste`, `fame`, `price`: float64[q, d].
    """

    good: np.ndarray
    taste: np.ndarray
    fame: np.ndarray
    price: np.ndarray

    @classmethod
    def drawn(cls, seed: int) -> "Shop":
        """As many queries as are asked live and judged."""
        random = np.random.default_rng(seed)
        shape = (LIVE + HELD, DOCUMENTS)
        good = random.random(shape) < 0.3
        return cls(good, good + random.normal(0, 0.4, shape), random.random(shape), random.random(shape))

    def items(self, query: int, documents: Sequence[int]) -> list[dict[str, object]]:
        """Candidates as a request has them."""
        return [
            {
                "id": f"{query}-{number}",
                **{name: float(getattr(self, name)[query, number]) for name in ("taste", "fame", "price")},
            }
            for number in documents
        ]

    def write(self, folder: Path) -> Path:
        """A collection: last year's labels, when fame was all, and true ones of the held-out queries."""
        folder.mkdir()
        every = range(DOCUMENTS)
        rows = [item for query in range(LIVE + HELD) for item in self.items(query, every)]
        (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        old = {query: self.fame[query] > 0.6 for query in range(40)}
        held = {query: self.good[query] for query in range(LIVE, LIVE + HELD)}
        for name, grades in (("old", old), ("held", held)):
            asked = "".join(json.dumps({"_id": f"q{one}", "text": f"query {one}"}) + "\n" for one in grades)
            (folder / f"queries.{name}.jsonl").write_text(asked)
            judged = "".join(
                f"q{query}\t{query}-{number}\t{int(found[number])}\n"
                for query, found in grades.items()
                for number in every
            )
            (folder / f"qrels.{name}.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
        return folder

    def visits(self, random: np.random.Generator) -> Iterator[Request]:
        """Everybody asks once; of a query's documents some are in stock, so that they come at many places."""
        for number in range(LIVE * VISITS):
            query = number % LIVE
            stock = random.choice(DOCUMENTS, SHOWN, replace=False).tolist()
            yield Request(
                query=f"query {query}",
                candidates=self.items(query, stock),
                user_id=f"u{number}",
                request_id=f"r{number}",
            )

    def clicks(self, answers: Sequence[Ranking], random: np.random.Generator) -> list[Interaction]:
        """What position-based users click on the served pages."""
        ids = [[result.id for result in answer.results] for answer in answers]
        at = np.array([[tuple(map(int, name.split("-"))) for name in page] for page in ids])
        alpha = between(self.good[at[..., 0], at[..., 1]].astype(float), ATTRACTION)
        users = PositionBasedUsers(POSITION_BIAS)
        clicked = users.draw(alpha, alpha, np.ones(alpha.shape, bool), random)
        return [
            Interaction(request_id=answers[page].request_id, candidate_id=ids[page][place])
            for page, place in np.argwhere(clicked).tolist()
        ]

    def ndcg(self, client: Client) -> float:
        """nDCG@10 of what is served for the held-out queries."""
        asked = [
            Request(
                query=f"query {query}", candidates=self.items(query, range(DOCUMENTS)), log=False,
                request_id=str(query), top_k=10,
            )
            for query in range(LIVE, LIVE + HELD)
        ]  # fmt: skip
        discount = 1 / np.log2(np.arange(2, 12))
        found = []
        for answer in ranked(client, asked):
            good = self.good[int(answer.request_id)]
            gains = [good[int(result.id.partition("-")[2])] for result in answer.results]
            best = np.sort(good)[::-1][:10] @ discount
            found.append((gains @ discount) / best if best else np.nan)
        return float(np.nanmean(found))


def ranked(client: Client, requests: Sequence[Request]) -> list[Ranking]:
    """The answers in the order of the requests."""
    answers = {}
    for answer in client.rank_many(requests, timeout_s=PATIENCE_S):
        assert isinstance(answer, Ranking), answer
        answers[answer.request_id] = answer
    return [answers[request.request_id] for request in requests]


def sluice(*arguments: object) -> str:
    """A command's standard output."""
    command = [sys.executable, "-c", "from cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def served(client: Client, shop: Shop, version: str) -> bool:
    """Whether a version serves before patience ends; asked for again and again, without a restart."""
    end = monotonic() + PATIENCE_S
    while monotonic() < end:
        if client.rank("query 0", shop.items(0, [0, 1]), log=False, timeout_s=5.0).version == version:
            return True
    return False


def test_the_whole_circle(tmp_path: Path) -> None:
    """Serve, click, retrain, gate, promote, hot reload: the served nDCG on held-out queries rises."""
    shop, random = Shop.drawn(1), np.random.default_rng(2)
    collection, store, log = shop.write(tmp_path / "shop"), tmp_path / "store", tmp_path / "log"
    config, settings, behaviour = (
        tmp_path / name for name in ("cascade.toml", "server.toml", "behaviour.toml")
    )
    for file, text in ((config, CASCADE), (settings, SETTINGS), (behaviour, BEHAVIOUR)):
        file.write_text(text)
    mine = ("--store", store, "--tenant", "shop")
    sluice("train", "--collection", collection, "--queries", "old", "--config", config, *mine, "--promote")
    old = DirectoryStore(store).promotion("shop", "default").version

    with (
        serving_process(store, "--log", str(log), "--settings", str(settings)) as server,
        Client(server.target, "shop", timeout_s=PATIENCE_S) as client,
    ):
        before = shop.ndcg(client)
        answers = ranked(client, [*shop.visits(random)])
        assert {answer.version for answer in answers} == {old}
        assert not [warning for answer in answers for warning in answer.warnings]
        clicks = shop.clicks(answers, random)
        assert client.record(clicks).accepted == len(clicks)

        figures = tmp_path / "trained.json"
        sluice(
            "train", "--log", log, "--since", "1d", "--config", config, *mine, "--behaviour", behaviour,
            "--json", figures,
        )  # fmt: skip
        new = json.loads(figures.read_text())["version"]
        assert DirectoryStore(store).promotion("shop", "default").version == old
        labels = tmp_path / "labels.json"
        sluice(
            "evaluate", "--collection", collection, "--queries", "held", *mine, "--version", new,
            "--against", old, "--json", labels,
        )  # fmt: skip
        sluice("promote", *mine, "--version", new, "--evaluation", labels)
        assert served(client, shop, new)
        after = shop.ndcg(client)
    assert after > before + 0.1
    told = json.loads(sluice("status", *mine, "--log", log, "--json"))
    (one,) = told["rankers"]
    assert one["serving"]["version"] == new
    assert not one["serving"]["forced"]
    assert one["serving"]["data_window"]["until"] > one["seen"]["last_page"]
    assert one["seen"]["versions"] == {old: LIVE * VISITS}
    assert one["seen"]["interactions"] == {"click": len(clicks)}
