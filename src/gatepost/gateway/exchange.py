"""One request of a phone: who asks, whether it may, and how it is told no.

    start ─► identify ─► decide ─┬─ ALLOW ───────────────► forward ─► answer ─► over
                                 ├─ undecided, identifying ► forward
                                 └─ else ─► prove credentials ─► refuse ─► over

Until the answer's head is sent, `reconsider` may end it in the words of its command.
"""

from __future__ import annotations

from dataclasses import replace
from typing import IO, TYPE_CHECKING

import structlog

from gatepost.engine import Reason
from gatepost.gateway import forwarding, refusing
from gatepost.gateway.answers import corrected
from gatepost.gateway.devices import NOTHING_REPORTED
from gatepost.gateway.forwarding import Asked
from gatepost.gateway.proving import Proving
from gatepost.wire import basic_auth
from gatepost.wire.eas import device_information, provisioning, refusal
from gatepost.wire.eas.commands import at_least
from gatepost.wire.eas.request import MalformedRequest, UnknownCommand
from gatepost.wire.wbxml import WbxmlError, decode

if TYPE_CHECKING:
    from gatepost.engine import Decision, RuleSet
    from gatepost.gateway.devices import DeviceState
    from gatepost.gateway.downstream import Downstream
    from gatepost.gateway.forwarding import Head
    from gatepost.gateway.identify import Identity
    from gatepost.gateway.workings import Workings
    from gatepost.model import DeviceFacts
    from gatepost.wire.eas.refusal import Refusal
    from gatepost.wire.eas.request import EasRequest

log = structlog.get_logger(__name__)

_IDENTIFYING = frozenset({"Provision", "Settings"})
_OUR_FAULT = frozenset({Reason.RULES_TOO_OLD, Reason.ERROR})
_PATHS = frozenset(
    {b"/Microsoft-Server-ActiveSync", b"/microsoft-server-activesync", b"/microsoft-server-activesync/default.eas"}
)
_PING_EXPIRED = bytes.fromhex("03016a00000d45470331000101")  # <Ping><Status>1</Status></Ping>


