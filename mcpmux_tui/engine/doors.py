"""The control protocol's methods: what a door sends is asked of the room that does it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import BaseModel, JsonValue

from mcpmux_tui.config import edit
from mcpmux_tui.config.show import entry_text
from mcpmux_tui.control import protocol
from mcpmux_tui.control.connection import Handler
from mcpmux_tui.engine import offline
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.engine.trying import hint_of, item_named, shown_name
from mcpmux_tui.model.channel import Item, Kind
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.paths import shown
from mcpmux_tui.text import clean, one_line

ITEM_LIMIT = 1_000
SKIPPED_LIMIT = 100
DESCRIPTION_LIMIT = 400
"""How much of a server's list goes into one answer."""

Params = Mapping[str, JsonValue]


class Doors:
    """Answers doors; `stop` is set when one asks the engine to end, `detached` when its owner
    leaves it to go on."""

    def __init__(
        self,
        hub: Hub,
        detached: asyncio.Event | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        self._hub = hub
        self._detached = detached or asyncio.Event()
        self._told = stop or asyncio.Event()
        self._person = person = Person(hub)
        self._given = person.given
        self._securing = person.securing
        self._trying = person.trying
        self._drafts = person.drafts

    def handlers(self) -> Mapping[str, Handler]:
        """The methods, by name."""
        return {
            "hello": self._hello,
            "act": self._act,
            "answer": self._answer,
            "items": self._items,
            "item_form": self._item_form,
            "try_item": self._try_item,
            "try_progress": self._try_progress,
            "try_cancel": self._try_cancel,
            "offer": self._offer,
            "entry": self._entry,
            "logs": self._logs,
            "doctor": self._doctor,
            "login": self._login,
            "login_wait": self._login_wait,
            "login_paste": self._login_paste,
            "login_cancel": self._login_cancel,
            "logout": self._logout,
            "values": self._values,
            "give_values": self._give_values,
            "refer_to_secret": self._refer_to_secret,
            "secure": self._secure,
            "undo_secure": self._undo_secure,
            "keeping": self._keeping,
            "change_ui": self._change_ui,
            "secrets": self._secrets,
            "secret_set": self._secret_set,
            "secret_remove": self._secret_remove,
            "client_choices": self._client_choices,
            "client_entry": self._client_entry,
            "find_imports": self._find_imports,
            "import": self._import,
            "draft_read": self._draft_read,
            "draft_test": self._draft_test,
            "draft_cancel": self._draft_cancel,
            "draft_keep": self._draft_keep,
            "entry_form": self._entry_form,
            "place": self._place,
            "delete_server": self._delete_server,
            "reload": self._reload,
            "end_leftovers": self._end_leftovers,
            "detach": self._detach,
            "stop": self._stop,
        }

    async def _hello(self, _: Params) -> BaseModel:
        snapshot = self._hub.snapshot()
        return protocol.Hello(pid=snapshot.proxy.pid, snapshot=snapshot)

    async def _act(self, params: Params) -> None:
        request = protocol.Act.model_validate(params)
        await self._person.act(request.server, request.action)

    async def _answer(self, params: Params) -> None:
        answer = protocol.Answer.model_validate(params)
        self._hub.proxy.questions.answer(answer.question, answer.verdict, answer.typed)

    async def _items(self, params: Params) -> BaseModel:
        page = protocol.ItemPage.model_validate(params)
        fleet = self._hub.fleet
        servers = list(fleet) if page.server is None else [page.server]
        found = [(each, item) for each in servers for item in fleet.named(each).lists.of(page.kind)]
        part = found[page.after : page.after + min(page.limit, ITEM_LIMIT)]
        skipped = () if page.server is None else fleet.named(page.server).lists.skipped
        return protocol.Items(
            items=tuple(self._line(server, page.kind, item) for server, item in part),
            total=len(found),
            skipped=skipped[:SKIPPED_LIMIT],
        )

    def _line(self, server: str, kind: Kind, item: Item) -> protocol.ItemLine:
        public = self._hub.proxy.public_name(server, kind, item.name)
        return protocol.ItemLine(
            server=server,
            kind=kind,
            name=shown_name(item.name),
            public=shown_name(public),
            description=one_line(item.description, DESCRIPTION_LIMIT),
            hint=hint_of(kind, item),
        )

    async def _item_form(self, params: Params) -> BaseModel:
        return self._trying.form(protocol.ItemName.model_validate(params))

    async def _try_item(self, params: Params) -> BaseModel:
        return await self._trying.run(protocol.TryItem.model_validate(params))

    async def _try_progress(self, params: Params) -> BaseModel:
        key = protocol.TryKey.model_validate(params).key
        return protocol.TryProgress(said=self._trying.progress(key))

    async def _offer(self, params: Params) -> None:
        wish = protocol.Offer.model_validate(params)
        lists = self._hub.fleet.named(wish.server).lists
        tool = item_named(wish.server, lists, Kind.TOOLS, wish.tool).name
        await self._hub.edit(edit.offer_tool, wish.server, tool, wish.offered)

    async def _entry(self, params: Params) -> BaseModel:
        server = protocol.OneServer.model_validate(params).server
        path = self._hub.instance.config
        line, text = await asyncio.to_thread(entry_text, path, server)
        return protocol.Entry(
            path=shown(path), line=line, text=clean(self._hub.redactor.clean(text))
        )

    async def _logs(self, params: Params) -> BaseModel:
        search = protocol.LogSearch.model_validate(params)
        lines = self._hub.logs.page(
            search.server, after=search.after, limit=min(search.limit, 2_000)
        )
        return protocol.LogPage(
            lines=tuple(
                protocol.LogLine(
                    seq=line.seq,
                    server=line.server,
                    time=line.time,
                    source=line.source,
                    text=line.text,
                )
                for line in lines
            )
        )

    async def _try_cancel(self, params: Params) -> None:
        self._trying.cancel(protocol.TryKey.model_validate(params).key)

    async def _doctor(self, params: Params) -> BaseModel:
        checks = await self._person.examine(protocol.OneServer.model_validate(params).server)
        return protocol.Checkup(checks=checks)

    async def _login(self, params: Params) -> BaseModel:
        return await self._person.login(protocol.Login.model_validate(params))

    async def _login_wait(self, params: Params) -> BaseModel:
        return await self._hub.sign_ins.wait(protocol.OneServer.model_validate(params).server)

    async def _login_paste(self, params: Params) -> None:
        pasted = protocol.LoginPaste.model_validate(params)
        self._hub.sign_ins.paste(pasted.server, pasted.address)

    async def _login_cancel(self, params: Params) -> None:
        self._hub.sign_ins.cancel(protocol.OneServer.model_validate(params).server)

    async def _logout(self, params: Params) -> BaseModel:
        wish = protocol.Logout.model_validate(params)
        return protocol.LoggedOut(told=await self._person.logout(wish.server, reset=wish.reset))

    async def _values(self, params: Params) -> BaseModel:
        return await self._given.fields(protocol.OneServer.model_validate(params).server)

    async def _give_values(self, params: Params) -> BaseModel:
        return await self._given.give(protocol.GiveValues.model_validate(params))

    async def _refer_to_secret(self, params: Params) -> None:
        value = protocol.ServerValue.model_validate(params)
        await self._hub.edit(edit.refer_to_secret, value.server, value.name)

    async def _secure(self, params: Params) -> BaseModel:
        server = protocol.OneServer.model_validate(params).server
        names = await self._securing.move(self._hub.fleet.named(server).spec)
        await self._hub.reload()
        return protocol.Moved(names=names)

    async def _undo_secure(self, _: Params) -> BaseModel:
        names = await self._securing.undo()
        await self._hub.reload()
        return protocol.Moved(names=names)

    async def _keeping(self, _: Params) -> BaseModel:
        return await self._given.keeping()

    async def _change_ui(self, params: Params) -> None:
        change = UiChange.model_validate(params)
        await self._hub.edit(edit.set_ui, change, create=not self._hub.instance.required)

    async def _secrets(self, _: Params) -> BaseModel:
        return await self._given.listed()

    async def _secret_set(self, params: Params) -> None:
        secret = protocol.SecretSet.model_validate(params)
        await self._given.set(secret.name, secret.value)

    async def _secret_remove(self, params: Params) -> None:
        await self._given.remove(protocol.SecretName.model_validate(params).name)

    async def _client_choices(self, _: Params) -> BaseModel:
        return await asyncio.to_thread(offline.client_choices)

    async def _client_entry(self, params: Params) -> BaseModel:
        request = protocol.ClientEntryRequest.model_validate(params)
        hub = self._hub
        if (url := hub.proxy.url) is None:
            raise ControlError(
                "The proxy does not listen, so there is no address to copy.",
                "Free its port, or start mcpmux with another --port.",
            )
        return offline.client_entry(request.client, url, hub.token, hub.instance)

    async def _find_imports(self, _: Params) -> BaseModel:
        hub = self._hub
        return await asyncio.to_thread(offline.find_imports, hub.instance, hub.proxy.url)

    async def _import(self, params: Params) -> BaseModel:
        request = protocol.ImportRequest.model_validate(params)
        hub = self._hub
        imported = await asyncio.to_thread(
            offline.import_servers, hub.instance, request.keys, hub.proxy.url
        )
        await hub.reload()
        return imported

    async def _draft_read(self, params: Params) -> BaseModel:
        return await self._drafts.read(protocol.Draft.model_validate(params))

    async def _draft_test(self, params: Params) -> BaseModel:
        test = protocol.DraftTest.model_validate(params)
        return await self._drafts.test(test.key, test.draft)

    async def _draft_cancel(self, params: Params) -> None:
        self._drafts.cancel(protocol.DraftKey.model_validate(params).key)

    async def _draft_keep(self, params: Params) -> BaseModel:
        kept = await self._drafts.keep(protocol.Draft.model_validate(params))
        if kept.names:
            await self._hub.reload()
        return kept

    async def _entry_form(self, params: Params) -> BaseModel:
        wanted = protocol.FormWanted.model_validate(params)
        return await self._drafts.form(wanted.server, copy_of=wanted.copy_of)

    async def _place(self, params: Params) -> BaseModel:
        server = protocol.OneServer.model_validate(params).server
        return await asyncio.to_thread(offline.place, self._hub.instance, server)

    async def _delete_server(self, params: Params) -> BaseModel:
        server = protocol.OneServer.model_validate(params).server
        return protocol.Gone(secrets=await self._person.remove(server))

    async def _reload(self, _: Params) -> None:
        await self._hub.reload()

    async def _end_leftovers(self, _: Params) -> None:
        await self._hub.leftovers.end()

    async def _detach(self, _: Params) -> None:
        self._detached.set()

    async def _stop(self, _: Params) -> None:
        self._told.set()
