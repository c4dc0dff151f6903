# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes node whose pods are processes of the user who started it: kubelet's place in the development cluster.

    config.py     the one file that says everything        __main__.py   python -m island_hopper_cli.node --config FILE
    agent.py      puts the parts together        pods.py   from the watch on pods to their workers
    podnetwork.py addresses.py   a loopback network that no other node of the machine uses, an address for each pod
    kube/         the API server: client, list and watch, Node and Lease, events, ConfigMaps and Secrets, tokens
    spec/         pure: what a pod asks for, in terms of this machine
    run/          processes, probes, volumes, a container's life, a pod's life, its status
    logs/         files with a timestamp a line, and how they are read back
    serve/        kubelet's HTTPS API, as far as `kubectl logs` needs it

What a pod gets here and what it does not. Every pod has an address of its own in 127.0.0.0/8, so ports never clash;
every container has an environment and a home folder of its own. There is no file system, user, network or process
namespace: mount paths are rewritten in environment values, commands and arguments, and all processes run as the user
who started the cluster. Restricted security contexts (runAsNonRoot, seccomp, dropped capabilities, a read-only root)
are therefore accepted and change nothing, and resource limits count for scheduling only. What cannot be had at all is
refused by name (`spec/refusals.py`).

What must stay true: no process outlives the node, not even when it is killed with SIGKILL (`run/guard.py`).
"""
