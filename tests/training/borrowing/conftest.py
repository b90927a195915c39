"""A store with a base in it, and tenants that may learn from each other."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cascade.config import CascadeConfig, parse_config
from cascade.store import DirectoryStore
from cascade.tenants import Tenant, Tenants
from training.borrowing.base import Base, open_base
from training.borrowing.testing import CASCADE, write_shop
from training.collection import read_collection
from training.publish import Target, Task, train_and_publish
from training.trainers import Context


@pytest.fixture(scope="session")
def noon() -> datetime:
    """When everything is made."""
    return datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def config() -> CascadeConfig:
    """A text feature and two numbers under one LambdaMART."""
    return parse_config(CASCADE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, config: CascadeConfig, noon: datetime) -> DirectoryStore:
    """A store in which `lender` has a promoted ranker that likes what is dear."""
    root: Path = tmp_path_factory.mktemp("lending")
    made = DirectoryStore(root / "store")
    task = Task(config, read_collection(write_shop(root / "lender", 120, seed=9)), "judged")
    version, _ = train_and_publish(task, Target(made, "lender", "default"), Context(figures=False), noon)
    made.promote("lender", "default", version)
    return made


@pytest.fixture
def base(store: DirectoryStore) -> Base:
    """That ranker, to borrow from."""
    return open_base(store, "lender")


@pytest.fixture
def share() -> Callable[[DirectoryStore, str], Tenant]:
    """Declares a tenant that lets a base learn from its data."""
    return lambda store, name: Tenants(store.root).add(name, Tenant(share_with_base=True))
