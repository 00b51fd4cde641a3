"""The base of everything that crosses the control socket."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Never changed; members that a newer version added are passed over."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="ignore")
