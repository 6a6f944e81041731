#!/bin/bash
# Puts the images of the control plane where the kubelet looks for them.

set -o errexit -o nounset -o pipefail

# --local: ctr needs half the time that containerd's own transfer service does. Three at a time: one is read while
# others are unpacked. The label is the one by which containerd's CRI plugin knows images that a kubelet may not remove.
find /kind/images -name '*.tar' -print0 |
  xargs --null --max-procs=3 --max-args=1 \
    ctr --namespace=k8s.io images import --local --label io.cri-containerd.pinned=pinned
