"""Elanus beside other servers of Milvus' protocol: same data, same client, one run.

    python -m bench.peers [--scale full|small] [--only NAME ...] [--readme]

All servers run at the same time and are measured in turns, each by pymilvus from client
processes of its own; a server that waits uses next to no processor time, and how much
is reported. What a peer cannot do is said and left out.
"""
