"""Gateway: verify, open, remove duplicates, commit, then receipt; then emit, in any language.

In: sealed cells of devices, over MQTT. Out: receipts and orders to them; plain CloudEvents to a
local MQTT topic, standard output or a webhook. Never: a receipt before the commit, an answer to a
stranger, a count over a wire. Answers for R18, R25, R31, R45, R46.

`Gateway` is the whole of it and runs in a process of its own (`passerby-desk gateway`) or inside
another one. `Settings` and `read_desk_configuration` say how; `Emission` is what comes out.
"""

from tools.desk.gateway.configuration import read_desk_configuration
from tools.desk.gateway.gateway import Gateway
from tools.desk.gateway.settings import Settings
from tools.desk.gateway.targets import Emission

__all__ = ["Emission", "Gateway", "Settings", "read_desk_configuration"]
