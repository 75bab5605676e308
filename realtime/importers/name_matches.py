"""The names of people and committees in a batch, and whether each matches somebody."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from openstates.importers import OrganizationImporter

from realtime.domain.flags import Flag
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.items import Item
from realtime.importers.pseudo_ids import spec_of

Who = Literal["person", "organization"]
# Longer names are cut, in flags only.
_WIDTH = 200


# What was asked: a pseudo id, in the chamber that its object says, if any. A plain tuple: there are
# tens of thousands in a batch of votes.
_Asked = tuple[Who, str, str | None]


def _named(asked: _Asked) -> tuple[str, str]:
    """The name and the chamber (empty: any) that are meant."""
    _, pseudo_id, said = asked
    spec = spec_of(pseudo_id) or {}
    name, chamber = spec.get("name"), said or spec.get("chamber")
    text = name if isinstance(name, str) and name else pseudo_id
    return " ".join(text.split())[:_WIDTH], chamber if isinstance(chamber, str) else ""


def _subject(asked: _Asked) -> str:
    name, chamber = _named(asked)
    return f"{name} ({chamber[:_WIDTH]})" if chamber else name


@dataclass
class NamesFound:
    """The names of a batch, as subjects of flags: those that somebody answers to, and a flag for
    each of the others with the places in the scrape order of the files that have it."""

    matched: set[str] = field(default_factory=set)
    unmatched: dict[str, tuple[Flag, set[ScrapeOrder]]] = field(default_factory=dict)

    def add(self, other: "NamesFound") -> None:
        """Add what another importer of the batch has found."""
        self.matched |= other.matched
        for subject, (flag, files) in other.unmatched.items():
            _, known = self.unmatched.setdefault(subject, (flag, set()))
            known |= files


class Names:
    """Notes what the importer of one type asks about names, during one batch.

    A name that fits several rows is flagged on the object that has it.
    """

    def __init__(self) -> None:
        self._files: dict[_Asked, set[ScrapeOrder]] = defaultdict(set)
        self._several: set[_Asked] = set()

    def unresolved(
        self, item: Item | None, who: Who, pseudo_id: str, chamber: str | None, problem: str
    ) -> None:
        """A name of this object resolved to nothing; `problem` is what core said, if it was asked
        now and not before."""
        asked = who, pseudo_id, chamber
        if problem.startswith("multiple"):
            self._several.add(asked)
        if item is None:
            return
        if asked in self._several:
            _flag_ambiguous(item, asked)
        else:
            self._files[asked].add(item.order)

    def unmatched(self) -> dict[str, tuple[Flag, set[ScrapeOrder]]]:
        """A flag for each name that nobody answers to, with the files that have it, by subject."""
        found: dict[str, tuple[Flag, set[ScrapeOrder]]] = {}
        for asked, orders in self._files.items():
            name, chamber = _named(asked)
            flag = Flag(
                "unmatched",
                object_type=asked[0],
                subject=_subject(asked),
                detail={"name": name, "chamber": chamber},
            )
            _, files = found.setdefault(flag.subject, (flag, set()))
            files |= orders
        return found


def subjects(who: Who, answers: Iterable[tuple[str, str | None]]) -> set[str]:
    """The subjects of these pseudo ids, each with its chamber."""
    return {_subject((who, pseudo_id, chamber)) for pseudo_id, chamber in answers}


def _flag_ambiguous(item: Item, asked: _Asked) -> None:
    flag = next((f for f in item.flags if f.kind == "ambiguous" and "names" in f.detail), None)
    if flag is None:
        flag = Flag("ambiguous", detail={"names": []})
        item.flags.append(flag)
    if (subject := _subject(asked)) not in flag.detail["names"]:
        flag.detail["names"].append(subject)


class AskedOrganizations:
    """Core's importer of organizations, which tells of each name that resolves to nothing."""

    def __init__(self, importer: OrganizationImporter, tell: Callable[[str, str], None]) -> None:
        self._importer = importer
        self.tell = tell
        self._problem = ""
        importer.error = self._heard

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        """As core's."""
        self._problem = ""
        found: str | None = self._importer.resolve_json_id(json_id, allow_no_match)
        if found is None and json_id:
            self.tell(json_id, self._problem)
        return found

    @property
    def asked_for_more(self) -> bool:
        """As Applier has it."""
        asked: bool = self._importer.asked_for_more
        return asked

    def found(self) -> list[str]:
        """The pseudo ids that have resolved."""
        return [one for one, row in self._importer.pseudo_id_cache.items() if row is not None]

    def _heard(self, message: str, *arguments: Any) -> None:
        self._problem = message
        self._importer.logger.error(message, *arguments)
