"""The API under schemathesis: every operation, called by somebody who may, with everything that its schema allows and
much that it does not.

The engine runs over the application in this process. Who calls follows from the sample of the operation, with a session
opened for the one call; what ends a person or an organization gets one of its own to end.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import pyotp
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

from asgi import Person
from samples import Sample, SampleOf
from seeds_people import HASH, add_person, session_of
from tradewright.accounts import second_factors
from tradewright.accounts.limits import Policy
from tradewright.api.app import build
from tradewright.api.operations import Operation
from tradewright.api.routes import all_operations
from tradewright.api.rules import Rules
from tradewright.storage import accounts, people
from tradewright.storage.database import Tx

SAMPLES: dict[str, SampleOf] = {
    name: sample
    for area in ("samples_market", "samples_keys", "samples_people")
    for name, sample in importlib.import_module(area).SAMPLES.items()
}
OPERATIONS = {f"{operation.method} {operation.path}": operation for operation in all_operations()}
_SPELT = {
    name.lower(): name
    for name in ("Authorization", "Tradewright-CSRF", "Tradewright-Organization", "Tradewright-Environment")
}
ENDING = ("erase_me", "delete_organization", "leave_organization")
"""They take away what the other calls stand on, so each call gets something of its own to end."""
_OURS = re.compile("org_[a-z0-9]+")
PLENTY = Rules(
    key=Policy("key", 10**7, 60), organization=Policy("organization", 10**7, 60), address=Policy("address", 10**7, 60)
)

BEYOND: dict[str, str] = {
    "query:cursor": "a cursor is one that a page ended with",
    "query:instruments": "so many at a time, by the sum of what they take to read",
    "query:adjustment": "not of prices that their source adjusted",
    "query:start": "a span that begins after it ends",
    "/start": "a span that begins after it ends, or one of a listing, which comes whole",
    "/end": "one of a listing, which comes whole",
    "/expires_at": "a moment of the coming hundred years, counted from now",
    "/credential": "what an authenticator signed; its shape is the standard's",
    "/password": "one of two proofs, or a password that is among the common ones",
    "/new_password": "not among the common ones, and not the address",
    "/code": "the code that the app shows at this moment",
    "/data_set": "a data set or instruments, one of the two, and one that is there",
    "/instruments": "instruments that are there, or that the source can have",
    "/source": "a source that is there, that is on, and of which credentials are kept where it needs them",
    "/fields": "the fields that the source has, all of them",
    "/interval": "an interval that the source has",
    "/strategy": "a strategy that is there",
    "/params": "the parameters of that strategy",
    "/params/targets": "a column for each instrument",
    "/reason": "needed with an override",
    "/broker_account": "an account that is there",
    "/cash": "at least one",
    "/initial_cash": "above zero",
    "/addresses": "addresses or networks",
    "/signing/public_key": "the 32 bytes of a key, with the algorithm that has one",
    "/organization_name": "the name of an organization of one's own, so without an invitation",
    "/overlap_s": "written without a fraction: to JSON Schema 5.0 is a whole number too",
}
"""Why a value that its schema allows is refused all the same, by its pointer."""
_PART = re.compile("(?<=^/fields)/.*|/[0-9]+.*")
BEYOND_TEXTS = {
    "U+0000": "no text holds U+0000, in whichever field",
    "which nobody can see": "a name holds nothing that nobody can see",
    "something that can be seen": "a name holds something that can be seen",
    "more values were refused": "one of more than a hundred faults that are told",
}
"""The same by what is told of the value, in whichever field."""
BEYOND_CODES: dict[str, str] = {
    "idempotency_mismatch": "the generator sends one Idempotency-Key with two bodies",
    "precondition_failed": "the generator invents an ETag for If-Match",
}


@dataclass
class Outcome:
    """What was asked and answered. statuses: by operation id. faults: what broke a check, each said once."""

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    faults: dict[tuple[str, str, str], str] = field(default_factory=dict)
    checks: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(sum(counted.values()) for counted in self.statuses.values())

    @property
    def never_succeeded(self) -> set[str]:
        """Operations without an answer of 2xx."""
        ids = {operation.id for operation in OPERATIONS.values()}
        return {name for name in ids if not any(200 <= status < 300 for status in self.statuses[name])}

    def told(self) -> str:
        """Return every fault with the request that shows it."""
        return "\n\n".join(f"{' | '.join(key)}\n{text}" for key, text in sorted(self.faults.items()))

    def table(self) -> str:
        """Return one line for each operation: how many cases, and how often each status."""
        lines = [f"{'operation':24} {'cases':>6}  statuses"]
        for name, counted in sorted(self.statuses.items()):
            told = " ".join(f"{status}:{n}" for status, n in sorted(counted.items()))
            lines.append(f"{name:24} {sum(counted.values()):>6}  {told}")
        total = Counter(itertools.chain.from_iterable(counted.elements() for counted in self.statuses.values()))
        lines.append(f"{'all':24} {self.cases:>6}  " + " ".join(f"{s}:{n}" for s, n in sorted(total.items())))
        lines += [f"{n:>6} times checked: {name}" for name, n in self.checks.most_common()]
        lines += [f"{n:>6} excused: {reason}" for reason, n in self.excused.most_common()]
        return "\n".join([*lines, f"{self.seconds:.0f} s"])


class Callers:
    """Finds somebody who may call an operation."""

    def __init__(self, served: Any) -> None:
        self._served = served
        self._number = itertools.count()

    def of(self, operation: Operation, path: dict[str, str], declared: bool = True) -> dict[str, str]:
        """Return the headers of a caller. path: its parameters; what would end org_a names an organization of the
        caller's own afterwards. declared: False for a method that the path has not, which only callers are told."""
        served = self._served
        served.clock.advance(0.05)
        home = path.get("id", "org_a")
        if operation.id in ENDING and (home == "org_a" or not _OURS.fullmatch(home)):
            return self._throw_away(path)
        kind = SAMPLES[operation.id](served.made).caller
        if kind == "nobody" and declared:
            return {}
        if kind in ("key", "nobody"):
            return {"authorization": f"Bearer {served.keys['whole']}"}
        token = served.database.write(session_of, "usr_owner", served.clock.now_us(), kind == "stepped up")
        return Person(token, home if operation.id in ENDING else "org_a").headers

    def _throw_away(self, path: dict[str, str]) -> dict[str, str]:
        number = next(self._number)
        organization = f"org_fuzz_{number}"
        token = self._served.database.write(_somebody, f"fuzz_{number}", organization, self._served.clock.now_us())
        if path.get("id") == "org_a":
            path["id"] = organization
        return Person(token, organization).headers


