#!/bin/sh
# Installs what the bench needs from the system's packages: with root or sudo by itself, otherwise it prints the one
# line to run and stops. Does nothing, and asks nothing of the network, where everything is there. `lint` and `fuzz` as
# argument add what only these targets of the Makefile need.
set -eu

missing=""
need() { # need PACKAGE TEST...: PACKAGE is missing unless TEST succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has_newlib() { printf '#include <string.h>\n' | arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -E - ; }
has_libfuzzer() {
    printf '#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n) { return d == 0 && n > 0; }\n' |
        clang -fsanitize=fuzzer -x c - -o /dev/null
}
has_libc_headers() { printf '#include <string.h>\n' | cc -E - ; }

need gcc command -v cc
need libc6-dev has_libc_headers
need gcc-arm-none-eabi command -v arm-none-eabi-gcc
need libnewlib-arm-none-eabi has_newlib
need qemu-system-arm command -v qemu-system-arm
need python3-venv "${PYTHON:-python3}" -m ensurepip --version
case "${1:-}" in
    lint)
        need cppcheck command -v cppcheck
        ;;
    fuzz)
        need clang command -v clang
        need libclang-rt-dev has_libfuzzer
        ;;
esac

[ -n "$missing" ] || exit 0
install="apt-get install --yes --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "eishil: missing on this system (Debian's package names):$missing. Install them and try again." >&2
    exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "eishil: missing:$missing. Run this line and try again:" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    exit 2
fi
echo "eishil: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # the words of $install are meant to be split
$as_root apt-get update -qq && $as_root $install
