"""Which rankers are loaded before anybody asks for them."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice

from cascade.changes import Changes, Key
from cascade.names import DEFAULT, check_name
from features.errors import InvalidConfig, InvalidInput, NotFound
from serving.rankers.served import Source
from serving.settings import Rankers


def ahead(store: Source, changes: Changes, options: Rankers, class_of: Callable[[str], int]) -> Iterator[Key]:
    """Rankers in the order in which to load them: the base first, as it stands in for all others.

    The most recently promoted come next, as far as the store's list of changes goes back, then the others by
    name. Among the first `recent` of these, tenants of higher priority classes come before the others; the
    classes of those after them are not asked for, as each is a file to read. Nothing is listed beyond what is
    taken.
    """
    if options.base:
        yield parse_key(options.base, "$.rankers.base")
    if isinstance(options.preload, tuple):
        yield from (parse_key(name, "$.rankers.preload") for name in options.preload)
    elif options.preload != "none":
        every = known(store, changes)
        yield from sorted(islice(every, options.recent), key=lambda key: class_of(key[0]))
        yield from every if options.preload == "all" else ()


def known(store: Source, changes: Changes) -> Iterator[Key]:
    """Every ranker of a store, once."""
    seen: set[Key] = set()
    for key in chain(changes.latest(), chain.from_iterable(map(partial(of_tenant, store), store.tenants()))):
        if key not in seen:
            seen.add(key)
            yield key


def of_tenant(store: Source, tenant: str) -> list[Key]:
    """A tenant's rankers; none where it was removed meanwhile."""
    try:
        return [(tenant, ranker) for ranker in store.rankers(tenant)]
    except NotFound:
        return []


def parse_key(name: str, path: str) -> Key:
    """`tenant/ranker`, or `tenant` for its default one.

    Raises:
        InvalidConfig: for anything else.
    """
    tenant, _, ranker = name.partition("/")
    try:
        return check_name(tenant, path), check_name(ranker or DEFAULT, path)
    except InvalidInput as error:
        raise InvalidConfig(error.message, path=path) from None
