"""SOGo from Debian's packages as a real ActiveSync server on loopback: no systemd, nothing under /etc touched.

Theory of operation. SOGo needs PostgreSQL (its tables and the users), memcached, an IMAP server (dovecot) and a way to
send mail (postfix, which delivers to dovecot by LMTP and sends nothing anywhere else). Each runs in the foreground, as
its own user, below one scratch folder and on free ports. What had to be found out by trying:

- sogod refuses to run as root. Its configuration is a GNUstep user default that wins over /etc/sogo/sogo.conf;
  `GNUSTEP_CONFIG_FILE` says where it is.
- Several workers race to create SOGo's tables: on a fresh database one worker is started first.
- Dovecot answers SELECT with HIGHESTMODSEQ only for a mailbox that a client opened with CONDSTORE once; without it
  SOGo answers every Sync with "no changes", for ever.
- An idle worker does not obey SIGTERM. One parked Ping holds one worker, also when its client is gone, until its
  heartbeat ends: keep heartbeats short and workers plenty.
- SOGo takes the command from the WBXML root, closes the connection after every answer without saying so, and knows
  no chunked request body.
"""

from __future__ import annotations

import base64
import grp
import hashlib
import imaplib
import os
import re
import shutil
import smtplib
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import httpx
from tests.support.daemons import Daemon, free_ports, port_answers, program, scratch_folder, start, wait_until
from tests.support.mails import seed_mails
from tests.support.postgres_server import PostgresServer, programs
from tests.support.secrets import password

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

DOMAIN = "example.com"
PASSWORDS = {user: password(f"{user}'s mailbox") for user in ("alice", "bob")}
FOLDERS = ("INBOX", "Drafts", "Sent", "Trash", "Junk", "Templates")
_FILES = Path(__file__).parent / "sogo_files"
_MASTER = Path("/usr/lib/postfix/sbin/master")


def missing() -> str | None:
    """Why SOGo cannot be started here, in a sentence; None when it can."""
    if os.getuid() != 0:
        return "SOGo's daemons are started as their own users, which needs root"
    absent = [name for name in ("sogod", "dovecot", "postfix", "memcached") if program(name) is None]
    if programs() is None:
        absent.append("postgresql")
    if absent:
        return f"not installed: {', '.join(absent)} (`make test` installs them)"
    return None


