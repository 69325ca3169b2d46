"""Makes what a nats-server in operator mode and its users need, in the folder that the first argument names.

auth.conf         the server's lines: operator, memory resolver, accounts
known.creds       a user of an account that the server knows
stranger.creds    a user whose account signed with a key that the server does not know
nkey.conf         another server's lines, which know one user by an NKey
user.nk           that user's seed
account.nk        the seed of an account, which is no user
"""

import base64
import hashlib
import json
import os
import sys
import time

import nkeys


def key(prefix):
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def public(pair):
    return pair.public_key.decode()


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(issuer, subject, name, nats):
    claims = {
        "iat": int(time.time()),
        "iss": public(issuer),
        "name": name,
        "sub": public(subject),
        "nats": {**nats, "version": 2},
    }
    digest = hashlib.sha256(json.dumps(claims).encode()).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    head = text(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = head + "." + text(json.dumps(claims).encode())
    return signed + "." + text(issuer.sign(signed.encode()))


def account_claims(storage):
    limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1}
    limits |= {"leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage}
    return {"type": "account", "limits": limits, "default_permissions": {"pub": {}, "sub": {}}}


def credentials(account, name):
    user = key(nkeys.PREFIX_BYTE_USER)
    claims = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    return (
        f"-----BEGIN NATS USER JWT-----\n{token(account, user, name, claims)}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )


def main(folder):
    operator = key(nkeys.PREFIX_BYTE_OPERATOR)
    system, known, stranger = (key(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(3))
    lines = [
        "operator: " + token(operator, operator, "operator", {"type": "operator"}),
        "system_account: " + public(system),
        "resolver: MEMORY",
        "resolver_preload {",
        # JetStream is no business of the system's account.
        "  " + public(system) + ": " + token(operator, system, "system", account_claims(0)),
        "  " + public(known) + ": " + token(operator, known, "known", account_claims(-1)),
        "}",
    ]
    user = key(nkeys.PREFIX_BYTE_USER)
    files = {
        "nkey.conf": f'authorization {{ users: [ {{ nkey: "{public(user)}" }} ] }}\n',
        "user.nk": user.seed.decode() + "\n",
        "account.nk": known.seed.decode() + "\n",
        "auth.conf": "\n".join(lines) + "\n",
        "known.creds": credentials(known, "known"),
        "stranger.creds": credentials(stranger, "stranger"),
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(content)


main(sys.argv[1])
