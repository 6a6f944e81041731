#!/bin/sh
# Writes what kube-proxy calls to standard output, a tar archive with the libraries that each program needs. Runs in the
# node's Debian.
set -eu

list=$(mktemp)
cd /
for file in usr/sbin/xtables-legacy-multi usr/sbin/xtables-nft-multi usr/lib/*/xtables/*.so usr/sbin/nft \
    usr/sbin/conntrack bin/kmod bin/sh bin/ln bin/mv; do
    echo "$file"
    # The loader and what it finds have absolute paths, and nothing else in the output has.
    ldd "$file" 2>/dev/null | grep -o '/[^ )]*' || true
done | sed 's|^/||' | sort -u > "$list"
tar --create --dereference --hard-dereference --files-from="$list"
