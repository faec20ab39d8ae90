# apt_install PACKAGE…: installs if this user may, else returns 1. To be sourced.
apt_install() {
    local sudo=
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo="sudo -n"
        $sudo true 2>/dev/null || return 1
    fi
    $sudo apt-get install -y -q "$@" >/dev/null 2>&1 && return 0
    $sudo apt-get update -q >/dev/null 2>&1
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$@" >/dev/null
}
