# Streamlit with st.login, by its page on user authentication: one default provider.
import json
import os
import secrets
import sys

os.makedirs(".streamlit")
with open(".streamlit/secrets.toml", "w") as f:
    f.write("[auth]\n")
    for key, value in {
        "redirect_uri": f"http://localhost:{os.environ['PORT']}/oauth2callback",
        "cookie_secret": secrets.token_hex(32),
        "client_id": os.environ["CLIENT_ID"],
        "client_secret": os.environ["CLIENT_SECRET"],
        "server_metadata_url": os.environ["ISSUER"] + "/.well-known/openid-configuration",
    }.items():
        f.write(f"{key} = {json.dumps(value)}\n")

# The page's button sends the browser to /auth/login with this, by a web socket.
from streamlit.auth_util import encode_provider_token  # noqa: E402

with open("provider_token", "w") as f:
    f.write(encode_provider_token("default"))

page = os.path.join(os.path.dirname(__file__), "page.py")
options = ["--server.address", "127.0.0.1", "--server.port", os.environ["PORT"]]
options += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", page, *options])
