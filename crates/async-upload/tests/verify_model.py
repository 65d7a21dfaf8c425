"""Verifies a signed model: DIRECTORY TRUSTED_ROOT IDENTITY ISSUER."""

import json
import pathlib
import sys

from model_signing import hashing
from model_signing._signing import signing
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

directory, trusted_root, identity, issuer = sys.argv[1:]
directory = pathlib.Path(directory)
bundle = Bundle.from_json((directory / "model.sig").read_text())
verifier = Verifier(trusted_root=TrustedRoot.from_file(trusted_root))
kind, payload = verifier.verify_dsse(bundle, policy.Identity(identity=identity, issuer=issuer))
assert kind == "application/vnd.in-toto+json", kind
payload = json.loads(payload)
signed = signing.dsse_payload_to_manifest(payload)
ignored = payload["predicate"]["serialization"]["ignore_paths"]
found = (
    hashing.Config()
    .set_ignored_paths(paths=[directory / path for path in ignored], ignore_git_paths=False)
    .hash(directory)
)
assert signed == found, f"signed {signed}, found {found}"
