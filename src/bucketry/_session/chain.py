"""Credentials from AWS's credential chain, found and refreshed by aiobotocore."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from bucketry._session.botocore_errors import description_of, exception_class
from bucketry._session.frames import without_frames
from bucketry._session.own_loop import in_own_loop
from bucketry._session.versions import fitting
from bucketry._wire.errors import WireError
from bucketry._wire.sigv4 import Credentials
from bucketry.errors import AuthenticationError


class Chain:
    """The credentials of one session. They are found once for all callers, and refreshed before they expire."""

    def __init__(self, session: AioSession) -> None:
        """Store the session; no I/O."""
        self._session = session
        self._found: Any = None
        self._latest: Any = None
        self._credentials = Credentials("", "")
        self._finding = asyncio.Lock()  # so that many waiting callers ask a process or a metadata service once

    async def ask(self) -> Credentials:
        """Return the credentials.

        Raises:
            WireError: There are no credentials, or they cannot be found or refreshed.
        """
        outer = sys.exception()
        try:
            with fitting():
                frozen = await self._frozen()
        except ClientError as exc:
            raise WireError(AuthenticationError, f"AWS gave no credentials: {exc}") from without_frames(exc, outer)
        except BotoCoreError as exc:
            raise WireError(exception_class(exc), description_of(exc)) from without_frames(exc, outer)
        if frozen != self._latest:  # compared by value, because static keys come in a new tuple each time
            method = str(getattr(self._found, "method", "") or "")
            self._credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token, method)
            self._latest = frozen
        return self._credentials

    async def _frozen(self) -> Any:  # noqa: ANN401 - botocore border
        if self._found is None:
            async with self._finding:
                if self._found is None:
                    # The search runs in a thread with its own loop, because it blocks: it reads files, and for assumed
                    # roles also a service model. The credentials can still be refreshed in this loop, because an
                    # asyncio lock is bound to a loop only when a task must wait for it, and in that thread no task has
                    # waited.
                    self._found, frozen = await in_own_loop(partial(_find, self._session))
                    return frozen
        return await self._found.get_frozen_credentials()


async def _find(session: AioSession) -> tuple[Any, Any]:
    held = await session.get_credentials()
    if held is None:
        raise NoCredentialsError
    return held, await held.get_frozen_credentials()
