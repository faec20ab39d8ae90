"""`passerby identity`: this device's public keys, for the desk."""

import argparse
from pathlib import Path

from device.configuration import read_configuration
from device.files import write_atomically
from device.identity import own_keys
from device.protocol.keys import encode_keys


def run(options: argparse.Namespace) -> int:
    """Print the fingerprint and write the public keys; the first time they are made."""
    settings = read_configuration(options.config)
    public = own_keys(Path(settings.device.state_directory)).public
    if options.out is not None:
        write_atomically(options.out, encode_keys(public), mode=0o644)
    print(f"device       {settings.device.site}/{settings.device.id}")
    print(f"fingerprint  {public.fingerprint}")
    if options.out is not None:
        print(f"public keys  {options.out}: give them to the desk, and compare the fingerprint")
    return 0
