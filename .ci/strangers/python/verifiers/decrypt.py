"""Reads encrypted access tokens as an API in Python does, with joserfc.

    python decrypt.py JWKS-URL ISSUER AUDIENCE KEY-FILE

KEY-FILE has the API's private key, a JWK. Each line of standard input is a token. Each line
of standard output is the subject, or "refused".
"""

import json
import sys
import urllib.request

from joserfc import jwe, jwt
from joserfc.jwk import JWKRegistry, KeySet

url, issuer, audience, file = sys.argv[1:]
with open(file) as f:
    private = JWKRegistry.import_key(json.load(f))
with urllib.request.urlopen(url) as answer:
    keys = KeySet.import_key_set(json.load(answer))
# joserfc refuses members of a header that it does not know, unless it is told; RFC 7516
# section 4 has them ignored.
registry = jwe.JWERegistry(algorithms=["ECDH-ES", "RSA-OAEP-256", "A256GCM"], strict_check_header=False)
claims = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}, exp={"essential": True}
)


def subject(token):
    outer = jwe.decrypt_compact(token, private, registry=registry)
    if outer.headers().get("cty") != "JWT":
        raise ValueError("cty")
    read = jwt.decode(outer.plaintext.decode(), keys, algorithms=["RS256"])
    claims.validate(read.claims)
    # Otherwise the body could be another token than the one that the server answers for.
    if read.claims["jti"] != outer.headers()["jti"]:
        raise ValueError("jti")
    return read.claims["sub"]


for line in sys.stdin:
    try:
        print(subject(line.strip()), flush=True)
    except Exception as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        print("refused", flush=True)
