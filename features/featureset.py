"""Ordered features with what they learned: the same numbers offline and online."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.columns import Column, Floats, Input, Kind
from features.errors import InvalidConfig
from features.feature import COMPUTED, Feature, State
from features.matrix import FeatureMatrix


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features in order, each with its state; `prepare` returns a set that has learned a corpus."""

    features: tuple[Feature, ...]
    states: Mapping[str, State]

    @classmethod
    def declare(cls, features: Sequence[Feature]) -> "FeatureSet":
        """A set that has learned nothing yet.

        Raises:
            InvalidConfig: for two outputs of one name, or a feature that reads one not yet computed.
        """
        seen: set[str] = set()
        for position, feature in enumerate(features):
            path = f"$.features[{position}]"
            if feature.name in {other.name for other in features[:position]}:
                raise InvalidConfig(f"a second feature named {feature.name!r}", path=f"{path}.name")
            for read in feature.inputs:
                wanted = read.name.removeprefix(COMPUTED)
                if read.name.startswith(COMPUTED) and wanted not in seen:
                    raise InvalidConfig(f"reads {wanted!r}, which no feature before it computes", path=path)
            for name in feature.outputs:
                if name in seen:
                    raise InvalidConfig(f"a second feature output named {name!r}", path=f"{path}.name")
                seen.add(name)
        return cls(tuple(features), {})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the matrix's columns."""
        return tuple(name for feature in self.features for name in feature.outputs)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The candidate columns that are read, each once, in order."""
        every = (read for feature in self.features for read in feature.inputs)
        return tuple(dict.fromkeys(read for read in every if not read.name.startswith(COMPUTED)))

    def prepare(self, documents: CandidateBatch) -> "FeatureSet":
        """The set with every feature's state learned from a corpus (one row a document)."""
        states = {feature.name: feature.prepare(documents) for feature in self.features}
        return FeatureSet(self.features, states)

    def compute(self, batch: CandidateBatch) -> FeatureMatrix:
        """The features of a batch."""
        return self.compute_timed(batch)[0]

    def compute_timed(self, batch: CandidateBatch) -> tuple[FeatureMatrix, dict[str, float]]:
        """The features of a batch, and each one's seconds (the first reader of a text analyses it)."""
        values = np.empty((len(batch), len(self.names)), np.float32)
        seconds: dict[str, float] = {}
        done = 0
        for feature in self.features:
            start = perf_counter()
            source = self._with_computed(feature, batch, values)
            made = feature.compute(source, self.states.get(feature.name, {}))
            values[:, done : done + made.shape[1]] = made
            done += made.shape[1]
            seconds[feature.name] = perf_counter() - start
        return FeatureMatrix(values, self.names, batch.offsets, self.fingerprint), seconds

    def _with_computed(self, feature: Feature, batch: CandidateBatch, values: Floats) -> CandidateBatch:
        wanted = [read.name for read in feature.inputs if read.name.startswith(COMPUTED)]
        if not wanted:
            return batch
        at = {name: self.names.index(name.removeprefix(COMPUTED)) for name in wanted}
        return batch.with_columns({name: Column(Kind.NUMBER, values[:, i]) for name, i in at.items()})

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over kinds, versions, parameters and states: equal fingerprints give equal numbers."""
        digest = hashlib.sha256()
        for feature in self.features:
            digest.update(f"{feature.kind}/{feature.version}/".encode())
            digest.update(msgspec.json.encode(feature, order="deterministic"))
            for name, array in sorted(self.states.get(feature.name, {}).items()):
                digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
