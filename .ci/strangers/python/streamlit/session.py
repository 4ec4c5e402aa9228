# Prints the session that a cookie of Streamlit's holds, read as Streamlit reads it.
import sys

from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

print(decode_signed_value(get_cookie_secret(), "_streamlit_user", sys.argv[1]).decode())
