"""What doors are shown of each server: its snapshot, and what other rooms know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcpmux_tui.activity.log import LogBook
from mcpmux_tui.model.server import Health, ServerSnapshot, suggested_action

if TYPE_CHECKING:
    # Imported when a remote server starts.
    from mcpmux_tui.engine.sign_ins import SignIns

_TEXTS = ("summary", "detail", "target")
"""What of a snapshot may hold a secret."""


class Rows:
    """`clean` takes secrets out of a text, `collisions` tells what of a server clients see under
    another name. `sign_ins` is None as long as nobody can have signed in."""

    def __init__(
        self,
        logs: LogBook,
        *,
        clean: Callable[[str], str],
        collisions: Callable[[str], tuple[str, ...]],
    ) -> None:
        self.sign_ins: SignIns | None = None
        self._logs = logs
        self._clean = clean
        self._collisions = collisions
        self._cleaned: dict[str, tuple[ServerSnapshot, ServerSnapshot]] = {}

    def of(self, snapshot: ServerSnapshot) -> ServerSnapshot:
        """A server as doors see it."""
        snapshot = self._without_secrets(snapshot)
        changes: dict[str, object] = {}
        warnings = self._collisions(snapshot.name)
        sign_ins = self.sign_ins
        if sign_ins is not None and (signed := sign_ins.signed(snapshot.name)) is not None:
            warnings += (signed.warning,) if signed.warning else ()
            if signed.signed_in:
                changes = {
                    "signed_in": True,
                    "account": signed.account or "",
                    "renews_at": signed.renews_at,
                }
        if sign_ins is not None and snapshot.state is Health.NEEDS_SIGN_IN:
            changes |= _signing_in(sign_ins, snapshot)
        if snapshot.state is Health.CONNECTING and (said := self._last_said(snapshot)):
            changes["summary"] = f"{snapshot.summary}: {said}"
        if warnings:
            changes["warnings"] = (*snapshot.warnings, *warnings)
        return snapshot.model_copy(update=changes) if changes else snapshot

    def forget(self, name: str) -> None:
        """A server was removed."""
        self._cleaned.pop(name, None)

    def _without_secrets(self, snapshot: ServerSnapshot) -> ServerSnapshot:
        """The same, each looked through once: most rows stay as they are most of the time."""
        known = self._cleaned.get(snapshot.name)
        if known is None or known[0] is not snapshot:
            cleaned = {
                name: text
                for name in _TEXTS
                if (text := self._clean(getattr(snapshot, name))) != getattr(snapshot, name)
            }
            known = (snapshot, snapshot.model_copy(update=cleaned) if cleaned else snapshot)
            self._cleaned[snapshot.name] = known
        return known[1]

    def _last_said(self, snapshot: ServerSnapshot) -> str:
        """What a server last wrote of its start: a package runner may take minutes."""
        for last in self._logs.page(snapshot.name, limit=1):
            if last.source == "stderr" and last.time >= (snapshot.since or 0):
                return last.text[:100]
        return ""


def _signing_in(sign_ins: SignIns, snapshot: ServerSnapshot) -> dict[str, object]:
    """What a sign-in under way, or the end of the last one, changes in a row."""
    if (under_way := sign_ins.under_way(snapshot.name)) is not None:
        step = under_way.step
        return {
            "state": Health.SIGNING_IN,
            "since": step.since,
            "summary": f"at {step.host}",
            "detail": f"It waits for you at {step.host}. `Sign in` on its row shows the address"
            f" again, and so does `mcpmux login {snapshot.name}`.",
            "action": suggested_action(Health.SIGNING_IN),
        }
    if (failure := sign_ins.failure(snapshot.name)) is not None:
        return {"summary": failure.message, "detail": f"{failure}\n{snapshot.detail}"}
    return {}