class Exchange(Proving):
    """See the module; made, started and told by its `Downstream`."""

    __slots__ = (
        "_asks_policy",
        "_facts",
        "_http_user_agent",
        "_ruleset",
        "_state",
    )

    def __init__(
        self, workings: Workings, downstream: Downstream, head: Head, body: bytes, spool: IO[bytes] | None
    ) -> None:
        super().__init__(workings, downstream, head, body, spool)
        self._state: DeviceState | None = None
        self._http_user_agent: str | None = None
        self._facts: DeviceFacts | None = None
        self._ruleset: RuleSet | None = None
        self._asks_policy = False

    # -- what it asks and whether it may

    def start(self) -> None:
        """Look at the request; it is whole, or a long body has begun to come."""
        try:
            if self._read_head():
                self._read_body()
                self._consider()
        except UnknownCommand as error:
            self._workings.notices.say("request.unknown_command", error=str(error))
            self._reply(501)
        except (MalformedRequest, forwarding.WrongBody, WbxmlError) as error:
            self._workings.notices.say("request.malformed", error=str(error))
            self._reply(400)

    def _read_head(self) -> bool:
        """Who asks for what; False when that is answered already. Raises MalformedRequest."""
        head, workings = self._head, self._workings
        assert head is not None
        try:
            asked = head.asked or self._ask(head)
        except forwarding.NotOffered as refused:
            self._eas = refused.eas
            self._workings.notices.say("request.not_offered", error=str(refused))
            self._say(refused.refusal)
            return False
        if asked is None:
            return False
        self._sent(asked)
        self._ip_address, self._forwarded_for = workings.clients.client(
            self._downstream.peer, head.headers.get(b"x-forwarded-for"), head.headers.get(b"forwarded")
        )
        prepared, identity = asked.prepared, self.identity
        if prepared is not None:
            self._eas = eas = prepared.eas
            self._start, self._long, self._repeatable = prepared.start, prepared.long, prepared.repeatable
            self._http_user_agent = asked.http_user_agent
            if identity is not None:
                self._state = workings.devices.get(identity.user_id, eas.device_id)
        return True

    def _ask(self, head: Head) -> Asked | None:
        """What the head says; None when that is answered already. Raises MalformedRequest."""
        path, _, query = head.target.partition(b"?")
        headers = head.headers
        if path not in _PATHS and path.lower().rstrip(b"/") not in _PATHS:
            self._reply(404)
            return None
        authorization = headers.get(b"authorization")
        login = None if authorization is None else basic_auth.login(authorization)
        if authorization is None or login is None:
            self._unauthorized()
            return None
        if head.method == b"OPTIONS":
            if head.length:  # a body, which is nobody's
                self._reply(400)
                return None
            return Asked(None, authorization, login, None)
        if head.method != b"POST":
            self._reply(405, (b"Allow", b"OPTIONS, POST"))
            return None
        prepared = self._workings.forwarding.prepare(
            query, headers.get(b"ms-asprotocolversion"), headers.get(b"x-ms-policykey"), login
        )
        agent = headers.get(b"user-agent")
        user_agent = None if agent is None else agent[:1024].decode("latin-1").strip() or None  # rules see less
        head.asked = Asked(prepared, authorization, login, user_agent)
        return head.asked

    def _read_body(self) -> None:
        """Check that the body is the command's own. Raises WrongBody, WbxmlError."""
        head, eas = self._head, self._eas
        assert head is not None
        if eas is not None:
            self._body_type = forwarding.content_type(eas, head.headers, self._first(), empty=head.length == 0)
            if eas.command in _IDENTIFYING:
                self._read_document()

    def _first(self) -> bytes:
        if self._spool is None:
            return self._body
        self._spool.seek(0)
        first = self._spool.read(64)
        self._spool.seek(0)
        return first

    def _read_document(self) -> None:
        """Provision and Settings are read whole: they carry what the device says about itself."""
        assert self._head is not None
        limits = self._downstream.limits.documents
        if self._head.length > limits.size:
            raise forwarding.WrongBody(f"{self._asked().command} with {self._head.length} bytes")
        body = self._body if self._spool is None else self._spool.read()
        if self._spool is not None:
            self._spool.seek(0)
        document = decode(body, limits)
        self._facts = device_information.read(document)
        if self._facts is None and self._asked().command == "Provision":
            step = provisioning.read(document)
            self._asks_policy = step is None or step.phase is provisioning.Phase.INITIAL

    def _asked(self) -> EasRequest:
        assert self._eas is not None
        return self._eas

    def _decide(self) -> Decision:
        replica, identity = self._workings.replica, self.identity
        self._ruleset = None if identity is None else replica.rulesets.get(identity.organization_id)
        return self._workings.decider.decide(
            identity, self._asked(), self._http_user_agent, self._ip_address, self._state
        )

    def _consider(self) -> None:
        """Decide and act; comes back here once the credentials are proven, if that is needed first."""
        if not self._known():
            self._prove()
        elif self._eas is None:
            if self._admitted():
                self._forward()
        elif self._facts is None or self.identity is None or self._is_heard(self._facts, self.identity):
            self._facts = None
            self._act()

    def _is_heard(self, said: DeviceFacts, identity: Identity) -> bool:
        """What the device says of itself is known now; False when that is answered, or will be."""
        known = NOTHING_REPORTED if self._state is None else self._state.facts
        facts = device_information.merge(known, said)
        if facts == known:
            return True
        if not self._fresh():
            self._prove()
        elif self._is_one_too_many() and self._decide().reason is not Reason.MOBILE_DEVICE_ACCESS_OVERRIDE:
            self._refuse_more_devices()
        else:
            self._workings.devices.report(self._seen(identity), facts)
            return True
        return False

    def _act(self) -> None:
        decision = self._decide()
        if self._through(decision):
            self._let_through(decision)
        elif not self._fresh():
            self._prove()
        elif decision.effect is None and self._had_its_say():
            self._consider()
        else:
            self._refuse(decision)

    def _let_through(self, decision: Decision) -> None:
        self._workings.metrics.decided(decision)
        if self._head is None:  # taken back from the mail server by a denial that has passed: the phone asks again
            self._unavailable()
            return
        if decision.reason is not Reason.MOBILE_DEVICE_ACCESS_OVERRIDE and self._is_one_too_many():
            if self._fresh():
                self._refuse_more_devices()
            else:
                self._prove()
        elif self._admitted():
            self._forward()

    def _admitted(self) -> bool:
        """Its user and its device may have one more request; else that is answered, once the credentials are proven."""
        if self._workings.connections.admit(self._whose, self):
            return True
        if self._fresh():
            self._workings.metrics.limit("requests_per_user")
            self._unavailable("TooManyRequests")
        else:
            self._prove()
        return False

    def _is_one_too_many(self) -> bool:
        """A device that was not seen before, of a user who has enough."""
        identity, workings = self.identity, self._workings
        return (
            self._state is None
            and identity is not None
            and workings.devices.count(identity.user_id) >= workings.configuration.limits.devices_per_user
        )

    def _refuse_more_devices(self) -> None:
        eas, user_id = self._asked(), None if self.identity is None else self.identity.user_id
        self._workings.metrics.limit("devices_per_user")
        self._workings.notices.say("device.one_too_many", user_id=user_id, device_id=eas.device_id)
        self._say(refusing.one_device_too_many(eas))

    @property
    def device_id(self) -> str:
        """The device that asks; OPTIONS is nobody's."""
        return "" if self._eas is None else self._eas.device_id

    def _payer(self) -> tuple[str, str]:
        return self._whose, "" if self._state is None else self.device_id

    def _may_identify(self) -> bool:
        """An undecided phone may provision; from 14.1 on its first Provision has to say what it is (MS-ASPROV 3.2.5.1)."""
        eas = self._asked()
        return eas.command == "Provision" and not (self._asks_policy and at_least(eas.protocol_version, "14.1"))

    def _had_its_say(self) -> bool:
        """A phone that has provisioned and goes on without saying what it is leaves its properties empty."""
        state = self._state
        if state is None or not state.provisioned or self._asked().command in _IDENTIFYING or state.facts.reported:
            return False
        self._workings.devices.report(state, replace(state.facts, reported=True))
        return True

    def _seen(self, identity: Identity) -> DeviceState:
        self._state = state = self._workings.devices.seen(
            identity, self._asked(), self._http_user_agent, self._ip_address, self._workings.clock.wall
        )
        return state

    # -- no

    def _refuse(self, decision: Decision) -> None:
        """Answer what this command and version understand; the credentials are proven."""
        eas, identity = self._asked(), self.identity
        self._workings.metrics.decided(decision)
        if decision.reason in _OUR_FAULT:
            self._unavailable(decision.reason.value)
            return
        if identity is not None:
            if self._is_one_too_many():
                self._refuse_more_devices()
                return
            self._seen(identity)
        self._workings.notices.say(
            "access.refused",
            self._whose,
            user_id=None if identity is None else identity.user_id,
            device_id=eas.device_id,
            command=eas.command,
            effect=decision.effect,
            reason=decision.reason.value,
            matched_rules=decision.matched_rules,
            revision=decision.revision,
        )
        self._say(refusing.answer(eas, decision))

    def reconsider(self) -> None:
        """The rules, the user or the device changed while the request is at the mail server."""
        if self._over or self._eas is None or self._connection is None:
            return
        if self.identity is not None and self.identity.address is not None:
            self._identify_again(self.identity.address)
        decision = self._decide()
        if self._through(decision):
            return
        self._workings.metrics.ended += 1
        eas = self._eas
        log.info("access.ended", device_id=eas.device_id, command=eas.command, reason=decision.reason.value)
        if self._answer is not None:
            self._break_off(502)
            return
        self._cut()
        if self._long:
            self._workings.metrics.decided(decision)
            self._say(refusal.end_parked(eas.command, decision.reason.value))
        else:
            self._consider()

    def _identify_again(self, address: str) -> None:
        """Who was not in the directory when the request came may be in it by now, also as another user than expected."""
        identity = self._workings.identifier.identify(address)
        if identity != self.identity:
            self._untrack()
            self.identity = identity
            self._state = None
            if identity is not None:
                self._state = self._workings.devices.get(identity.user_id, self._asked().device_id)
                self._whose = identity.user_id
                self._workings.connections.add(identity.user_id, self)

    def leave(self) -> None:
        """A parked request ends as if its time were up: the phone asks again, here or at another gateway."""
        if self.parked:
            self._cut()
            if self.command == "Ping":
                self._reply(200, (b"Content-Type", b"application/vnd.ms-sync.wbxml"), body=_PING_EXPIRED)
            else:
                self._reply(200)

    def _say(self, answer: Refusal) -> None:
        headers = tuple((name.encode(), value.encode()) for name, value in answer.headers)
        self._reply(answer.http_status, *headers, body=answer.body)

    # -- what the relay asks

    def _may_go_on(self) -> bool:
        """After waiting for a connection."""
        if self._eas is None or self._through(self._decide()):
            return True
        self._untrack()
        self._consider()
        return False

    def _may_answer(self, status: int, headers: list[bytes]) -> list[bytes] | None:
        """After waiting for the mail server: what it says comes too late for a device that is denied by now."""
        if status == 401:
            self._refused()
            return corrected(status, headers)
        if 200 <= status < 300:
            self._accepted()
        if self._eas is None:
            return headers
        if self._ruleset_moved():
            self.reconsider()
            if self._connection is None:
                return None
        if 200 <= status < 300 and self.identity is not None:
            state = self._seen(self.identity)
            if self._eas.command == "Provision":
                state.provisioned = True
        return headers

    def _untrack(self) -> None:
        self._workings.connections.remove(self._whose, self)

    def _ruleset_moved(self) -> bool:
        identity = self.identity
        return identity is not None and (
            self._workings.replica.rulesets.get(identity.organization_id) is not self._ruleset
            or self._workings.decider.too_old
        )

    def _through(self, decision: Decision) -> bool:
        return decision.allowed or (decision.effect is None and self._may_identify())
