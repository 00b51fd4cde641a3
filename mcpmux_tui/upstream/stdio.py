"""MCP over a child's stdin and stdout: one message a line (spec: basic/transports, stdio)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from mcpmux_tui.model.channel import Lists
from mcpmux_tui.model.errors import ConnectionLost, StartFailed
from mcpmux_tui.model.jsonrpc import Message, salvage_id
from mcpmux_tui.model.lines import Line, LineSplitter
from mcpmux_tui.model.ports import Journal
from mcpmux_tui.model.rawjson import Malformed
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream import containers, process, reaper, words
from mcpmux_tui.upstream.answers import Answers, received
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.environment import child_environment, working_folder
from mcpmux_tui.upstream.limits import MIB, Limits
from mcpmux_tui.upstream.process import NARROW, Exit, Process, widen
from mcpmux_tui.upstream.transport import Listener, Request, read_message
from mcpmux_tui.upstream.troubles import Ended

_BOM = b"\xef\xbb\xbf"
_ENDLESS = 4
"""Times the cap of a message that a line may go on."""
_NO_MESSAGE = "Only MCP messages belong on its standard output; its log may say more."


class StdioTransport:
    """Implements Transport for one child process; never used again once it is closed."""

    closing_cancels = False
    pushes = True
    shared = True

    def __init__(
        self,
        name: str,
        launch: StdioLaunch,
        environment: Mapping[str, str],
        *,
        configured: StdioLaunch,
        children: Children,
        journal: Journal,
        spawned: Callable[[int], None],
        limits: Limits,
    ) -> None:
        self.version: str | None = None
        self._name = name
        self._launch = launch
        self._configured = configured
        """The launch before placeholders were filled, for sentences."""
        self._environment = child_environment(launch, environment)
        self._children = children
        self._journal = journal
        self._spawned = spawned
        self._limits = limits
        self._process: Process | None = None
        self._container: reaper.Program | None = None
        """What runs the container that the child is a client of."""
        self._listener: Listener | None = None
        self._answers = Answers()
        self._last_lines: deque[str] = deque(maxlen=limits.stderr_kept)
        self._noise = 0
        self._ended: Ended | None = None
        self._input = _Input(self._pipe_closed)
        self._writing = asyncio.Lock()
        self._readers: list[_Output] = []
        self._last_words: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        if self._process is None or self._process.exit is not None:
            return None
        return self._process.pid

    async def open(self, listener: Listener) -> None:
        self._listener = listener
        folder = working_folder(self._launch, self._configured)
        mark = self._children.mark()
        own_launch = self._launch
        if (args := containers.labelled(own_launch.command, own_launch.args, mark)) is not None:
            own_launch = replace(own_launch, args=args)
            self._container = containers.program(own_launch.command, self._environment, folder)
            self._children.watchdog.watch_containers(self._container)
        environment = {**self._environment, reaper.MARK: mark}
        launch = (own_launch, self._configured, environment, folder)
        await asyncio.to_thread(process.check, *launch)
        loop = asyncio.get_running_loop()
        # On the loop: spawned in a thread, a child could be lost to a cancel in between.
        child = Process(process.spawn(*launch), mark, self._exited)
        self._children.watchdog.watch(child.pid)
        self._process = child
        self._spawned(child.pid)
        limits = self._limits
        stdout = _Output(
            LineSplitter(limits.message),
            self._message_line,
            self._pipe_closed,
            endless=(_ENDLESS * limits.message, self._endless),
        )
        stderr = _Output(LineSplitter(limits.stderr_line), self._stderr_line, self._pipe_closed)
        self._readers = [stdout, stderr]
        await loop.connect_write_pipe(lambda: self._input, child.stdin)
        await loop.connect_read_pipe(lambda: stderr, child.stderr)
        await loop.connect_read_pipe(lambda: stdout, child.stdout)

    async def exchange(self, request: Request) -> Message:
        if self._ended is not None:
            raise ConnectionLost(self._ended.message, self._ended.hint)
        answer = self._answers.expect(request.id)
        try:
            if self._input.writable.is_set() and not self._writing.locked():
                # A lone request need not wait for others to go with.
                self._input.write(request.message(b"\n"), at_once=len(self._answers) == 1)
            else:
                await self.send(request.message())
            return received(await answer)
        finally:
            self._answers.forget(request.id)

    async def send(self, message: bytes) -> None:
        async with self._writing:
            await self._input.writable.wait()
            if self._ended is not None:
                raise ConnectionLost(self._ended.message, self._ended.hint)
            self._input.write(message + b"\n")

    async def follow(self, opened: Callable[[], None]) -> bool:
        return False

    async def learn(self, lists: Lists) -> Lists:
        return lists

    async def close(self) -> None:
        self._end("was stopped")
        self._input.close()
        child = self._process
        if child is None:
            return
        try:
            if await child.end(self._limits, None if self._container is None else self._term):
                self._children.watchdog.forget(child.pid)
            else:
                self._record(
                    f"processes of child {child.pid} are left behind: they cannot be ended"
                )
        finally:
            for reader in self._readers:
                reader.close()
            child.close_pipes()
        if self._container is not None and not self._children.hurried:
            # Its client may have been killed, or have left for another reason.
            await asyncio.to_thread(_stop_container, self._container, child.mark)
        if (more := self._noise - self._limits.noise) > 0:
            self._record(f"{more} more lines on stdout were no MCP messages")

    def _term(self) -> float:
        limits = self._limits
        return limits.term if self._children.hurried else limits.container_term

    def _message_line(self, line: Line) -> None:
        data = line.data.removeprefix(_BOM).strip(b" \t\r")
        if line.left_out:
            cap = self._limits.message // MIB
            self._unreadable(data, f"is longer than {cap} MiB", "Ask for less.")
            return
        if not data:
            return
        try:
            message = read_message(data)
        except Malformed as error:
            self._unreadable(data, f"could not be read: {error}", _NO_MESSAGE)
            return
        if self._listener is not None:
            self._listener.heard()
        if message.method is not None:
            if self._listener is not None:
                self._listener.received(message)
        elif message.id is not None:
            self._answers.settle(message.id, message)
        else:
            # An error without an id: nobody waits for it, but a person may want to know.
            self._shout((message.error or b"").decode("utf-8", "replace"))

    def _unreadable(self, data: bytes, why: str, hint: str) -> None:
        if _is_utf16(data):
            return self._give_up(
                StartFailed(
                    "writes UTF-16 to its standard output, where MCP wants UTF-8",
                    "Have it write UTF-8 (on its command line or in its own settings).",
                    permanent=True,
                )
            )
        raw_id = salvage_id(data)
        if raw_id is None or not self._answers.settle(
            raw_id, ConnectionLost(f"the answer {why}", hint)
        ):
            self._shout(data[:200].decode("utf-8", "replace"))
        return None

    def _endless(self) -> None:
        size = _ENDLESS * self._limits.message // MIB
        self._give_up(
            StartFailed(
                f"wrote {size} MiB to its standard output without ending a line",
                "It is not writing MCP messages; its log may say why.",
            )
        )

    def _shout(self, text: str) -> None:
        self._noise += 1
        if self._noise <= self._limits.noise:
            self._journal.record(self._name, text, source="stdout")

    def _stderr_line(self, line: Line) -> None:
        text = line.data.decode("utf-8", "replace").rstrip("\r")
        if line.left_out:
            text += f" ({line.left_out} bytes left out)"
        self._last_lines.append(text)
        self._journal.record(self._name, text)

    def _record(self, text: str) -> None:
        self._journal.record(self._name, text, source="mcpmux")

    def _exited(self, exit: Exit) -> None:
        if all(reader.ended for reader in self._readers):
            self._finish()
        else:
            self._wait_for_last_words()

    def _pipe_closed(self) -> None:
        if (
            self._process is not None
            and self._process.exit is not None
            and all(reader.ended for reader in self._readers)
        ):
            self._finish()
        elif self._input.closed or self._readers[0].ended:
            self._wait_for_last_words()

    def _wait_for_last_words(self) -> None:
        # An exit and the last bytes of its pipes arrive in any order.
        if self._last_words is None:
            self._last_words = asyncio.get_running_loop().call_later(
                self._limits.last_words, self._finish
            )

    def _finish(self) -> None:
        exit = None if self._process is None else self._process.exit
        if exit is not None:
            self._end(str(exit))
        else:
            which = "input" if self._input.closed else "output"
            self._end(f"closed its standard {which} while running")

    def _give_up(self, error: StartFailed) -> None:
        """What it writes can never be understood: there is no use in letting it run."""
        if self._ended is None and self._listener is not None:
            self._listener.lost(error)
            self._answers.fail_all(ConnectionLost(error.message, error.hint))

    def _end(self, phrase: str) -> None:
        if self._last_words is not None:
            self._last_words.cancel()
        if self._ended is not None:
            return
        self._ended = Ended(
            phrase,
            "" if self._last_lines else "It wrote nothing to its error output.",
            last_lines=tuple(self._last_lines),
        )
        hint = self._ended.hint or words.last_lines(self._ended)
        self._answers.fail_all(ConnectionLost(phrase, hint))
        self._input.writable.set()
        if self._listener is not None:
            self._listener.lost(self._ended)


def _stop_container(program: reaper.Program, mark: str) -> None:
    found = reaper.containers(program, f"mcpmux.child={mark}")
    reaper.stop_containers(program, found, 1)


def _is_utf16(data: bytes) -> bool:
    """Whether text written as UTF-16 was cut at what was taken for its line feeds."""
    zeros = data.count(b"\0")
    return len(data) >= 8 and 2 * zeros >= len(data) - 2 and b"\0\0" not in data


class _Output(asyncio.Protocol):
    """Reads a pipe line by line."""

    def __init__(
        self,
        splitter: LineSplitter,
        line: Callable[[Line], None],
        closed: Callable[[], None],
        endless: tuple[int, Callable[[], None]] | None = None,
    ) -> None:
        """`endless` is called once a line has that many bytes and still no end."""
        self._splitter = splitter
        self._line = line
        self._closed = closed
        self._endless = endless
        self._transport: asyncio.BaseTransport | None = None
        self._narrow = True
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for line in self._splitter.feed(data):
            self._line(line)
        if self._narrow and self._splitter.size >= NARROW and self._transport is not None:
            self._narrow = False
            widen(self._transport.get_extra_info("pipe"))
        if self._endless is not None and self._splitter.size > self._endless[0]:
            self._endless[1]()

    def connection_lost(self, exc: Exception | None) -> None:
        for line in self._splitter.end():
            self._line(line)
        self.ended = True
        self._closed()

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()


class _Input(asyncio.BaseProtocol):
    """Writes to a pipe; `writable` is clear while the other side does not keep up."""

    def __init__(self, closed: Callable[[], None]) -> None:
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._unsent: list[bytes] = []
        self._narrow = True
        self.writable = asyncio.Event()
        self.writable.set()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.writable.set()
        self._closed()

    def write(self, data: bytes, *, at_once: bool = False) -> None:
        """Hand over one whole message; those of one turn of the loop go together."""
        if self._narrow and len(data) > NARROW and self._transport is not None:
            self._narrow = False
            widen(self._transport.get_extra_info("pipe"))
        if at_once and not self._unsent and self._transport is not None:
            self._transport.write(data)
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and unsent:
            self._transport.write(b"".join(unsent))

    def close(self) -> None:
        """Close the pipe at once, whatever waits in it."""
        if self._transport is not None and not self.closed:
            self._transport.abort()
