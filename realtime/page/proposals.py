"""What a form asks to be done: to what was chosen, to all of a group, or for the whole."""

from collections.abc import Iterable
from typing import Any

from django.http import Http404, HttpRequest, QueryDict
from django.urls import reverse

from realtime.consumer.announce import has_message
from realtime.ledger import actions
from realtime.ledger.failures import Group
from realtime.ledger.flags import FlagGroup
from realtime.models import ActionItem, File, OperatorAction, RaisedFlag, Verb
from realtime.monitoring.status import groups
from realtime.monitoring.status.unannounced import look, unannounced
from realtime.page import names, services
from realtime.page.flags import flag_address, flag_group_of
from realtime.page.groups import address, group_of

_OF_FILES, _OF_FLAGS = (Verb.RETRY, Verb.DISCARD), (Verb.RESOLVE,)
_UNDONE_BY = {Verb.UNDISCARD: Verb.DISCARD, Verb.REOPEN: Verb.RESOLVE}


class Nothing(Exception):
    """There is nothing to do; `back` is the address to go to."""

    def __init__(self, why: str, back: str) -> None:
        super().__init__(why)
        self.back = back


def propose(request: HttpRequest) -> OperatorAction:
    """Record what the form asks for. Its field `do` is a verb, with `:all` for a whole group: that
    is then exactly the files or flags which are in it now. Raises Nothing, or Http404 for a form
    that no page of ours has."""
    fields, by = request.POST, request.user.get_username()
    word, _, all_of_it = fields.get("do", "").partition(":")
    if word not in Verb.values:
        raise Http404("no such action")
    verb = Verb(word)
    if verb in actions.ALONE:
        return actions.propose(verb, by, _whole(verb))
    if verb in _UNDONE_BY:
        return _undo(verb, by, fields)
    scope, back_to = _scope(verb, fields)
    model: Any = File if verb in _OF_FILES else RaisedFlag
    if all_of_it:
        ids = _ids_of(scope)
        what = f"{_number(len(ids), verb)} {_in_words(scope)}"
    else:
        chosen = [int(id) for id in fields.getlist("id") if id.isdecimal() and len(id) < 19]
        ids = list(model.objects.filter(pk__in=chosen).values_list("pk", flat=True))
        what, scope = f"{_number(len(ids), verb)} {_in_words(scope)} (chosen)", {}
    if not ids:
        why = "Nothing is left in this group." if all_of_it else "Nothing was chosen."
        raise Nothing(why, back_to)
    return actions.propose(verb, by, what, ids, scope)


def is_of_group(action: OperatorAction) -> bool:
    """Whether the action was proposed for all of a group."""
    return "alike" in action.scope or "kind" in action.scope


def joined(action: OperatorAction) -> int:
    """How many are in the action's group now that are not among its items, at most 1,000."""
    if not is_of_group(action):
        return 0
    items = ActionItem.objects.filter(action=action).values("target_id")
    return int(_query(action.scope).exclude(pk__in=items)[:1000].count())


def back(action: OperatorAction) -> str:
    """The address of what an action was proposed for."""
    scope = action.scope
    if "alike" in scope:
        return address(failure_group(scope))
    if "kind" in scope:
        return flag_address(flag_group(scope))
    if action.verb in actions.ALONE:
        return reverse("realtime:controls")
    of_flags = action.verb in (Verb.RESOLVE, Verb.REOPEN)
    return reverse("realtime:flags" if of_flags else "realtime:failures")


def _undo(verb: Verb, by: str, fields: QueryDict) -> OperatorAction:
    number = fields.get("action", "")
    found = OperatorAction.objects.filter(
        pk=int(number) if number.isdecimal() and len(number) < 19 else 0, verb=_UNDONE_BY[verb]
    ).first()
    if found is None:
        raise Http404("no such action")
    ids = actions.decided(found)
    if not ids:
        why = "Nothing is left to undo: others have decided since."
        raise Nothing(why, reverse("realtime:action", args=[found.pk]))
    # What was decided anew until it is their turn is left alone.
    what = found.what if len(ids) == found.size else f"{len(ids):,} of {found.what}"
    return actions.propose(verb, by, what, ids, {"undoes": found.pk})


def _scope(verb: Verb, fields: QueryDict) -> tuple[dict[str, Any], str]:
    """The group that a form is about, as an action keeps it, and the address of its page."""
    if verb in _OF_FILES:
        group = group_of(fields.get("alike", ""), fields)
        return {"alike": group.alike, "jurisdiction": group.jurisdiction_id}, address(group)
    flags = flag_group_of(fields)
    scope = {
        "kind": flags.kind,
        "jurisdiction": flags.jurisdiction_id,
        "of": flags.object_type,
        "lost": flags.lost,
    }
    return scope, flag_address(flags)


def failure_group(scope: dict[str, Any]) -> Group:
    """The group of failures that the scope of an action names."""
    return Group(scope["alike"], scope["jurisdiction"])


def flag_group(scope: dict[str, Any]) -> FlagGroup:
    """The group of flags that the scope of an action names."""
    return FlagGroup(scope["kind"], scope["jurisdiction"], scope["of"], scope["lost"])


def _query(scope: dict[str, Any]) -> Any:
    if "alike" in scope:
        return failure_group(scope).files()
    return flag_group(scope).flags()


def _ids_of(scope: dict[str, Any]) -> list[int]:
    found: Iterable[int] = _query(scope).order_by("pk").values_list("pk", flat=True)[: actions.MOST]
    return list(found)


def _in_words(scope: dict[str, Any]) -> str:
    whose = scope["jurisdiction"]
    place = "" if whose is None else f"of {names.name_of(whose)} "
    if "kind" in scope:
        of = f" ({scope['of']})" if scope["of"] else ""
        return f"{place}raised as {scope['kind']}{of}" + (
            f" for {scope['lost']}" if scope["lost"] else ""
        )
    about = groups.failure_group(Group(scope["alike"], whose))
    if about is None:
        return f"{place}that failed"
    at = f" at {about.field}" if about.field else ""
    said = f": {about.pattern}" if about.pattern else ""
    return f"{place}that failed as {about.reason or 'unknown'}{at}{said}"


def _number(number: int, verb: Verb) -> str:
    noun = "file" if verb in _OF_FILES else "flag"
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _whole(verb: Verb) -> str:
    config, here = services.config(), reverse("realtime:controls")
    if verb != Verb.ANNOUNCE:
        return ""
    if not config.queue_url:
        raise Nothing("There is no queue: import runs find such files themselves.", here)
    root = look(config, services.store)
    root.uploads = [one for one in root.uploads if has_message(config.bucket, one.key)]
    found = unannounced(root, config)
    if found.files is None:
        raise Nothing(f"The store cannot be looked at: {found.problem}", here)
    if not found.files:
        raise Nothing("No file has lost its message.", here)
    number = f"{'' if found.is_complete else 'at least '}{found.files:,}"
    return f"{number} file{'' if found.files == 1 else 's'} without an outcome"
