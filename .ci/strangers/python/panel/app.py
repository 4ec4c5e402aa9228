# Panel with its generic OAuth provider, by its page on the configuration of OAuth.
import os
import secrets
import sys

issuer, port = os.environ["ISSUER"], os.environ["PORT"]
os.environ.update(
    PANEL_OAUTH_PROVIDER="generic",
    PANEL_OAUTH_KEY=os.environ["CLIENT_ID"],
    PANEL_OAUTH_SECRET=os.environ["CLIENT_SECRET"],
    PANEL_OAUTH_AUTHORIZE_URL=issuer + "/oauth2/authorize",
    PANEL_OAUTH_TOKEN_URL=issuer + "/oauth2/token",
    PANEL_OAUTH_USER_URL=issuer + "/userinfo",
    PANEL_COOKIE_SECRET=secrets.token_hex(32),
)
page = os.path.join(os.path.dirname(__file__), "page.py")
options = ["--address", "127.0.0.1", "--port", port, "--allow-websocket-origin", "localhost:" + port]
os.execv(sys.executable, [sys.executable, "-m", "panel", "serve", page, *options])
