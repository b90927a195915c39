"""Rankers, versions and plans as messages of the Rankers service."""

from pathlib import Path

from cascade.check import FeatureRow, Plan, StageRow
from cascade.manifest import read_manifest
from cascade.promotion import Promotion, passed
from features.errors import SluiceError
from sluice.v1 import rankers_pb2 as pb


def to_info(ranker: str, promotion: Promotion, versions: int) -> pb.RankerInfo:
    """A ranker and what serves."""
    return pb.RankerInfo(
        ranker=ranker, version=promotion.version, history=promotion.history, versions=versions
    )


def to_version(directory: Path, version: str, promotion: Promotion) -> pb.VersionInfo:
    """A published bundle; one whose manifest cannot be read is told by its name alone."""
    told = pb.VersionInfo(
        version=version, promoted=version == promotion.version, approved=passed(promotion, version)
    )
    try:
        manifest = read_manifest(directory).manifest
    except SluiceError:
        return told
    told.created.FromDatetime(manifest.created)
    told.metrics.update(manifest.metrics)
    return told


def to_plan(version: str, found: Plan) -> pb.DescribePlanResponse:
    """A plan, feature by feature and stage by stage."""
    return pb.DescribePlanResponse(
        version=version,
        features=map(to_feature, found.features),
        stages=map(to_stage, found.stages),
        warnings=found.warnings,
    )


def to_feature(row: FeatureRow) -> pb.PlannedFeature:
    """One feature."""
    return pb.PlannedFeature(name=row.name, kind=row.kind, reads=row.reads, makes=row.makes)


def to_stage(row: StageRow) -> pb.PlannedStage:
    """One stage; fields that mean "all" stay unset."""
    return pb.PlannedStage(
        name=row.name,
        kind=row.kind,
        reads=row.reads,
        sees=row.sees,
        keep=row.keep,
        on_late=row.on_late,
        on_error=row.on_error,
    )
