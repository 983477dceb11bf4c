"""Mails for tests."""

from __future__ import annotations

import os
from email.message import EmailMessage
from email.utils import formatdate


def new_mail(subject: str, user: str, text: str = "Hello.\n") -> EmailMessage:
    """A plain mail from carol to the user of that name."""
    message = EmailMessage()
    message["From"] = "Carol Tester <carol@example.com>"
    message["To"] = f"{user}@example.com"
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{os.urandom(8).hex()}@test.example.com>"
    message["Subject"] = subject
    message.set_content(text)
    return message


def seed_mails(user: str) -> list[EmailMessage]:
    """The three mails that every inbox begins with: plain, HTML with umlauts, with an attachment of 2 KiB."""
    plain = new_mail(f"Seed mail 1 for {user}: plain text", user, f"Hello {user},\nthis is plain test mail number 1.\n")
    html = new_mail(f"Seed mail 2 for {user}: Grüße aus Köln", user, "Grüße, Nummer 2.\n")
    html.add_alternative("<html><body><p>Grüße, <b>Nummer 2</b>.</p></body></html>", subtype="html")
    attachment = new_mail(f"Seed mail 3 for {user}: with an attachment", user, "See the attachment.\n")
    attachment.add_attachment(
        bytes(range(256)) * 8, maintype="application", subtype="octet-stream", filename="data-3.bin"
    )
    return [plain, html, attachment]
