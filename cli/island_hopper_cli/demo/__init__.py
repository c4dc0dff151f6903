# SPDX-License-Identifier: Apache-2.0
"""`hopper demo`: the whole road once, from nothing to an answer, and away again.

command.py     arguments, and what happens when a step fails or a person interrupts
walk.py        the steps, in the order in which they are shown
sample.py      the objects that are applied
objects.py     those objects in the cluster
waiting.py     until a pod answers, as opposed to until status says so
evidence.py    what exists afterwards: rows, stream, bucket
belongings.py  what the demo made and so may take away
page.py        what is printed, and how long each step took
"""
