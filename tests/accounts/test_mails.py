"""Mails: text and HTML; what a mail server refuses for a while is sent again, an address it refuses for good gets no more."""

import re
from datetime import UTC, datetime

import pytest

from tests.accounts.conftest import PASSWORD, said
from tests.mailbox import text_of
from vulyk.accounts import mails
from vulyk.jobs import Job

GONE = '550 5.1.1 no such user'


def again(mailbox, count: int) -> None:
    """Let the time of waiting jobs come, and have them done; the server takes so many mails."""
    Job.objects.update(set__run_at=datetime.now(UTC))
    mailbox.read(count)


def test_mail_is_text_and_html(ada, mailbox):
    mails.send_reset(ada.email)
    (mail,) = mailbox.read()
    (link,) = [line for line in text_of(mail).splitlines() if line.startswith('https://')]
    html = mail.get_body(('html',)).get_content()
    assert f'<a href="{link}"' in html
    assert '<title>A new password for ' in html


def test_mail_on_the_terminal_is_readable_in_any_alphabet(site, ada, monkeypatch, capsys):
    monkeypatch.setitem(site.config, 'MAIL_BACKEND', 'console')
    mails.mail_reset(ada.email, 'http://localhost/', 'uk')
    shown = capsys.readouterr().out
    assert ada.email in shown
    assert 'Новий пароль' in shown
    assert re.search('^http://localhost/password/', shown, re.MULTILINE)
    assert '<' not in shown


@pytest.mark.parametrize('answer', ['450 4.2.1 try later', '451 4.7.1 greylisted'])
@pytest.mark.parametrize('stage', ['refuses', 'refuses_address'])
def test_mail_that_is_refused_for_a_while_is_sent_again(ada, mailbox, stage, answer):
    mails.send_notice('password_changed', ada.email)
    setattr(mailbox, stage, answer)
    mailbox.read(0)
    setattr(mailbox, stage, '')
    again(mailbox, 1)
    assert ada.reload().mail_problem is None


@pytest.mark.parametrize('stage', ['refuses', 'refuses_address'])
def test_address_that_is_refused_for_good_gets_no_more_mails_and_the_account_says_so(hers, ada, mailbox, stage):
    setattr(mailbox, stage, GONE)
    mails.send_notice('password_changed', ada.email)
    mailbox.read(0)
    assert (ada.reload().mail_problem, Job.objects.count()) == (GONE, 0)
    setattr(mailbox, stage, '')
    mails.send_reset(ada.email)
    mailbox.read(0)
    assert '“550 5.1.1 no such user”' in said(hers.get('/account'))


def test_address_that_works_after_all_is_proved_by_its_owner(hers, ada, mailbox):
    ada.update(set__mail_problem=GONE)
    hers.post('/account/email', data={'email-email': ada.email, 'email-password': PASSWORD})
    link = mailbox.link()
    hers.post(link)
    assert ada.reload().mail_problem is None


def test_mail_whose_content_is_refused_is_given_up_and_says_nothing_about_the_address(ada, mailbox):
    mailbox.refuses = '554 5.7.1 looks like spam'
    mails.send_notice('password_changed', ada.email)
    mailbox.read(0)
    assert (ada.reload().mail_problem, Job.objects.count()) == (None, 0)
