# FastAPI with HTTPX OAuth's client for OpenID providers. What it asks for by default
# is "openid email"; "profile" is added, so that there is a name.
import os

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from httpx_oauth.clients.openid import OpenID
from httpx_oauth.integrations.fastapi import OAuth2AuthorizeCallback

client = OpenID(
    os.environ["CLIENT_ID"],
    os.environ["CLIENT_SECRET"],
    os.environ["ISSUER"] + "/.well-known/openid-configuration",
)
app = FastAPI()


@app.get("/login")
async def login(request: Request):
    scope = client.base_scopes + ["profile"]
    return RedirectResponse(await client.get_authorization_url(str(request.url_for("callback")), scope=scope))


@app.get("/callback", name="callback")
async def callback(access_token_state=Depends(OAuth2AuthorizeCallback(client, "callback"))):
    token, _ = access_token_state
    return await client.get_profile(token["access_token"])


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
