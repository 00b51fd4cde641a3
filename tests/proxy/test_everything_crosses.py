"""Prompts, resources, completion, progress, log messages and questions, in both eras."""

from __future__ import annotations

import asyncio
import json

import httpx2

from mcpmux_tui.model.channel import Caller, Item, Kind, Lists
from mcpmux_tui.proxy.catalog import Catalog, build
from mcpmux_tui.proxy.router import Router, fields
from tests.proxy.fakes import (
    INITIALIZE,
    LEGACY,
    MODERN,
    FakeUpstream,
    Received,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    tool,
    until,
    url_of,
)

UI = {"ui": {"resourceUri": "ui://clock/face"}}
OFFERED = {
    Kind.TOOLS: (tool("echo", _meta=UI),),
    Kind.PROMPTS: (Item("plan", b'{"name":"plan","x-own":1.0}'),),
    Kind.RESOURCES: (Item("file:///a", b'{"uri":"file:///a","name":"a"}'),),
    Kind.TEMPLATES: (Item("db://{table}/rows", b'{"uriTemplate":"db://{table}/rows","name":"t"}'),),
}


class Rich(FakeUpstream):
    """A server that offers one of each kind."""

    @property
    def lists(self) -> Lists:
        return Lists(OFFERED, capabilities=frozenset({"completions", "resources.subscribe"}))


def events(response: httpx2.Response) -> list[dict[str, object]]:
    """The messages of an answer that came as a stream."""
    assert response.headers["content-type"] == "text/event-stream"
    lines = response.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def plain(request: Received) -> bytes:
    return b'{"seen":%b}' % request.params


async def test_all_kinds_are_listed_and_prompts_are_named_as_tools_are() -> None:
    async with running(Rich("s"), FakeUpstream("t")) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        for kind, names in {
            Kind.PROMPTS: ["s__plan"],
            Kind.RESOURCES: ["file:///a"],
            Kind.TEMPLATES: ["db://{table}/rows"],
        }.items():
            old = await client.post(url_of(proxy), json=rpc(kind.method), headers=session)
            body, headers = modern(kind.method)
            new = await client.post(url_of(proxy), json=body, headers=headers)
            for result in (old.json()["result"], new.json()["result"]):
                assert [each[kind.key] for each in result[kind.value]] == names
            assert new.json()["result"]["cacheScope"] == "private"
        own = await client.post(
            url_of(proxy, "s"),
            json=rpc("prompts/list"),
            headers=await open_session(client, url_of(proxy, "s")),
        )
        assert b'"x-own":1.0' in own.content


async def test_requests_go_to_the_server_that_offers_what_they_name() -> None:
    server = Rich("s", answer=plain)
    async with running(FakeUpstream("t"), server) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))

        async def ask(method: str, params: object) -> dict[str, object]:
            response = await client.post(url_of(proxy), json=rpc(method, params), headers=session)
            answer: dict[str, object] = response.json()
            return answer

        ref = {"type": "ref/prompt", "name": "s__plan"}
        for method, params, sent in (
            ("prompts/get", {"name": "s__plan"}, {"name": "plan"}),
            ("resources/read", {"uri": "file:///a"}, {"uri": "file:///a"}),
            ("resources/read", {"uri": "db://cats/rows"}, {"uri": "db://cats/rows"}),
            ("resources/read", {"uri": "ui://clock/face"}, {"uri": "ui://clock/face"}),
            ("completion/complete", {"ref": ref}, {"ref": {**ref, "name": "plan"}}),
        ):
            assert (await ask(method, params))["result"] == {"seen": sent}
        for uri in ("file:///b", "db://cats", "ui://other", "http://127.0.0.1/"):
            error = (await ask("resources/read", {"uri": uri}))["error"]
            assert isinstance(error, dict)
            assert error["code"] == -32002
        assert "error" in await ask("prompts/get", {"name": "plan"})


async def test_a_link_in_a_result_can_be_read_afterwards() -> None:
    async def link(request: Received) -> bytes:
        return b'{"content":[{"type":"resource_link","uri":"x://1","name":"x"}]}'

    server = FakeUpstream("s", answer=link)
    read = rpc("resources/read", {"uri": "x://1"})
    async with running(server) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        before = await client.post(url_of(proxy), json=read, headers=session)
        call = rpc("tools/call", {"name": "s__echo"})
        await client.post(url_of(proxy), json=call, headers=session)
        after = await client.post(url_of(proxy), json=read, headers=session)
    assert "error" in before.json()
    assert "result" in after.json()


