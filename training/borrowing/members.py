"""The tenants of one run, and the collection of each: a folder of collections, or one that a field cuts."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec

from cascade.names import is_name
from features.errors import InvalidInput, NotFound
from training.collection import Collection, need, read_collection
from training.files import find
from training.records import read_documents
from training.sources import open_collection


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant, and where its collection is: small enough to hand to another process.

    Attributes:
        tenant: the name, as it stands in the data.
        path: the collection's folder. `queries`: the NAME in `queries.NAME.jsonl`.
        field: the queries' field that holds the tenant's name, where the collection is several tenants'.
    """

    tenant: str
    path: str
    queries: str = ""
    field: str = ""

    @property
    def problem(self) -> str:
        """Why no tenant may be called that; "" = one may."""
        return "" if is_name(self.tenant) else "is no name of a tenant: a-z, 0-9, '_' and '-', at most 63"

    def collection(self) -> Collection:
        """The tenant's collection; without queries where it has documents alone.

        Raises:
            NotFound, InvalidInput: naming what is missing or cannot be right.
        """
        path = Path(self.path)
        if self.field:
            return only(opened(self.path, self.queries), self.field, self.tenant)
        return read_collection(path, self.queries) if has_queries(path) else documents_of(path)


def has_queries(folder: Path) -> bool:
    """Whether there are queries at all; a folder with documents alone is a tenant that has just begun."""
    return any(folder.glob("queries*")) or any(folder.glob("qrels*")) or not find(folder, "corpus", "jsonl")


def documents_of(folder: Path) -> Collection:
    """A collection of documents without a single query."""
    corpus = need(folder, "corpus", "", ("jsonl",))
    return Collection(read_documents(corpus), {}, {}, files={"corpus": corpus})


@lru_cache(maxsize=1)
def opened(path: str, queries: str) -> Collection:
    """A collection that several tenants share, read once a process."""
    return open_collection(Path(path), queries)


def only(collection: Collection, field: str, tenant: str) -> Collection:
    """The queries of one tenant, over all documents."""
    queries = {key: query for key, query in collection.queries.items() if query.values.get(field) == tenant}
    grades = {key: collection.grades[key] for key in queries}
    return replace(collection, queries=queries, grades=grades, part=f"{field}={tenant}")


def in_folder(folder: Path, queries: str) -> tuple[Member, ...]:
    """A tenant for each sub-folder, sorted by name.

    Raises:
        NotFound: if there is no folder, or none in it.
    """
    names = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    if not names:
        raise NotFound("needs a folder with a collection for each tenant in it", path=str(folder))
    return tuple(Member(tenant=name, path=str(folder / name), queries=queries) for name in names)


def by_field(path: Path, queries: str, field: str) -> tuple[Member, ...]:
    """A tenant for each value of a field of the queries, sorted by name.

    Raises:
        InvalidInput: if no query has the field.
    """
    collection = opened(str(path), queries)
    names = {query.values.get(field) for query in collection.queries.values()}
    found = sorted(name for name in names if isinstance(name, str) and name)
    if not found:
        fields = sorted({name for query in collection.queries.values() for name in query.values})
        raise InvalidInput(
            f"no query has a text field {field!r}; there are {', '.join(fields) or 'none'}", path="--by"
        )
    return tuple(Member(tenant=name, path=str(path), queries=queries, field=field) for name in found)
