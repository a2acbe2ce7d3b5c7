"""The console script `webtext`: hears Ctrl-C and SIGTERM from its first line on.

Half a second goes by until cli.py is imported. A KeyboardInterrupt in that time would end with a
traceback out of some library; nothing was begun, so the process just says so and ends. That is why
this file imports next to nothing: even `signal` brings `enum`, which takes 20 ms.
"""

import _signal as signal  # type: ignore[import-not-found]
import os
import sys

STARTING = b"\nwebtext: stopped before any work; nothing was changed\n"
STOPPED = b"\nwebtext: stopped by Ctrl-C; the same command goes on, or starts again\n"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


def main() -> int:
    """Run the command line; the exit code."""
    _open_streams()
    # A job in the background of a script ignores Ctrl-C, and goes on doing so.
    heard = [signum for signum in CODES if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, _leave) for signum in heard}
    sys.unraisablehook = _unraisable
    # numpy starts a thread a core for products of matrices; no command makes large ones.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from tools import cli

    try:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        code = cli.main()
    except KeyboardInterrupt:  # a second one, while the first was told
        os.write(2, STOPPED)
        return 130
    finally:
        # All is said and done. What comes now would end in a traceback of the interpreter's own.
        if signal.SIGINT in before:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _end(code)


def _end(code: int) -> int:
    """Leave as the interpreter does, but for taking itself apart.

    A native thread that is still there may abort the process then, after all is done. Two runs of
    `webtext fetch` on a busy machine ended so; apache/arrow #34314 tells of the same words.
    """
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # it is closed, which the interpreter tells
        return code
    os._exit(code)


def _open_streams() -> None:
    """Make /dev/null of a closed stdin, stdout or stderr, whose number the next file would get."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            if null != number:
                os.close(null)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _leave(signum: int, frame: object) -> None:
    os.write(2, STARTING)
    os._exit(CODES[signum])


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    """Python tells an interrupt within a callback, and goes on as if none had come: we leave."""
    if found.exc_type is KeyboardInterrupt:
        os.write(2, STOPPED)
        os._exit(130)
    sys.__unraisablehook__(found)


if __name__ == "__main__":
    sys.exit(main())
