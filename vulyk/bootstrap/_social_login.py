"""Who is signed in."""

from typing import TYPE_CHECKING

from flask_login import LoginManager

from vulyk.models.user import Anonymous, User

if TYPE_CHECKING:
    from flask import Flask
    from flask_mongoengine import MongoEngine


def init_social_login(app: 'Flask', db: 'MongoEngine') -> None:
    """Set up the login manager: pages of signed-in people send others to the sign-in page and back.

    :param db: the database wrapper, as documented; accounts live in mongoengine's default connection.
    """
    app.config.setdefault('REMEMBER_COOKIE_SECURE', app.config['SESSION_COOKIE_SECURE'])
    manager = LoginManager()
    manager.anonymous_user = Anonymous
    manager.login_view = 'sign_in'
    manager.login_message = None
    manager.user_loader(User.get_by_session)
    manager.init_app(app)
