# The Flask client of Authlib, as its documentation shows it for an OpenID provider.
import os

from authlib.integrations.flask_client import OAuth
from flask import Flask, jsonify, redirect, session, url_for

app = Flask(__name__)
app.secret_key = os.urandom(32)

oauth = OAuth(app)
oauth.register(
    name="ingam",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile email"},
)


@app.route("/")
def home():
    return jsonify(session.get("user"))


@app.route("/login")
def login():
    return oauth.ingam.authorize_redirect(url_for("auth", _external=True))


@app.route("/auth")
def auth():
    token = oauth.ingam.authorize_access_token()
    session["user"] = token["userinfo"]
    return redirect("/")


app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
