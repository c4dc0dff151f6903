# SPDX-License-Identifier: Apache-2.0
"""The development cluster: a real Kubernetes and real backends as ordinary processes on loopback, no Docker, no root.

binaries/     where etcd, kube-*, kubectl and helm come from: a folder, the cache, a download, a build
components/   one declaration a component: arguments, files, readiness, how it stops
supervisor/   the one process that owns the components of a cluster folder, and its control socket
cluster.py    DevCluster, what commands and tests use
install.py    Island Hopper's own chart into it
"""
