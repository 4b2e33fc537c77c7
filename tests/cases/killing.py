"""Runs the text of a program as it is, many times side by side, and kills each where its job says, as a power cut would.

    python tests/cases/killing.py examples/bargain_bot.py < jobs.json > ends.json

A job has `env`, `args`, the `line` before which the process is killed when it first comes there, and `rest`, the line at
which its program has nothing more to do for now: the second time there, it is ended too. All jobs are forks of one process
that has loaded what the programs import, so that hundreds of them cost little.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

RESTS = 77
"""How a process ends that had nothing more to do."""
AT_ONCE = 4
MOST_SECONDS = 300
"""As `tests.patience` has it, which this program does not import: it is run by itself."""


def lines_of(program: Path) -> list[int]:
    """Every line that its functions execute."""
    return sorted(
        {line for code in _functions(compile(program.read_text(), str(program), "exec")) for line in _of(code)}
    )


def _functions(code: CodeType) -> Iterator[CodeType]:
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _functions(part)


def _of(code: CodeType) -> set[int]:
    return {line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno}


def lives(program: Path, jobs: list[dict[str, Any]]) -> list[int]:
    """How each ended: -9 where it was killed at its line, `RESTS`, or its own exit status."""
    done = subprocess.run(
        [sys.executable, __file__, str(program)],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        timeout=MOST_SECONDS * 3,
    )
    assert done.returncode == 0, done.stderr
    ended: list[int] = json.loads(done.stdout.splitlines()[-1])
    return ended


def _main(program: str, jobs: list[dict[str, Any]]) -> list[int]:
    import httpx  # noqa: F401 – for all forks at once

    text = compile(Path(program).read_text(), program, "exec")
    running: dict[int, int] = {}
    ended = [0] * len(jobs)
    for number, job in enumerate(jobs):
        if len(running) == AT_ONCE:
            _reap(running, ended)
        pid = os.fork()
        if pid == 0:
            _live(program, text, job)
        running[pid] = number
    while running:
        _reap(running, ended)
    return ended


def _reap(running: dict[int, int], ended: list[int]) -> None:
    pid, status = os.wait()
    ended[running.pop(pid)] = os.waitstatus_to_exitcode(status)


def _live(program: str, text: CodeType, job: dict[str, Any]) -> None:
    """One life, in the fork. Never returns."""
    signal.alarm(MOST_SECONDS)
    os.environ.update(job["env"])
    sys.argv = [program, *job["args"]]
    with Path(job["output"]).open("a") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    rests = 0

    def at(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal rests
        if frame.f_code.co_filename != program:
            return None
        if event == "line" and frame.f_lineno == job["line"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "line" and frame.f_lineno == job["rest"]:
            rests += 1
            if rests == 2:
                os._exit(RESTS)
        return at

    code = 0
    sys.settrace(at)
    try:
        exec(text, {"__name__": "__main__"})
    except SystemExit as ends:
        code = ends.code if isinstance(ends.code, int) else 1
        if isinstance(ends.code, str):
            print(ends.code)
    except BaseException as error:
        print(repr(error))
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], json.load(sys.stdin))))