class _Provider:
    """Callers as the engine asks for them: once for each case."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def get(self, case: Any, context: Any) -> dict[str, str]:
        operation = OPERATIONS[case.operation.label]
        path = {} if case.path_parameters is None else case.path_parameters
        return self._callers.of(operation, path, case.method.upper() == operation.method)

    def set(self, case: Any, given: dict[str, str], context: Any) -> None:
        for name in [name for name in case.headers or {} if name.lower() in _SPELT]:
            del case.headers[name]
        case.headers.update({_SPELT[name]: value for name, value in given.items() if name != "cookie"})
        if "cookie" in given:
            name, _, token = given["cookie"].partition("=")
            case.cookies = {**(case.cookies or {}), name: token}


def _somebody(tx: Tx, name: str, organization: str, now_us: int) -> str:
    accounts.add_organization(tx, organization, name, now_us)
    user = add_person(tx, name, now_us, organization, "owner")
    people.add_member(tx, organization, "usr_partner", "owner", now_us)
    return session_of(tx, user, now_us, stepped_up=True)


def fuzz(served: Any, phases: Sequence[str], examples: int, steps: int = 6, seed: int = 1) -> Outcome:
    """Run the engine over the whole document; return what it saw. examples: cases of each operation and phase."""
    app = build(replace(served.services, rules=PLENTY))
    document = json.loads(served.services.documents.openapi)
    schema = schemathesis.openapi.from_dict(document, config=_config(served, phases, examples, steps, seed))
    schema.app = app
    provider = _Provider(Callers(served))
    schema.auth(refresh_interval=None)(type("Bound", (), {"get": provider.get, "set": provider.set}))
    schema.hook(_examples(served, provider))
    outcome = Outcome()

    replays = _Replays()

    def after_call(context: Any, case: Any, response: Any) -> None:
        replays.note(case, response)

    def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
        reason = reason_of(failure, response) or replays.reason_of(failure, case)
        if reason is not None:
            outcome.excused[reason] += 1
        return reason is None

    schema.hook(after_call)
    schema.hook(filter_failure)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(outcome, event.recorder)
        elif isinstance(event, events.NonFatalError):
            outcome.faults[(event.label, "error", str(event.info.title))] = str(event.value)
        elif isinstance(event, events.EngineFinished):
            outcome.seconds = event.running_time
    return outcome


class _Replays:
    """Knows what a replayed answer said was made, and had been deleted before: it is not there, and rightly so."""

    def __init__(self) -> None:
        self._deleted: set[str] = set()
        self._told_again: set[str] = set()

    def note(self, case: Any, response: Any) -> None:
        """Remember what a successful call deleted, or was told again."""
        if case.method.upper() == "DELETE" and response.status_code == 204:
            self._deleted.update(map(str, (case.path_parameters or {}).values()))
        if "idempotency-replayed" in response.headers and response.status_code == 201:
            self._told_again.add(response.json().get("id", ""))

    def reason_of(self, failure: Any, case: Any) -> str | None:
        """Return why a failure is none, None where it is one."""
        ids = set(map(str, (case.path_parameters or {}).values())) & self._deleted & self._told_again
        if isinstance(failure, EnsureResourceAvailability) and ids:
            return "made once, deleted, and told again for the same Idempotency-Key"
        return None


def reason_of(failure: Any, response: Any) -> str | None:
    """Return why a failure is none: a rule that no schema can say refused the value, and said so."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code not in (400, 412, 422):
        return None
    problem = response.json()
    if response.status_code == 400:
        empty = problem["detail"].startswith("If-Match must be an ETag as GET gives it, in double quotes; got ''")
        return "the generator sends an empty If-Match, which its pattern excludes" if empty else None
    if problem["code"] in BEYOND_CODES:
        return BEYOND_CODES[problem["code"]]
    reasons = [_beyond(fault) for fault in problem["errors"]]
    return reasons[0] if reasons and None not in reasons else None


