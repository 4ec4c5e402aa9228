# pgAdmin in server mode; config_local.py, beside this file, is its configuration.
import os
import sys

os.environ.update(
    HOME=os.getcwd(),
    PYTHONPATH=os.path.dirname(os.path.abspath(__file__)),
    PGADMIN_SETUP_EMAIL="admin@example.com",
    PGADMIN_SETUP_PASSWORD=os.urandom(16).hex(),
)
pgadmin = os.path.join(os.path.dirname(sys.executable), "pgadmin4")
os.execv(sys.executable, [sys.executable, pgadmin])
