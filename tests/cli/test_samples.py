"""What a new demo instance is filled with."""

from tests import factories
from vulyk.cli.samples import FIRST_BATCH, seed
from vulyk.models.tasks import AbstractTask, Batch


def test_one_visitor_of_the_demo_finishes_its_first_batch(make_app):
    app = make_app(ENABLED_TASKS={'vulyk_transcription': 'TranscriptionTaskType'})
    with app.app_context():
        factories.empty_database()
        seed()
        user = factories.make_user()
        for task in AbstractTask.objects(batch='transcription_01'):
            app.task_types['transcription'].on_task_done(user, task.id, {'text': 'a line'})
        batch = Batch.objects.get(pk='transcription_01')
        assert (batch.closed, batch.tasks_count) == (True, FIRST_BATCH)