async def test_progress_and_log_messages_come_before_the_answer() -> None:
    async def lively(request: Received) -> bytes:
        assert request.client is not None
        request.client.notified("notifications/progress", b'{"progressToken":7,"progress":1.0}')
        for level in ("debug", "error"):
            request.client.notified("notifications/message", b'{"level":"%b"}' % level.encode())
        return b"{}"

    server = FakeUpstream("s", answer=lively)
    both = {"accept": "application/json, text/event-stream"}
    async with running(server) as proxy, http_client(**both) as client:
        session = await open_session(client, url_of(proxy))
        level = rpc("logging/setLevel", {"level": "warning"})
        answered = await client.post(url_of(proxy), json=level, headers=session)
        assert answered.json()["result"] == {}
        assert server.wishes.log_level == "warning"
        call = rpc("tools/call", {"name": "s__echo"})
        old = events(await client.post(url_of(proxy), json=call, headers=session))
        body, headers = modern("tools/call", {"name": "s__echo"})
        new = events(await client.post(url_of(proxy), json=body, headers=headers))
    assert [each.get("method") for each in old] == [
        "notifications/progress",
        "notifications/message",
        None,
    ]
    assert old[1]["params"] == {"level": "error"}
    # A 2026 request that names no level wants no log messages.
    assert [each.get("method") for each in new] == ["notifications/progress", None]


async def asking(request: Received) -> bytes:
    assert request.client is not None
    answer = await request.client.asked("elicitation/create", b'{"message":"Which?"}')
    return b'{"told":%b}' % answer


async def test_a_question_reaches_the_2025_client_of_the_call_and_its_answer_the_server() -> None:
    server = FakeUpstream("s", answer=asking)
    initialize = json.loads(json.dumps(INITIALIZE))
    initialize["params"]["capabilities"] = {"elicitation": {}}
    both = {"accept": "application/json, text/event-stream"}
    async with running(server) as proxy, http_client(**both) as client:
        url = url_of(proxy)
        opened = await client.post(url, json=initialize)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        call = rpc("tools/call", {"name": "s__echo"})
        async with client.stream("POST", url, json=call, headers=session) as response:
            lines = response.aiter_lines()
            async for line in lines:
                if line.startswith("data: "):
                    break
            question = json.loads(line.removeprefix("data: "))
            assert question["method"] == "elicitation/create"
            assert question["params"] == {"message": "Which?"}
            reply = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}
            stranger = await open_session(client, url)
            await client.post(url, json=reply | {"result": {"x": 1}}, headers=stranger)
            await client.post(url, json=reply, headers=session)
            async for line in lines:
                if line.startswith("data: "):
                    break
        assert json.loads(line.removeprefix("data: "))["result"] == {"told": {"action": "accept"}}
        without = await client.post(url, json=call, headers=await open_session(client, url))
        assert without.json()["error"]["code"] == -32601


async def test_a_2025_server_s_question_is_an_interim_result_to_a_2026_client() -> None:
    server = FakeUpstream("s", answer=asking, protocol_version=LEGACY)
    async with running(server) as proxy, http_client() as client:
        body, headers = modern("tools/call", {"name": "s__echo"})
        interim = (await client.post(url_of(proxy), json=body, headers=headers)).json()["result"]
        assert interim["resultType"] == "input_required"
        ((key, question),) = interim["inputRequests"].items()
        assert question == {"method": "elicitation/create", "params": {"message": "Which?"}}
        answers = {"inputResponses": {key: {"action": "accept"}}}
        retry, headers = modern(
            "tools/call", {"name": "s__echo", "requestState": interim["requestState"], **answers}
        )
        final = (await client.post(url_of(proxy), json=retry, headers=headers)).json()["result"]
        assert final == {"resultType": "complete", "told": {"action": "accept"}}
        assert len(server.requests) == 1


