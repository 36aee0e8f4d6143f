"""The stored flow of a round: looked at before the round begins, and remembered by the network that it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tubelet.datasets.manifest import Manifest
from tubelet.errors import UsageError
from tubelet.flow.library import FlowSurvey, survey_flow
from tubelet.models.folder import read_provenance

if TYPE_CHECKING:
    from tubelet.protocols.rounds import RoundSettings


def stored_flow(settings: RoundSettings, manifests: Sequence[Manifest]) -> FlowSurvey | None:
    """What is stored for the videos of a round; None for a network that reads frames.

    Parameters
    ----------
    settings
        Its ``flow`` names a folder for each manifest.
    manifests
        The data set, then each further one.

    Raises
    ------
    InputDataError, UsageError
        As `tubelet.flow.library.survey_flow`; another number of folders than of data sets. Further data sets must have
        flow of the same kind as the first.
    """
    if not settings.modality.is_flow:
        return None
    if len(settings.flow) != len(manifests):
        raise UsageError(
            f"{len(manifests)} data sets are learned from, and stored flow is given for {len(settings.flow)}",
            remedy="give --flow DIR for the data set, then one for each --also, in this order",
        )
    saw = None
    if settings.weights is not None and settings.start_from == "same":
        saw = (read_provenance(settings.weights) or {}).get("flow")
    found: list[FlowSurvey] = []
    for folder, manifest in zip(settings.flow, manifests, strict=True):
        expected: dict[str, Any] | None = saw if not found else found[0].kind.to_dict()
        survey = survey_flow(
            folder,
            {item.path: manifest.file(item) for item in manifest.items},
            settings.modality,
            source=manifest.root,
            trained_with=expected,
            any_flow=settings.any_flow,
        )
        found.append(survey)
    notes = tuple(dict.fromkeys(note for survey in found for note in survey.notes))
    return FlowSurvey(found[0].root, found[0].kind, notes)
