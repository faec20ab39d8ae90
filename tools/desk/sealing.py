"""Seals a watchlist for devices: the only way in which templates leave the desk (R46, R55, R56).

In: references with their templates, and until when each holds. Out: the bytes of
`watchlist.sealed` (`device.protocol.sealed`) and the digests for the manifest. Levels of the
references among each other are computed here, on plain templates; a device cannot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from device.errors import WatchlistError
from device.matching.gallery import Gallery
from device.matching.protection import Transformation, protect, template_digests, width_of
from device.memory import Key
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.sealed import ListedReference, ListHeader, Sealing
from device.protocol.watchlist import DemonstrationList, Reference

_FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Validity:
    """Until when a reference is looked for, the earlier of both (R7): RFC 3339, milliseconds, Z."""

    expires_at: str
    review_at: str


@dataclass(frozen=True, slots=True)
class SealedWatchlist:
    """content: the target `watchlist.sealed`. template_sha256: by reference id, as on devices."""

    content: bytes
    template_sha256: dict[str, str]


def seal_watchlist(  # noqa: PLR0913 - what an authorisation binds a list to
    references: list[Reference],
    listed: Mapping[str, Validity],
    *,
    watchlist: ListVersion,
    deployment: str,
    created_at: str,
    embedder: ModelHash,
    deployment_key: Key,
) -> SealedWatchlist:
    """Transform and encrypt a list. Sealed again, nothing in it resembles the first time.

    references: ids of `OpaqueReference`'s form. listed: for exactly these. Raises WatchlistError:
    an empty or too long list (R12), an id that could tell something (R56), a reference without its
    dates (R7), twice on the list, or without a direction.
    """
    dimension = _dimension_of(references)
    _refuse_unlisted(references, listed)
    # Sorted by their random ids: the order in which people were enrolled is nobody's business.
    references = sorted(references, key=lambda each: each.reference_id)
    header = ListHeader(
        watchlist=watchlist,
        deployment=deployment,
        created_at=created_at,
        embedder=embedder.name,
        embedder_sha256=embedder.sha256,
        dimension=dimension,
        width=width_of(dimension),
        entries=[_entry(each.reference_id, listed[each.reference_id]) for each in references],
    )
    plain = Gallery(_as_list(header, references), embedder.sha256)
    sealing = Sealing(deployment_key, watchlist, deployment)
    transformation = Transformation(sealing.seed, dimension, len(references))
    try:
        rows = protect(plain.matrix, plain.offsets(), transformation)
        return SealedWatchlist(sealing.seal(header, rows), template_digests(plain.ids, rows))
    finally:
        for secret in (plain, sealing, transformation):
            secret.wipe()


def _dimension_of(references: list[Reference]) -> int:
    if not references:
        raise WatchlistError("A watchlist without a reference cannot be sealed: add one first.")
    lengths = {len(template) for each in references for template in each.templates}
    if len(lengths) != 1 or min(lengths) % _FLOAT32_BYTES:
        raise WatchlistError(
            "The templates of this watchlist differ in length: enrol its photographs again with "
            "one embedder."
        )
    return min(lengths) // _FLOAT32_BYTES


def _refuse_unlisted(references: list[Reference], listed: Mapping[str, Validity]) -> None:
    ids = {each.reference_id for each in references}
    if len(ids) != len(references):
        raise WatchlistError("This watchlist names a reference twice: revoke one of them.")
    if ids != set(listed):
        odd = min(ids ^ set(listed))
        raise WatchlistError(
            f"Reference {odd} has a template or dates, but not both: enrol it again (R7)."
        )


def _entry(reference_id: str, validity: Validity) -> ListedReference:
    return ListedReference(reference_id, validity.expires_at, validity.review_at)


def _as_list(header: ListHeader, references: list[Reference]) -> DemonstrationList:
    return DemonstrationList(
        list_id=header.watchlist.id,
        version=header.watchlist.version,
        created_at=header.created_at,
        embedder=header.embedder,
        embedder_sha256=header.embedder_sha256,
        dimension=header.dimension,
        references=references,
    )
