"""What the text kinds share: the analyzer's parameters, and statistics of a corpus or of the candidates."""

from typing import Literal

from features.batch import CandidateBatch
from features.columns import Input, Kind
from features.errors import NotReady
from features.feature import Feature, State
from features.text import statistics
from features.text.analyzer import Analyzer
from features.text.documents import documents as texts_of
from features.text.matches import Matches, matches, stacked
from features.text.statistics import Statistics


class TextFeature(Feature, frozen=True, kw_only=True):
    """A feature of analysed text. Features with equal analyzers share the analysis of a field.

    Attributes:
        language, stem, stop_words: of the analyzer (`features/text/analyzer.py`).
    """

    language: str = "english"
    stem: bool = False
    stop_words: bool = False

    def __post_init__(self) -> None:
        self.analyzer  # noqa: B018 (refuses an unknown language where the feature is declared)

    @property
    def analyzer(self) -> Analyzer:
        """How text becomes terms."""
        return Analyzer(self.language, self.stem, self.stop_words)

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The text columns it reads."""
        raise NotImplementedError

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The text columns."""
        return tuple(Input(field, Kind.TEXT) for field in self.text_fields)

    def matches(self, batch: CandidateBatch) -> Matches:
        """The hits of every query's terms in the fields."""
        return stacked([matches(batch, field, self.analyzer) for field in self.text_fields])


class WeightedFeature(TextFeature, frozen=True, kw_only=True):
    """A text feature that weighs terms by how rare they are.

    Attributes:
        statistics: "corpus" for frequencies and lengths learned in `prepare`; "candidates" for those of the
            query's own candidates, which needs no corpus and makes the feature listwise.
    """

    statistics: Literal["corpus", "candidates"] = "corpus"

    @property
    def listwise(self) -> bool:
        """True where the statistics are the candidates'."""
        return self.statistics == "candidates"

    def prepare(self, documents: CandidateBatch) -> State:
        """Document frequencies and mean lengths of a corpus."""
        if self.listwise:
            return {}
        return statistics.learn([texts_of(documents, field, self.analyzer) for field in self.text_fields])

    def known(self, batch: CandidateBatch, found: Matches, state: State) -> Statistics:
        """The statistics of the batch's query terms.

        Raises:
            NotReady: if a corpus was meant and none was learned.
        """
        if self.listwise:
            return statistics.of_candidates(found, batch.offsets)
        if "terms" not in state:
            raise NotReady(
                "has learned no corpus; prepare the feature set (sluice train does), or set "
                'statistics = "candidates"',
                path=f"features.{self.name}",
            )
        return statistics.of_corpus(found.queries, state)
