"""Certificates: none, expired, revoked, rogue authority, another device's, TLS 1.2: all refused.

Runs tests/integration/test_certificates.py (real Mosquitto, our configuration) and counts.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.reliability.proof import Proof

_ROOT = Path(__file__).resolve().parents[2]
_TESTS = ("tests/integration/test_certificates.py", "tests/integration/test_tls_explained.py")


def prove(_options):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS]
    answer = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    summary = answer.stdout.strip().splitlines()[-1] if answer.stdout.strip() else "no output"
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (\w+)", summary)}
    skipped = counts.get("skipped", 0)
    return Proof(
        "certificates",
        "none, expired, revoked, rogue authority, another device's, TLS 1.2: all refused",
        answer.returncode == 0 and counts.get("passed", 0) > 0,
        {"tests passed": counts.get("passed", 0), "skipped": skipped},
    )
