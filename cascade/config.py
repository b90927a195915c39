"""`cascade.toml`, parsed into frozen values: features and stages as declared, nothing loaded yet."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cascade.ranking import INPUT
from cascade.stage import StageSpec
from features.errors import InvalidConfig
from features.feature import Feature
from features.featureset import FeatureSet
from features.registry import find, parse, parse_features

STAGES = "sluice.stages"


@dataclass(frozen=True, slots=True)
class CascadeConfig:
    """A declared cascade. `source` is the TOML it was read from, which its bundle keeps.

    `log`: what was shown is recorded in the event log, unless a request says otherwise.
    """

    features: tuple[Feature, ...]
    stages: tuple[StageSpec, ...]
    source: str
    log: bool = False

    def feature_set(self) -> FeatureSet:
        """The features, having learned nothing yet."""
        return FeatureSet.declare(self.features)


def parse_config(source: str) -> CascadeConfig:
    """A cascade from TOML.

    Raises:
        InvalidConfig: naming the key by its path, such as `$.stages[1].keep`.
    """
    try:
        tables = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"not TOML: {error}", path="$") from None
    log = tables.pop("log", False)
    if not isinstance(log, bool):
        raise InvalidConfig("must be true or false: whether impressions are recorded", path="$.log")
    unknown = sorted(set(tables) - {"features", "stages"})
    if unknown:
        raise InvalidConfig("unknown table; there are [[features]] and [[stages]]", path=f"$.{unknown[0]}")
    for key, value in tables.items():
        if not isinstance(value, list):
            raise InvalidConfig(f"must be an array of tables, each headed [[{key}]]", path=f"$.{key}")
    config = CascadeConfig(
        parse_features(tables.get("features", [])), parse_stages(tables.get("stages", [])), source, log
    )
    config.feature_set()
    return config


def parse_stages(tables: Any, path: str = "$.stages") -> tuple[StageSpec, ...]:
    """Stages from a list of TOML tables, each with its `kind`; a nameless one is named after it."""
    if not tables:
        raise InvalidConfig("a cascade needs at least one stage", path=path)
    specs: list[StageSpec] = []
    for position, table in enumerate(tables):
        where = f"{path}[{position}]"
        if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
            raise InvalidConfig("needs a kind", path=f"{where}.kind")
        rest = {
            "name": table["kind"],
            **{key: value for key, value in table.items() if key != "kind"},
        }
        specs.append(parse(rest, find(STAGES, table["kind"], where), where))
        check_order(specs, where)
    return tuple(specs)


def check_order(specs: Sequence[StageSpec], where: str) -> None:
    """Refuse a second stage of one name, and a cut that lets more through than the one before it."""
    *before, last = specs
    if last.name == INPUT:
        raise InvalidConfig(f"{INPUT!r} means the order that came in; choose a name", path=f"{where}.name")
    if last.name in {spec.name for spec in before}:
        raise InvalidConfig(f"a second stage named {last.name!r}; give it a name", path=f"{where}.name")
    cuts = [spec.keep for spec in before if spec.keep is not None]
    if cuts and last.keep is not None and last.keep > min(cuts):
        raise InvalidConfig(
            f"keeps {last.keep} where only {min(cuts)} arrive; keep may not grow",
            path=f"{where}.keep",
        )
