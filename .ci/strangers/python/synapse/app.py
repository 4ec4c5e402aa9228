# Synapse with an OpenID provider, by its page on OpenID Connect; the templates of the
# mapping are those that it has there for most providers.
import json
import os
import sys

port = int(os.environ["PORT"])
config = {
    "server_name": "localhost",
    "public_baseurl": f"http://localhost:{port}/",
    "listeners": [
        {"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "resources": [{"names": ["client"]}]}
    ],
    "database": {"name": "sqlite3", "args": {"database": "homeserver.db"}},
    "signing_key_path": "signing.key",
    "media_store_path": "media",
    "trusted_key_servers": [],
    "report_stats": False,
    "macaroon_secret_key": os.urandom(32).hex(),
    "form_secret": os.urandom(32).hex(),
    "oidc_providers": [
        {
            "idp_id": "ingam",
            "idp_name": "Ingam",
            "issuer": os.environ["ISSUER"],
            "client_id": os.environ["CLIENT_ID"],
            "client_secret": os.environ["CLIENT_SECRET"],
            "scopes": ["openid", "profile", "email"],
            "user_mapping_provider": {
                "config": {
                    "localpart_template": "{{ user.preferred_username }}",
                    "display_name_template": "{{ user.name }}",
                    "email_template": "{{ user.email }}",
                }
            },
        }
    ],
}
with open("homeserver.yaml", "w") as f:
    json.dump(config, f)  # JSON is YAML

synapse = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", "homeserver.yaml"]
if os.spawnv(os.P_WAIT, sys.executable, [*synapse, "--generate-keys"]) != 0:
    sys.exit("synapse made no keys")
os.execv(sys.executable, synapse)
