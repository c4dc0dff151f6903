# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_cli.dev.model_server`: llama.cpp's own HTTP server with one model, until a signal ends it.

A process of its own, since the engine is native code that neither stops nor frees in an orderly way: it is simply
ended.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

CONTEXT_TOKENS = 4096
PARALLEL_REQUESTS = 2


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m island_hopper_cli.dev.model_server", description=__doc__)
    parser.add_argument("--weights", required=True, help="GGUF file")
    parser.add_argument("--name", required=True, help="what requests call the model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", required=True, type=int)
    arguments = parser.parse_args(argv)
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the engine starts its threads, or one of them would be interrupted instead of this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = serve(arguments.weights, arguments.name, arguments.host, arguments.port)
    print(f"serving {arguments.name} on {server.listening_address}", flush=True)
    signal.sigwait(signals)
    sys.stdout.flush()
    # Not through the interpreter's end: the engine's destructors wait for requests that run.
    os._exit(0)


def serve(weights: str, name: str, host: str, port: int):  # type: ignore[no-untyped-def]  # the engine has no types
    """Start the engine's server; it listens when this returns."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    parameters.model_alias = {name}
    parameters.hostnames = [host]
    parameters.port = port
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = PARALLEL_REQUESTS
    # One pool of tokens for all requests, so that a single conversation may use the whole context.
    parameters.kv_unified = True
    parameters.cpuparams.n_threads = max(1, os.cpu_count() or 1)
    parameters.ui = False
    return xllamacpp.Server(parameters)


if __name__ == "__main__":
    sys.exit(main())
