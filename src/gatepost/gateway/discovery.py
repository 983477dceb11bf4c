"""Autodiscover, answered here, so that no phone is ever told of another way to its mail than through the gateway.

Version 2 says the same to everybody. Version 1 is for those who can log in, and for them the same too, except that access
control rules may refuse the action AutoDiscover: a phone that is denied runs Autodiscover again, and has to end up here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gatepost.engine import AccessRequest, Reason, access_control_effect
from gatepost.gateway.configuration import EAS_PATH
from gatepost.gateway.forwarding import Asked
from gatepost.gateway.locations import own_url
from gatepost.gateway.proving import Proving
from gatepost.model import Action, Effect
from gatepost.wire import autodiscover, basic_auth
from gatepost.wire.autodiscover import AutodiscoverError

if TYPE_CHECKING:
    from typing import IO

    from gatepost.engine import Decision, RuleSet
    from gatepost.gateway.downstream import Downstream
    from gatepost.gateway.forwarding import Head
    from gatepost.gateway.identify import Identity
    from gatepost.gateway.workings import Workings

log = structlog.get_logger(__name__)

_BEGINNING = b"/autodiscover/"
_NEVER_STORED = (b"Cache-Control", b"no-store")
_XML = (b"Content-Type", b"text/xml; charset=utf-8")
_JSON = (b"Content-Type", b"application/json; charset=utf-8")


def asks(target: bytes) -> bool:
    """True for a request target that is Autodiscover's business."""
    return target[: len(_BEGINNING)].lower() == _BEGINNING


class Discovery(Proving):
    """One such request, in place of an `Exchange`; made, started and told by its `Downstream`."""

    __slots__ = ("_own_url",)

    def __init__(
        self, workings: Workings, downstream: Downstream, head: Head, body: bytes, spool: IO[bytes] | None
    ) -> None:
        super().__init__(workings, downstream, head, body, spool)
        self._own_url = ""

    @property
    def command(self) -> str:
        """Not one of ActiveSync's, but it is counted beside them."""
        return "Autodiscover"

    def start(self) -> None:
        """Look at the request; it is whole."""
        head = self._head
        assert head is not None
        path, _, query = head.target.partition(b"?")
        version = autodiscover.version(path)
        url = own_url(self._workings.configuration.public_url, head.headers.get(b"host"))
        if version is None:
            self._reply(404)
        elif url is None:
            self._reply(400)
        elif version == 1:
            self._own_url = url
            self._ask(head)
        elif head.method != b"GET":
            self._reply(405, (b"Allow", b"GET"))
        else:
            urls = {"ActiveSync": url + EAS_PATH, "AutodiscoverV1": f"{url}/autodiscover/autodiscover.xml"}
            answer = autodiscover.answer_json(path, query, urls)
            self._reply(answer.status, *((_JSON,) if answer.body else ()), _NEVER_STORED, body=answer.body)

    def _ask(self, head: Head) -> None:
        """Version 1: who asks?"""
        if head.method not in {b"GET", b"POST"}:
            self._reply(405, (b"Allow", b"GET, POST"))
            return
        authorization = head.headers.get(b"authorization")
        login = None if authorization is None else basic_auth.login(authorization)
        if authorization is None or login is None:
            self._unauthorized()
        elif head.method == b"GET":  # a phone that looks for a redirect, or a browser
            self._say(autodiscover.render_error(AutodiscoverError(600, "a GET")))
        else:
            self._sent(Asked(None, authorization, login, None))
            self._ip_address, _ = self._workings.clients.client(
                self._downstream.peer, head.headers.get(b"x-forwarded-for"), head.headers.get(b"forwarded")
            )
            self._consider()

    def _consider(self) -> None:
        """Decide and answer; comes back here once the credentials are proven, if that is needed first."""
        if not self._fresh():
            self._prove()
            return
        workings, identity = self._workings, self.identity
        ruleset = None if identity is None else workings.replica.rulesets.get(identity.organization_id)
        if workings.decider.too_old:
            self._unavailable(Reason.RULES_TOO_OLD.value)
            return
        if identity is not None and ruleset is not None:
            decision = self._decide(ruleset, identity)
            workings.metrics.decided(decision)
            if decision.reason is Reason.ERROR:
                log.error("autodiscover.failed", error=decision.error, matched_rules=decision.matched_rules)
                self._unavailable(decision.reason.value)
                return
            if decision.effect is not Effect.ALLOW:
                self._refuse(identity, decision)
                return
        self._answer_xml(ruleset, identity)

    def _decide(self, ruleset: RuleSet, identity: Identity) -> Decision:
        request = AccessRequest(Action.AUTO_DISCOVER, self._ip_address, user_id=identity.user_id)
        return access_control_effect(ruleset, request)

    def _refuse(self, identity: Identity, decision: Decision) -> None:
        self._workings.notices.say(
            "access.refused",
            self._whose,
            user_id=identity.user_id,
            command=self.command,
            effect=decision.effect,
            reason=decision.reason.value,
            matched_rules=decision.matched_rules,
            revision=decision.revision,
        )
        self._reply(403, (b"X-MS-ASThrottle", decision.reason.value.encode()))

    def _answer_xml(self, ruleset: RuleSet | None, identity: Identity | None) -> None:
        """Whoever asks is told about himself: about which address he asked is only a claim."""
        try:
            address = autodiscover.read_request(self._document())
        except AutodiscoverError as error:
            self._workings.notices.say("autodiscover.malformed", error=str(error))
            self._say(autodiscover.render_error(error))
            return
        name = ""
        user = None if ruleset is None or identity is None else ruleset.users.get(identity.user_id)
        if user is not None:
            address = user.email or address
            name = dict(user.attributes).get("DisplayName", user.name)
        elif identity is not None and identity.address is not None:
            address = identity.address
        self._say(autodiscover.render_settings(address, name or address, self._own_url + EAS_PATH))

    def _document(self) -> bytes:
        if self._spool is None:
            return self._body
        self._spool.seek(0)
        return self._spool.read()

    def _say(self, document: bytes) -> None:
        self._reply(200, _XML, _NEVER_STORED, body=document)
