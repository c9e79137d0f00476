#!/bin/sh
# Set up everything that synergyc needs: scripts/setup.sh VENV base|dev
#
# Debian packages are installed where this user may do so (root, or sudo without a password); elsewhere the
# exact command is printed and the script stops.
set -eu
venv=$1
flavour=$2
python=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

missing=
have "$python" || missing="$missing python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
have arm-none-eabi-gcc || missing="$missing gcc-arm-none-eabi"
if ! have arm-none-eabi-gcc || ! printf '#include <stdio.h>\n' | arm-none-eabi-gcc -E - >/dev/null 2>&1; then
    missing="$missing libnewlib-arm-none-eabi"
fi
# The host compiler builds the emulator's native clock; without it the emulator works, but slowly.
have cc || missing="$missing gcc libc6-dev"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        say "these Debian packages are missing; install them and try again:"
        say "  sudo apt-get update && sudo apt-get install -y$missing"
        exit 1
    fi
    say "installing Debian packages:$missing"
    # Another apt process may be at work: apt-get waits for the packages' locks, but not for that of the lists.
    attempts=20
    while ! problem=$($sudo apt-get update -qq 2>&1); do
        attempts=$((attempts - 1))
        case $attempts:$problem in
            0:*) say "$problem"; exit 1 ;;
            *lock*) say "another apt process is at work; trying again in 15 s" ;;
            *) say "$problem"; exit 1 ;;
        esac
        sleep 15
    done
    # shellcheck disable=SC2086 # the list is meant to be split
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 $missing >/dev/null
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python must be 3.11 or newer, not $("$python" --version); name another one: make PYTHON=python3.12 ..."
    exit 1
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
case $flavour in
    base) target=. ;;
    dev) target='.[dev]' ;;
    *) say "flavour must be base or dev, not '$flavour'"; exit 2 ;;
esac
say "installing synergyc ($flavour) and its pinned dependencies into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e "$target"
touch "$venv/.$flavour"
