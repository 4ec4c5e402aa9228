# JupyterHub with GenericOAuthenticator, by oauthenticator's page for OpenID
# Connect providers. It asks for "groups", as there, and for "profile", so that
# there is a name.
import os

issuer = os.environ["ISSUER"]
base = "http://localhost:" + os.environ["PORT"]

c = get_config()  # noqa: F821
c.JupyterHub.bind_url = "http://127.0.0.1:" + os.environ["PORT"]
c.JupyterHub.hub_bind_url = "http://127.0.0.1:" + os.environ["HUB_PORT"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:" + os.environ["PROXY_API_PORT"]
c.ConfigurableHTTPProxy.auth_token = os.urandom(32).hex()
c.ConfigurableHTTPProxy.command = [os.environ["PROXY"]]

c.JupyterHub.authenticator_class = "generic-oauth"
c.GenericOAuthenticator.oauth_callback_url = base + "/hub/oauth_callback"
c.GenericOAuthenticator.client_id = os.environ["CLIENT_ID"]
c.GenericOAuthenticator.client_secret = os.environ["CLIENT_SECRET"]
c.GenericOAuthenticator.authorize_url = issuer + "/oauth2/authorize"
c.GenericOAuthenticator.token_url = issuer + "/oauth2/token"
c.GenericOAuthenticator.userdata_url = issuer + "/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile", "email", "groups"]
c.GenericOAuthenticator.username_claim = "email"
c.GenericOAuthenticator.admin_users = {"minji@example.com"}

# What the session knows, for who asks the hub's own API.
c.GenericOAuthenticator.enable_auth_state = True
c.CryptKeeper.keys = [os.urandom(32)]
