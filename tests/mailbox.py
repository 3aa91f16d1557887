"""A mail server on this machine, and what it has taken."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from vulyk import jobs


class Mailbox:
    """What the mail server has taken. ``refuses`` makes it answer that instead, ``refuses_address`` already to the address."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = self.refuses_address = ''

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.refuses_address:
            return self.refuses_address
        envelope.rcpt_tos.append(address)
        return '250 ok'

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.refuses:
            return self.refuses
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return '250 taken'

    def read(self, number: int = 1) -> list[EmailMessage]:
        """Have the waiting mails sent, and take them out; there must be so many."""
        while jobs.work('tests', datetime.now(UTC) + timedelta(seconds=1)):
            pass
        mails, self.mails = self.mails, []
        assert len(mails) == number, [mail['Subject'] for mail in mails]
        return mails

    def link(self) -> str:
        """The path of the link in the one mail that is waiting."""
        (mail,) = self.read()
        return re.search(r'https?://[^/]+(/\S+)', text_of(mail))[1]


def text_of(mail: EmailMessage) -> str:
    """The text of a mail, as programs show it that know no HTML."""
    return mail.get_body(('plain',)).get_content()


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, dict[str, Any]]]:
    """The mailbox of a running server, and the settings of a site that uses it."""
    mailbox = Mailbox()
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname='127.0.0.1', port=port)
    controller.start()
    yield mailbox, {'MAIL_SERVER': '127.0.0.1', 'MAIL_PORT': port, 'MAIL_DEFAULT_SENDER': 'no-reply@vulyk.example.org'}
    controller.stop()