async def test_a_2026_server_s_questions_are_asked_of_a_2025_client_and_the_call_sent_again() -> (
    None
):
    async def interim(request: Received) -> bytes:
        params = json.loads(request.params)
        if "inputResponses" not in params:
            return (
                b'{"resultType":"input_required","requestState":"st","inputRequests":'
                b'{"k":{"method":"elicitation/create","params":{"message":"Which?"}}}}'
            )
        return b'{"resultType":"complete","got":%b}' % json.dumps(params).encode()

    class Person:
        owner = None

        def notified(self, method: str, params: bytes) -> None:
            raise AssertionError

        def takes(self, method: str, params: bytes) -> bool:
            return True

        async def asked(self, method: str, params: bytes) -> bytes:
            assert (method, params) == ("elicitation/create", b'{"message":"Which?"}')
            return b'{"action":"decline"}'

    server = FakeUpstream("s", answer=interim, protocol_version=MODERN)
    listing = build({"s": server}, Catalog()).merged
    result = await Router(1.0).forward(
        listing,
        "tools/call",
        fields(b'{"name":"s__echo"}'),
        Caller(),
        Person(),
        modern=False,
    )
    assert json.loads(result) == {
        "got": {
            "name": "echo",
            "inputResponses": {"k": {"action": "decline"}},
            "requestState": "st",
        }
    }


async def test_updates_of_a_resource_reach_who_subscribed_and_nobody_else() -> None:
    server = Rich("s")
    async with running(server) as proxy, http_client() as client:
        url = url_of(proxy)
        one, two = await open_session(client, url), await open_session(client, url)
        subscribe = rpc("resources/subscribe", {"uri": "file:///a"})
        await client.post(url, json=subscribe, headers=one)
        assert server.wishes.resources == {"file:///a"}
        heard: dict[str, list[str]] = {"one": [], "two": []}

        async def listen(name: str, session: dict[str, str]) -> None:
            accept = {"accept": "text/event-stream"}
            async with client.stream("GET", url, headers=session | accept) as response:
                async for line in response.aiter_lines():
                    heard[name].append(line)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(listen(*each)) for each in (("one", one), ("two", two))]
            await until(lambda: heard["one"] and heard["two"])
            audience = proxy.audience("s")
            audience.notified("notifications/resources/updated", b'{"uri":"file:///a"}')
            other = proxy.audience("t")
            other.notified("notifications/resources/updated", b'{"uri":"file:///a/t"}')
            proxy.lists_changed("s", frozenset({"prompts"}))
            await until(lambda: any("prompts/list_changed" in line for line in heard["two"]))
            for task in tasks:
                task.cancel()
        assert sum("resources/updated" in line for line in heard["one"]) == 1
        assert not any("resources/updated" in line for line in heard["two"])
        await client.delete(url, headers=one)
        assert server.wishes.resources == frozenset()


async def test_a_question_asked_while_another_waits_for_its_answer_is_asked_next() -> None:
    first_is_out = asyncio.Event()

    async def twice(request: Received) -> bytes:
        client = request.client
        assert client is not None

        async def later() -> bytes:
            await first_is_out.wait()
            return await client.asked("elicitation/create", b'{"message":"2"}')

        first = client.asked("elicitation/create", b'{"message":"1"}')
        told = await asyncio.gather(first, later())
        return b'{"told":[%b]}' % b",".join(told)

    server = FakeUpstream("s", answer=twice)
    async with running(server) as proxy, http_client() as client:

        async def ask(more: dict[str, object]) -> dict[str, object]:
            body, headers = modern("tools/call", {"name": "s__echo", **more})
            response = await client.post(url_of(proxy), json=body, headers=headers)
            result: dict[str, object] = response.json()["result"]
            return result

        messages = []
        result = await ask({})
        for number in (1, 2):
            first_is_out.set()
            requests = result["inputRequests"]
            assert isinstance(requests, dict)
            ((key, question),) = requests.items()
            messages.append(question["params"]["message"])
            answers = {"inputResponses": {key: number}, "requestState": result["requestState"]}
            result = await ask(answers)
    assert messages == ["1", "2"]
    assert result == {"resultType": "complete", "told": [1, 2]}


async def test_of_one_address_at_two_servers_the_first_is_read_and_the_second_says_so() -> None:
    first, second = Rich("first", answer=plain), Rich("second")
    async with running(first, second) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        read = rpc("resources/read", {"uri": "file:///a"})
        answer = await client.post(url_of(proxy), json=read, headers=session)
        assert answer.json()["result"] == {"seen": {"uri": "file:///a"}}
        assert proxy.collisions("first") == ()
        assert proxy.collisions("second") == (
            "1 of its resources are at first too: on /mcp those of first are read.",
            "1 of its templates are at first too: on /mcp those of first are read.",
        )
