"""The part of a request's life before the mail server gets it: does it know these credentials?

known for a day ─────────────────────────────────────────► go on (to be refused: only if known for minutes)
refused lately ──────────────────────────────────────────► 401, nobody is asked
too many wrong ones of this device, or of this login ────► 503 and when to come back
else ──► an OPTIONS with them ── 200 ► go on ── 401 ► 401 ── 403 ► 403 ── else ► 503
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gatepost.gateway.relay import Relay

if TYPE_CHECKING:
    from typing import IO

    from gatepost.gateway.credentials import Credentials
    from gatepost.gateway.downstream import Downstream
    from gatepost.gateway.forwarding import Asked, Head
    from gatepost.gateway.identify import Identity
    from gatepost.gateway.proofs import Proof, Question
    from gatepost.gateway.workings import Workings

_SOON = b"TooManyFailedLogins"  # the reason given in X-MS-ASThrottle


class Proving(Relay):
    """Comes back to `_consider` when the credentials are proven."""

    __slots__ = ("_authorization", "_credentials", "_proven", "_question", "_try", "_whose", "identity")

    def __init__(
        self, workings: Workings, downstream: Downstream, head: Head, body: bytes, spool: IO[bytes] | None
    ) -> None:
        super().__init__(workings, downstream, head, body, spool)
        self.identity: Identity | None = None
        self._whose = ""  # the user, or who else logs in, in one spelling: pays for wrong passwords, is counted
        self._authorization = b""
        self._credentials: Credentials | None = None
        self._proven = False
        self._question: Question | None = None
        self._try: bytes | None = None  # the budget's key while a try is taken

    def _consider(self) -> None:
        raise NotImplementedError

    def _payer(self) -> tuple[str, str]:
        """Whose budget a wrong password is charged to: somebody, and a device that has logged in before, or ""."""
        return self._whose, ""

    @property
    def strange(self) -> bool:
        """True while it waits for the proof of credentials, on a device that has never logged in."""
        return self._question is not None and not self._payer()[1]

    # -- what is known

    def _sent(self, asked: Asked) -> None:
        """Take the credentials, and who asks, from what the head says."""
        self._authorization = asked.authorization
        identifier = self._workings.identifier
        self.identity = identity = identifier.identify(asked.login)
        self._whose = identifier.stranger(asked.login) if identity is None else identity.user_id
        credentials = asked.credentials
        if credentials is None or credentials.known_until < self._workings.clock.now:
            credentials = asked.credentials = self._workings.proofs.find(asked.authorization)
        self._credentials = credentials

    def _known(self) -> bool:
        """The mail server let somebody in with these within a day: what it says to the request is the proof."""
        credentials = self._credentials
        return self._proven or (credentials is not None and credentials.known_until > self._workings.clock.now)

    def _fresh(self) -> bool:
        """Lately enough to be told that the device is refused."""
        credentials = self._credentials
        return self._proven or (credentials is not None and credentials.fresh_until > self._workings.clock.now)

    # -- asking

    def succeed(self, other: Proving) -> None:
        """Go on in the place of `other`, which has asked the same: the try that it took is this one's to give back."""
        self._try, other._try = other._try, None
        other.abandon()

    def _prove(self) -> None:
        workings, authorization = self._workings, self._authorization
        if workings.proofs.refuses(authorization):
            workings.metrics.login("refused_lately")
            self._unauthorized()
            return
        device = self._payer()[1]
        if not workings.prober.asks(authorization):
            key = self._budget()
            wait = workings.failed_logins.take(key)
            if wait > 0:
                workings.metrics.login("over_budget")
                workings.notices.say("login.over_budget", known_device=bool(device), retry_after=math.ceil(wait))
                self._reply(503, (b"Retry-After", b"%d" % math.ceil(wait)), (b"X-MS-ASThrottle", _SOON))
                return
            self._try = key
        self._downstream.pause_reading(paused=True)
        self._downstream.hold(workings.configuration.limits.answer_seconds)
        self._question = workings.prober.wonder(authorization, self._proved, known=bool(device))
        if self._question is None:
            self._give_back()
            workings.metrics.login("crowded")
            self._unavailable()

    def _proved(self, proof: Proof) -> None:
        self._question = None
        if proof.status != 401:
            self._give_back()
        if self._over:
            return
        self._workings.metrics.login({200: "accepted", 401: "refused", 403: "forbidden"}.get(proof.status, "unknown"))
        if proof.accepted:
            self._proven = True
            self._credentials = self._workings.proofs.find(self._authorization)
            self._consider()
        elif proof.status == 401:
            self._workings.notices.say("login.refused", known_device=bool(self._payer()[1]))
            self._unauthorized()
        elif proof.status == 403:
            self._reply(403)
        else:
            self._unavailable()

    def _budget(self) -> bytes:
        """The key of the tries that are left."""
        return self._workings.proofs.key("\0".join(self._payer()).encode())

    def _give_back(self) -> None:
        key, self._try = self._try, None
        if key is not None:
            self._workings.failed_logins.give_back(key)

    # -- what the mail server said to the request itself

    def _accepted(self) -> None:
        """It let somebody in."""
        if self._credentials is not None:
            self._credentials.accept(self._workings.clock.now)

    def _refused(self) -> None:
        """It does not any more: the password was changed, or the account locked."""
        workings = self._workings
        if workings.proofs.forget(self._authorization):
            workings.failed_logins.take(self._budget())

    def abandon(self) -> None:
        """The phone has gone: nobody needs to know any more. The try stays taken, the mail server may be at it."""
        if self._question is not None:
            self._question.leave(self._proved)
            self._question = None
        super().abandon()
