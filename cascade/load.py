"""A ranker from a bundle, checked before the first request."""

from pathlib import Path

from cascade import golden, pipeline
from cascade.build import load_steps
from cascade.check import check_reads
from cascade.config import CascadeConfig, parse_config
from cascade.manifest import FEATURES, GOLDEN, STAGES, Bundle, open_bundle
from cascade.ranker import Ranker
from cascade.ranking import Status
from cascade.request import RankRequest
from cascade.states import load_states
from features.batch import Query, single
from features.columns import missing
from features.errors import NotReady
from features.featureset import FeatureSet


def load_ranker(directory: Path, name: str) -> Ranker:
    """The ranker of a bundle, ready to rank.

    Raises:
        NotFound: if there is no bundle.
        NotReady: if it does not fit this Sluice: a newer schema, another fingerprint, a missing model.
        Corrupt: naming the file whose digest differs, or the stage whose golden scores do not reproduce.
    """
    bundle = open_bundle(directory)
    config = parse_config(bundle.source)
    features = load_features(bundle, config)
    check_reads(config.stages, features.names)
    steps = load_steps(config.stages, directory / STAGES, features.names)
    golden.verify((directory / GOLDEN).read_bytes(), features, steps)
    ranker = Ranker(name, bundle.version, features, steps, config.log)
    rehearse(ranker)
    return ranker


def load_features(bundle: Bundle, config: CascadeConfig) -> FeatureSet:
    """The declared features with what they learned.

    Raises:
        NotReady: if this code would compute other numbers than those the stages were trained on.
    """
    features = load_states(bundle.directory / FEATURES, config.feature_set())
    if features.fingerprint != bundle.manifest.fingerprint:
        raise NotReady(
            f"the features of bundle {bundle.version} have fingerprint {features.fingerprint[:16]} here and"
            f" {bundle.manifest.fingerprint[:16]} when it was trained; train it again"
        )
    return features


def rehearse(ranker: Ranker) -> None:
    """One candidate of which nothing is known, through every stage.

    Raises:
        NotReady: naming the stage that cannot score it.
    """
    columns = {read.name: missing(read.kind, 1) for read in ranker.inputs}
    request = RankRequest(single(Query("rehearsal"), ["nothing-known"], columns))
    try:
        ranking = pipeline.run(ranker.steps, ranker.features.compute, request)
    except Exception as error:
        raise NotReady(f"a candidate without values cannot be ranked: {error}") from error
    for report in ranking.reports:
        if report.status is Status.FAILED:
            raise NotReady(f"stage {report.name!r} fails on a candidate without values: {report.reason}")
