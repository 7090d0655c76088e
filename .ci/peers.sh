#!/usr/bin/env bash
# Installs the real peers that tests/peers.rs and benches/peers.sh run against, on Debian 12.
#
#   .ci/peers.sh            install what is missing, then print the folder whose bin/ holds the rest
#
# Programs of Debian 12 are installed by apt (root, or sudo). Newer ones are unpacked into the cache
# folder, which touches nothing else: $PORTCULLIS_PEERS, by default
# ${XDG_CACHE_HOME:-~/.cache}/portcullis-peers. Run again, it does nothing and says nothing but that
# folder. Signatures of Debian's archive are checked by apt, those of Go modules by go.
set -euo pipefail

peers=${PORTCULLIS_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis-peers}
mkdir -p "$peers/bin"

say() { printf 'peers: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# program:package, all from Debian 12
stable=(
    docker-registry:docker-registry
    skopeo:skopeo
    podman:podman
    dockerd:docker.io
    containerd:containerd
    ctr:containerd
    nginx:nginx-light
    varnishd:varnish
    wrk:wrk
    hey:hey
    openssl:openssl
    python3:python3
    ip:iproute2
    unshare:util-linux
    curl:curl
    gcc:gcc
    softhsm2-util:softhsm2
    pkcs11-tool:opensc
)

install_stable() {
    local missing=() entry
    for entry in "${stable[@]}"; do
        have "${entry%%:*}" || missing+=("${entry##*:}")
    done
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} = 0 ] && return
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    say "apt-get install ${missing[*]}"
    # These packages start a service each; the tests start their own on ports of their own.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        trap "as_root rm -f $policy" EXIT
    fi
    as_root apt-get -qq update >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --no-install-recommends -y "${missing[@]}" >"$peers/apt.log" 2>&1 ||
        { tail -n 30 "$peers/apt.log" >&2; return 1; }
    if [ -x "$policy" ] && [ -n "$(trap -p EXIT)" ]; then
        as_root rm -f $policy
        trap - EXIT
    fi
}

# Where this machine gets Debian from: the first URI of its own sources.
archive() {
    cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
        awk '/^URIs:/ { print $2; exit } /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z+]+:\/\//) { print $i; exit } }'
}

# program:package/suite of a newer Debian: statically linked enough to run on Debian 12. Both majors of
# cosign, since their signatures differ.
newer=(
    cosign:cosign/sid
    cosign2:cosign/trixie
    notation:notation/sid
    oras:oras/sid
    crane:crane/sid
)

install_newer() {
    local missing=() entry
    for entry in "${newer[@]}"; do
        [ -x "$peers/bin/${entry%%:*}" ] || missing+=("$entry")
    done
    [ ${#missing[@]} = 0 ] && return
    local side=$peers/side
    mkdir -p "$side"/{etc,state/lists/partial,cache/archives/partial,debs}
    cat >"$side/etc/newer.sources" <<SOURCES
Types: deb
URIs: $(archive)
Suites: sid trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    local apt=(apt-get -qq
        -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$side/etc"
        -o Dir::State::lists="$side/state/lists" -o Dir::Cache="$side/cache"
        -o APT::Sandbox::User=root)
    say "reading the package lists of newer Debian"
    "${apt[@]}" update >&2
    for entry in "${missing[@]}"; do
        local program=${entry%%:*} package=${entry##*:}
        say "unpacking $package as $program"
        rm -rf "$side/unpacked" "$side"/debs/*
        (cd "$side/debs" && "${apt[@]}" download "$package" >&2)
        dpkg-deb -x "$side"/debs/*.deb "$side/unpacked"
        install -m 755 "$side/unpacked/usr/bin/${package%%/*}" "$peers/bin/$program"
    done
    rm -rf "$side"
}

# go-containerregistry's registry: independent of us, and it has the referrers API.
install_referrers_registry() {
    [ -x "$peers/bin/referrers-registry" ] && return
    say "building a registry with the referrers API (go)"
    local source=$peers/src/referrers-registry
    mkdir -p "$source"
    cat >"$source/main.go" <<'GO'
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Serves an empty registry in memory on the address given.
func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], registry.New(registry.WithReferrersSupport(true))))
}
GO
    (
        cd "$source"
        [ -e go.mod ] || go mod init referrers-registry
        go get github.com/google/go-containerregistry@v0.22.1
        go build -o "$peers/bin/referrers-registry" .
    ) >"$peers/go.log" 2>&1 || { tail -n 30 "$peers/go.log" >&2; return 1; }
}

# A private Sigstore, of the program in tests/peers/sigstore-stand; built again when that has changed.
install_sigstore_stand() {
    local source
    source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../tests/peers/sigstore-stand" && pwd)
    local built=$peers/bin/sigstore-stand
    [ -x "$built" ] && [ -z "$(find "$source" -newer "$built" -type f)" ] && return
    say "building a private Sigstore (go, some minutes the first time)"
    (cd "$source" && go build -o "$built" .) >"$peers/stand.log" 2>&1 ||
        { tail -n 30 "$peers/stand.log" >&2; return 1; }
}

# Debian has no helm; building it takes some minutes, once.
install_helm() {
    [ -x "$peers/bin/helm" ] && return
    say "building helm (go, some minutes)"
    GOBIN=$peers/bin go install helm.sh/helm/v3/cmd/helm@v3.22.0 >"$peers/helm.log" 2>&1 ||
        { tail -n 30 "$peers/helm.log" >&2; return 1; }
}

# Debian has only the second generation of the registry.
install_distribution() {
    [ -x "$peers/bin/registry" ] && return
    say "building distribution (go, some minutes)"
    GOBIN=$peers/bin go install github.com/distribution/distribution/v3/cmd/registry@v3.1.0 >"$peers/distribution.log" 2>&1 ||
        { tail -n 30 "$peers/distribution.log" >&2; return 1; }
}

# Moto's server stands in for AWS' key management service. Its Python brings boto3, which makes the keys.
install_moto() {
    [ -x "$peers/bin/moto_python" ] && return
    say "installing moto (pip)"
    {
        python3 -m venv "$peers/moto" &&
            "$peers/moto/bin/pip" install --quiet --disable-pip-version-check \
                moto==5.1.22 boto3==1.44.8 flask==3.1.3 flask-cors==6.0.5
    } >"$peers/moto.log" 2>&1 || { tail -n 30 "$peers/moto.log" >&2; return 1; }
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$peers/moto/bin/python" >"$peers/bin/moto_python"
    chmod 755 "$peers/bin/moto_python"
}

install_stable
install_newer
install_referrers_registry
install_sigstore_stand
install_helm
install_distribution
install_moto
echo "$peers"
