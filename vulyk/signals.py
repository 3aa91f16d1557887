"""Signals of the platform. The first three are sent after the database has accepted the change, one receiver at a time.

``on_task_done``: sender is the work session manager, keyword ``answer`` the stored answer.
``on_batch_done``: sender is the :class:`~vulyk.models.tasks.Batch` as it is after it was closed.
``on_answer_withdrawn``: sender is the :class:`~vulyk.models.tasks.WithdrawnAnswer`.

Each goes out at least once: when a receiver fails, or the process dies before all were told, it is sent again later, to all
of them. Receivers must be able to stand that.

Of these the sender is a :class:`~vulyk.models.user.User`:

``on_time_zone_changed``: sent just before the account has it; keyword ``zone`` is an IANA name.
``on_personal_data_asked``: the receiver returns what it keeps of that user, as ``{name: JSON object or list}``.
``on_account_deleted``: sent in the transaction that deletes the account. A receiver deletes what it keeps of that user, or
raises, and then nothing is deleted.
"""

import logging
from typing import Any

from blinker import NamedSignal, Namespace

_signals = Namespace()

on_task_done = _signals.signal('on_task_done')
on_batch_done = _signals.signal('on_batch_done')
on_answer_withdrawn = _signals.signal('on_answer_withdrawn')
on_personal_data_asked = _signals.signal('on_personal_data_asked')
on_account_deleted = _signals.signal('on_account_deleted')
on_time_zone_changed = _signals.signal('on_time_zone_changed')

log = logging.getLogger(__name__)


def send(signal: NamedSignal, sender: Any, **kwargs: Any) -> bool:
    """Tell every receiver; one that raises is logged and neither stops the others nor the caller.

    The answer is stored already: a badge that cannot be computed must not turn it into a failed request.

    :returns: whether every receiver has taken it.
    """
    taken = True
    for receiver in signal.receivers_for(sender):
        try:
            receiver(sender, **kwargs)
        except Exception:
            log.exception('A receiver of %s failed and will be told again: %r', signal.name, receiver)
            taken = False
    return taken
