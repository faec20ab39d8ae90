#!/usr/bin/env bash
# Makes sure that a real Mosquitto is there for the integration tests, where that is allowed.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] && exit 0
# shellcheck source=tools/setup/apt.sh
. tools/setup/apt.sh
if apt_install mosquitto; then
    # Debian starts it as a service; the tests start their own.
    systemctl stop mosquitto 2>/dev/null || true
    exit 0
fi
echo "Mosquitto is not here and may not be installed: its tests will be SKIPPED." >&2
echo "Please run: sudo apt install mosquitto" >&2
[ "${CI:-}" != true ]
