# SPDX-License-Identifier: Apache-2.0
"""The one process that owns the components of a cluster folder.

    child.py      one process: started, watched by pidfd, stopped
    core.py       what should run against what runs: up, stop, start, shutdown, status
    control.py    the socket in the folder through which commands speak to it
    protocol.py   the messages, and how both sides reach the socket
    client.py     the commands' side
    __main__.py   the process itself

It restarts nothing by itself: in a development cluster a component that dies is news, not something to hide. When it
dies, the kernel ends every component.
"""
