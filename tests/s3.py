"""The object store on loopback, as the benchmark of faults has it."""

from tools.benchmarks.object_store import CREDENTIALS, Proxy, Server, query

__all__ = ["CREDENTIALS", "Proxy", "Server", "query"]
