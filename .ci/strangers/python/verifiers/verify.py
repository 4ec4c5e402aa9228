"""Checks access tokens as an API in Python does, with two libraries.

    python verify.py KEYS ISSUER AUDIENCE ALG

KEYS is the key set's URL, or for HS256 the secret, in base64url. Each line of standard
input is a token. Each line of standard output has what PyJWT and joserfc say of it: the
subject, or "refused".
"""

import base64
import json
import sys
import urllib.request

import jwt
from joserfc import jwt as rfc
from joserfc.jwk import KeySet, OctKey

source, issuer, audience, algorithm = sys.argv[1:]
if algorithm == "HS256":
    secret = base64.urlsafe_b64decode(source + "=")
    keys = OctKey.import_key(secret)
else:
    fetched = jwt.PyJWKClient(source)
    with urllib.request.urlopen(source) as answer:
        keys = KeySet.import_key_set(json.load(answer))
claims = rfc.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}, exp={"essential": True}
)


def pyjwt(token):
    key = secret if algorithm == "HS256" else fetched.get_signing_key_from_jwt(token).key
    return jwt.decode(token, key, algorithms=[algorithm], issuer=issuer, audience=audience)["sub"]


def joserfc(token):
    read = rfc.decode(token, keys, algorithms=[algorithm])
    claims.validate(read.claims)
    return read.claims["sub"]


for line in sys.stdin:
    said = []
    for check in pyjwt, joserfc:
        try:
            said.append(check(line.strip()))
        except Exception as e:
            print(f"{check.__name__}: {type(e).__name__}: {e}", file=sys.stderr)
            said.append("refused")
    print(*said, flush=True)