class Sogo:
    """A running SOGo with the users alice and bob, three mails in each inbox (plain, HTML with umlauts, attachment)."""

    def __init__(self, *, workers: int = 16) -> None:
        self.root = scratch_folder("sogo")
        ports = free_ports(6)
        self.port, self.imap_port, self.lmtp_port, self.smtp_port, self.memcached_port, postgres_port = ports
        self.workers = workers
        self.postgres = PostgresServer(self._folder("pg"), port=postgres_port)
        self._daemons: list[Daemon] = []

    @property
    def url(self) -> str:
        """SOGo's ActiveSync URL."""
        return f"http://127.0.0.1:{self.port}/SOGo/Microsoft-Server-ActiveSync"

    # -- starting and stopping

    def start(self) -> None:
        """Start everything, and the mails are there; about five seconds."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._configure()
        postfix = self._start_postfix()
        memcached = start(
            "memcached",
            ["memcached", "-l", "127.0.0.1", "-p", self.memcached_port, "-U", "0", "-m", "16", "-t", "1"],
            user="nobody",
            log=self._log("memcached"),
        )
        self._daemons.append(memcached)
        self.postgres.create()
        self.postgres.start()
        self._create_users()
        dovecot = start("dovecot", ["dovecot", "-F", "-c", self.root / "conf/dovecot.conf"], log=self._log("dovecot"))
        self._daemons.append(dovecot)
        self._create_sogo_tables()
        sogod = self._start_sogod(self.workers)
        self._daemons.append(sogod)
        for daemon, port in (
            (memcached, self.memcached_port),
            (dovecot, self.imap_port),
            (dovecot, self.lmtp_port),
            (postfix, self.smtp_port),
        ):
            wait_until(lambda port=port: port_answers(port), f"{daemon.name} listens", alive=[daemon])
        for user in PASSWORDS:
            self._seed(user)
            self._enable_condstore(user)
        wait_until(self.answers, "SOGo answers OPTIONS", alive=[sogod])

    def stop(self) -> None:
        """Stop everything and remove the scratch folder, whatever state it is in."""
        for daemon in reversed(self._daemons):
            daemon.stop(seconds=0.5 if daemon.name == "sogod" else 10)
        self._daemons.clear()
        self.postgres.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def answers(self) -> bool:
        """True when alice can log in (asked by HTTP: a connection without a request costs a worker an exception)."""
        try:
            answer = httpx.options(self.url, auth=(f"alice@{DOMAIN}", PASSWORDS["alice"]), timeout=60)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    # -- what tests ask

    def deliver(self, message: EmailMessage, *recipients: str) -> None:
        """Send a mail through postfix, like any mail; recipients are user names."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname=f"test.{DOMAIN}") as smtp:
            smtp.send_message(message, f"carol@{DOMAIN}", [f"{user}@{DOMAIN}" for user in recipients])

    @contextmanager
    def imap(self, user: str) -> Iterator[imaplib.IMAP4]:
        """An IMAP session of the user."""
        session = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=30)
        try:
            session.login(user, PASSWORDS[user])
            yield session
        finally:
            session.logout()

    def mails(self, user: str, *, subject: str, folder: str = "INBOX") -> list[EmailMessage]:
        """The user's mails whose subject holds `subject` (ASCII)."""
        with self.imap(user) as session:
            session.select(folder, readonly=True)
            numbers = session.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            parts = [session.fetch(number.decode(), "(RFC822)")[1][0] for number in numbers]
        return [message_from_bytes(part[1], policy=policy.default) for part in parts if isinstance(part, tuple)]

    def wait_for_mail(self, user: str, subject: str) -> None:
        """Return when such a mail is in the user's inbox."""
        wait_until(lambda: self.mails(user, subject=subject), f"`{subject}` reaches {user}", seconds=30)

    def known_devices(self) -> set[str]:
        """The DeviceIds (upper case) for which SOGo keeps state: the device reached the mailbox."""
        rows = self.postgres.execute("select c_path from sogo_cache_folder", database="sogo")
        paths = [str(row[0]) for row in rows]
        return {re.split(r"[+/]", path.lstrip("/").removeprefix("0+"))[0].upper() for path in paths}

    def log_text(self) -> str:
        """Everything SOGo has logged; with its EAS debugging on that is each request and answer as XML."""
        return (self.root / "log/sogo.log").read_text(errors="replace")

    def pid_of(self, name: str) -> int:
        """The process id of one of the daemons, for what a test wants to know or to break."""
        return next(daemon.process.pid for daemon in self._daemons if daemon.name == name)

    # -- the parts

    def _folder(self, path: str, owner: str = "root") -> Path:
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        shutil.chown(folder, owner)
        return folder

    def _log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.out"

    def _write(self, source: str, target: str, **values: object) -> Path:
        text = Template((_FILES / source).read_text()).substitute(root=self.root, domain=DOMAIN, **values)
        path = self.root / target
        path.write_text(text)
        return path

    def _configure(self) -> None:
        for path, owner in (
            ("log", "root"),
            ("conf", "root"),
            ("run/dovecot", "root"),
            ("mail", "mail"),
            ("postfix/conf", "root"),
            ("postfix/spool", "root"),
            ("postfix/data", "postfix"),
            ("sogo", "sogo"),
            ("sogo/spool", "sogo"),
            ("sogo/defaults", "sogo"),
        ):
            self._folder(path, owner)
        self._write("dovecot.conf", "conf/dovecot.conf", imap_port=self.imap_port, lmtp_port=self.lmtp_port)
        secret = self._write("dovecot-sql.conf", "conf/dovecot-sql.conf", postgres_port=self.postgres.port)
        secret.chmod(0o640)
        os.chown(secret, 0, grp.getgrnam("dovecot").gr_gid)
        self._write("main.cf", "postfix/conf/main.cf", lmtp_port=self.lmtp_port)
        self._write("master.cf", "postfix/conf/master.cf", smtp_port=self.smtp_port)
        plist = self._write(
            "sogod.plist",
            "sogo/defaults/sogod.plist",
            database=f"postgresql://sogo:sogo@127.0.0.1:{self.postgres.port}/sogo",
            imap_port=self.imap_port,
            smtp_port=self.smtp_port,
            memcached_port=self.memcached_port,
            sogo_port=self.port,
            workers=self.workers,
        )
        packaged = Path("/etc/GNUstep/GNUstep.conf").read_text() if Path("/etc/GNUstep/GNUstep.conf").exists() else ""
        kept = [line for line in packaged.splitlines() if not re.match("GNUSTEP_USER_(DEFAULTS_DIR|CONFIG_FILE)", line)]
        gnustep = self.root / "sogo/GNUstep.conf"
        gnustep.write_text("\n".join([*kept, f"GNUSTEP_USER_DEFAULTS_DIR={plist.parent}", ""]))
        log = self.root / "log/sogo.log"
        log.touch()
        for path in (plist, gnustep, log):
            shutil.chown(path, "sogo")

    def _start_postfix(self) -> Daemon:
        # A shell in between: master changes its effective user, which makes Linux forget the signal for an orphan.
        configuration = self.root / "postfix/conf"
        command = (
            f"postfix -c {configuration} check; {_MASTER} -s -c {configuration} & master=$!;"
            " trap 'kill $master' TERM; wait $master; wait $master"
        )
        postfix = start("postfix", ["sh", "-c", command], log=self._log("postfix"))
        self._daemons.append(postfix)
        return postfix

    def _create_users(self) -> None:
        run = self.postgres.execute
        run("create role sogo login password 'sogo'")
        run("create database sogo owner sogo encoding 'UTF8' template template0")
        run(
            "create table sogo_users (c_uid varchar(128) primary key, c_name varchar(128) not null, c_password varchar(256) not null,"
            " c_cn varchar(128), mail varchar(128), displayname varchar(128), givenname varchar(64), sn varchar(64))",
            database="sogo",
        )
        run("alter table sogo_users owner to sogo", database="sogo")
        for user, plain in PASSWORDS.items():
            full = f"{user.capitalize()} Example"
            run(
                f"insert into sogo_users values ('{user}', '{user}', '{ssha256(plain)}', '{full}', '{user}@{DOMAIN}', '{full}', '{user.capitalize()}', 'Example')",
                database="sogo",
            )

    def _start_sogod(self, workers: int) -> Daemon:
        home = self.root / "sogo"
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(home),
            "USER": "sogo",
            "LOGNAME": "sogo",
            "TZ": "UTC",
            "GNUSTEP_CONFIG_FILE": str(home / "GNUstep.conf"),
        }
        return start(
            "sogod",
            [
                "/usr/sbin/sogod",
                "-WONoDetach",
                "YES",
                "-WOPort",
                f"127.0.0.1:{self.port}",
                "-WOWorkersCount",
                workers,
                "-WOPidFile",
                home / "sogod.pid",
                "-WOLogFile",
                self.root / "log/sogo.log",
            ],
            user="sogo",
            log=self._log("sogod"),
            env=environment,
            cwd=home,
            orphan_signal="KILL",
        )

    def _create_sogo_tables(self) -> None:
        first = self._start_sogod(1)
        self._daemons.append(first)
        made = "select to_regclass('sogo_sessions_folder')"  # the last one that it makes
        wait_until(lambda: self.postgres.execute(made, database="sogo")[0][0], "SOGo makes its tables", alive=[first])
        first.kill()
        self._daemons.remove(first)

    def _seed(self, user: str) -> None:
        for message in seed_mails(user):
            self.deliver(message, user)
        wait_until(lambda: len(self.mails(user, subject="Seed mail")) == 3, f"the seed mails reach {user}")

    def _enable_condstore(self, user: str) -> None:
        with self.imap(user) as session:
            session.enable("CONDSTORE")
            for folder in FOLDERS:
                session.select(folder)


def ssha256(plain: str) -> str:
    """A password as dovecot and SOGo read it from the users' table."""
    salt = os.urandom(8)
    return "{SSHA256}" + base64.b64encode(hashlib.sha256(plain.encode() + salt).digest() + salt).decode()
