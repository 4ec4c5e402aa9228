# Flask-AppBuilder with OAuth. The provider's entry is that of its
# documentation's OpenID provider, with its scopes, of which "groups" is one;
# userinfo is read by a function of the application, as its documentation says
# for every provider whose name it does not know.
import os

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.security.manager import AUTH_OAUTH
from flask_appbuilder.utils.legacy import get_sqla_class

issuer = os.environ["ISSUER"]

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.urandom(32),
    SQLALCHEMY_DATABASE_URI="sqlite:///" + os.path.abspath("app.db"),
    AUTH_TYPE=AUTH_OAUTH,
    AUTH_USER_REGISTRATION=True,
    AUTH_USER_REGISTRATION_ROLE="Admin",
    OAUTH_PROVIDERS=[
        {
            "name": "ingam",
            "icon": "fa-key",
            "token_key": "access_token",
            "remote_app": {
                "client_id": os.environ["CLIENT_ID"],
                "client_secret": os.environ["CLIENT_SECRET"],
                "api_base_url": issuer,
                "client_kwargs": {"scope": "openid profile email groups"},
                "access_token_url": issuer + "/oauth2/token",
                "authorize_url": issuer + "/oauth2/authorize",
                "server_metadata_url": issuer + "/.well-known/openid-configuration",
            },
        }
    ],
)

db = get_sqla_class()(app)
with app.app_context():
    appbuilder = AppBuilder(app, db.session)

    @appbuilder.sm.oauth_user_info_getter
    def user_info(sm, provider, response=None):
        me = sm.oauth_remotes[provider].get("userinfo").json()
        return {
            "username": me["preferred_username"],
            "first_name": me.get("given_name", ""),
            "last_name": me.get("family_name", ""),
            "email": me.get("email", ""),
            "role_keys": me.get("groups", []),
        }


app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