def _beyond(fault: Mapping[str, str]) -> str | None:
    told = next((reason for text, reason in BEYOND_TEXTS.items() if text in fault["detail"]), None)
    return told or BEYOND.get(_PART.sub("", fault["pointer"]))


def _note(outcome: Outcome, recorder: Any) -> None:
    for key, interaction in recorder.interactions.items():
        if interaction.response is None:
            continue
        operation = OPERATIONS[recorder.cases[key].value.operation.label]
        name = operation.id if interaction.request.method == operation.method else "(another method)"
        outcome.statuses[name][interaction.response.status_code] += 1
    for key, checks in recorder.checks.items():
        for check in checks:
            outcome.checks[check.name] += 1
            if check.failure_info is not None:
                failure = check.failure_info.failure
                response = recorder.interactions[failure.case_id or key].response
                said = f"{failure.title}: {failure.message}\n{check.failure_info.code_sample}"
                outcome.faults.setdefault(
                    (failure.operation, check.name, failure.message[:60]),
                    f"{said}\n{response.status_code} {response.content[:600]!r}",
                )


_REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]


def _config(served: Any, phases: Sequence[str], examples: int, steps: int, seed: int) -> SchemathesisConfig:
    given: dict[str, Any] = {
        "seed": seed,
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True, "mode": "all"},
        "continue-on-failure": True,
        "phases": {
            "enabled": False,
            **{name: {"enabled": True} for name in phases},
        },
        "warnings": False,
        # the usual ones, with 413 (a target that is too long, documented at every operation) and without 5xx
        "checks": {"negative_data_rejection": {"expected-statuses": _REFUSALS}},
    }
    if "stateful" in phases:
        given["phases"]["stateful"]["max-steps"] = steps
    given["dictionaries"], given["operations"] = _seeded(served.made)
    return SchemathesisConfig.from_dict(given)


def _seeded(made: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    # the parameters of each sample, so that what is generated meets things that exist
    dictionaries: dict[str, Any] = {}
    operations = []
    for operation in OPERATIONS.values():
        parameters = path_of(operation, SAMPLES[operation.id](made))
        for name, value in parameters.items():
            dictionaries[f"{operation.id}_{name}"] = {"values": [value]}
        if parameters:
            bound = {
                f"path.{name}": {"dictionary": f"{operation.id}_{name}", "probability": 0.6} for name in parameters
            }
            operations.append({"include-operation-id": operation.id, "parameters": bound})
    return dictionaries, operations


def _renewed(served: Any, operation: Operation) -> dict[str, str]:
    # what an operation before it has used up
    now_us, write = served.clock.now_us(), served.database.write
    if operation.id == "confirm_totp":
        secret, _ = write(second_factors.enrol, served.services.vault, "usr_owner", "owner@example.com", now_us)
        return {"code": pyotp.TOTP(secret).at(now_us // 1_000_000)}
    if operation.id == "step_up":
        write(people.rehash_password, "usr_owner", HASH)
        return {"recovery code": write(second_factors.make_recovery_codes, "usr_owner", now_us)[0]}
    return {}


def path_of(operation: Operation, sample: Sample) -> dict[str, str]:
    """Return the values of the parameters of a sample's path."""
    parts = zip(operation.path.split("/"), sample.target.partition("?")[0].split("/"), strict=True)
    return {name[1:-1]: value for name, value in parts if name.startswith("{")}


def _examples(served: Any, provider: _Provider) -> Any:
    """Return a hook that adds the sample of an operation to its examples."""

    def before_add_examples(context: Any, examples: list[Any]) -> None:
        operation = OPERATIONS[context.operation.label]
        sample = SAMPLES[operation.id](served.made | _renewed(served, operation))
        given: dict[str, Any] = {
            "path_parameters": path_of(operation, sample),
            "query": dict(parse_qsl(sample.target.partition("?")[2])),
            "headers": dict(sample.headers),
        }
        if sample.body is not None:
            given |= {"body": sample.body, "media_type": "application/json"}
        case = context.operation.Case(**given)
        provider.set(case, provider.get(case, None), None)
        case._has_explicit_auth = True
        examples.append(case)

    return before_add_examples
