# MLflow with mlflow-oidc-auth. Who may sign in has the group "mlflow", its default.
import os
import sys

os.environ.update(
    OIDC_DISCOVERY_URL=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    OIDC_CLIENT_ID=os.environ["CLIENT_ID"],
    OIDC_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
    SECRET_KEY=os.urandom(32).hex(),
    MLFLOW_DISABLE_TELEMETRY="true",
)
options = ["--app-name", "oidc-auth", "--host", "127.0.0.1", "--port", os.environ["PORT"], "--workers", "1"]
os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *options])
