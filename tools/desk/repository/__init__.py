"""The desk's half of signed updates (TUF): keys, the root of trust, staging, signing, publishing.

In: the five files of a bundle, and keys in encrypted files or tokens. Out: a folder that devices
verify from their pinned root on. It must never publish what the authorising officer and the
custodian have not both signed (R5), write a private key unencrypted or over another one, or leave
a repository of which neither the old nor the new bundle is whole. Answers for R5, R7 (everything
expires) and, with the device's half, R46.

- `repository`: stage, sign, publish, refresh, copy: the face of this room
- `staged`, `published`, `roots`, `metadata`: the rules, without I/O
- `staging`, `stick`, `storage`: files and their order
- `holders`, `keyfile`, `signers`: whose keys, and how they sign
- `arguments`, `commands`, `key_commands`, `root_commands`: `passerby-desk`
- `root_folder`: the folder of a root of trust
- `benchmark`: how long 2,000 entries take
"""

from tools.desk.repository.repository import Repository
from tools.desk.repository.root_folder import root_files
from tools.desk.repository.staged import Staged

__all__ = ["Repository", "Staged", "root_files"]
