"""The values of configuration entries that have a fixed list of them; loads quickly, for the command line."""

from __future__ import annotations

from typing import Literal, TypeAlias

AddressingStyle: TypeAlias = Literal["auto", "path", "virtual"]
Transport: TypeAlias = Literal["auto", "aiobotocore"]
Server: TypeAlias = Literal["auto", "aws", "generic"]
