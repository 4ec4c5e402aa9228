# pgAdmin in server mode with an OpenID provider, by its page on OAUTH2 and OIDC.
import os

issuer = os.environ["ISSUER"]

DATA_DIR = os.environ["HOME"]
LOG_FILE = os.path.join(DATA_DIR, "pgadmin.log")
SQLITE_PATH = os.path.join(DATA_DIR, "pgadmin.db")
SESSION_DB_PATH = os.path.join(DATA_DIR, "sessions")
STORAGE_DIR = os.path.join(DATA_DIR, "storage")
DEFAULT_SERVER_PORT = int(os.environ["PORT"])
UPGRADE_CHECK_ENABLED = False
MASTER_PASSWORD_REQUIRED = False

AUTHENTICATION_SOURCES = ["oauth2", "internal"]
OAUTH2_CONFIG = [
    {
        "OAUTH2_NAME": "ingam",
        "OAUTH2_DISPLAY_NAME": "Ingam",
        "OAUTH2_CLIENT_ID": os.environ["CLIENT_ID"],
        "OAUTH2_CLIENT_SECRET": os.environ["CLIENT_SECRET"],
        "OAUTH2_TOKEN_URL": issuer + "/oauth2/token",
        "OAUTH2_AUTHORIZATION_URL": issuer + "/oauth2/authorize",
        "OAUTH2_SERVER_METADATA_URL": issuer + "/.well-known/openid-configuration",
        "OAUTH2_API_BASE_URL": issuer + "/",
        "OAUTH2_USERINFO_ENDPOINT": "userinfo",
        "OAUTH2_SCOPE": "openid email profile",
    }
]
OAUTH2_AUTO_CREATE_USER = True
