"""A site's certificate authority: who may talk to the broker, until when, and who no longer may.

In: names of brokers and opaque ids of devices. Out: a folder with the authority (`ca.pem`,
`ca.key`), its register (`register.json`), its revocation list (`crl.pem`) and a folder of files for
each broker, gateway and device. It must never overwrite an authority, write a key that others may
read, or sign a certificate that the register does not know. R46.

- `authority`: the folder, and the order in which it is written
- `certificates`: what stands in a certificate and in the revocation list; no files
- `register`: who got which certificate
- `commands`: `passerby-field pki`
"""

from tools.field.pki.authority import Authority
from tools.field.pki.register import Issued, Kind, Register

__all__ = ["Authority", "Issued", "Kind", "Register"]
