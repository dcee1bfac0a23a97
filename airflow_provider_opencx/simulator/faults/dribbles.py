"""Faults in which the bytes of a response arrive continuously, but are useless for a long time.

A timeout of each read never fires. The connection is closed after the response.
"""

from __future__ import annotations

import gzip
import math
from abc import abstractmethod
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, get_args

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.delivery import DribblingResponse, response_head
from airflow_provider_opencx.simulator.faults.fault import Handle, TimedFault

_Part = Literal["size", "extension", "trailer"]
_Information = Literal[100, 102, 103]

_PADDING = b"x-padding: "
_GZIP_START = 10
_NAME_FOLLOWS = b"\x08"


@dataclass(frozen=True)
class DribblingFault(TimedFault):
    """A fault that handles the request, and has its response dribble.

    :param seconds: how long
    :param between: the seconds from one piece to the next
    """

    between: float = field(default=0.05, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.between < math.inf:
            raise ValueError(f"between must be 0 seconds or more, not {self.between}.")

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Handle the request, and dribble."""
        return self.dribbled(handle(call))

    @abstractmethod
    def dribbled(self, response: Response) -> DribblingResponse:
        """Return how the response dribbles."""

    def around(self, response: Response, before: bytes, filler: bytes, after: bytes) -> DribblingResponse:
        """Return the bytes of the response around those that dribble."""
        return DribblingResponse(
            response.status_code,
            before=before,
            filler=filler,
            after=after,
            seconds=self.seconds,
            between=self.between,
        )


@dataclass(frozen=True)
class SlowHeaders(DribblingFault):
    """Handle the request and send the status line at once, but then a header that dribbles, and then the rest.

    :param seconds: how long the header takes
    :param between: the seconds from one byte of it to the next
    """

    def dribbled(self, response: Response) -> DribblingResponse:
        """Put a header that dribbles before the others."""
        status_line, headers = response_head(response)
        return self.around(response, status_line + _PADDING, b"x", b"\r\n" + headers + bytes(response.body))


@dataclass(frozen=True)
class SlowChunks(DribblingFault):
    """Handle the request and send the body in one chunk, but a part of the chunked coding dribbles.

    :param seconds: how long that part takes
    :param part: ``extension`` of the chunk; ``trailer``: a header after the last chunk; ``size`` of the chunk: zeros
        before its first digit, which clients that read only so many digits refuse in the end
    :param between: the seconds from one byte of it to the next
    """

    part: _Part = "extension"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part not in get_args(_Part):
            raise ValueError(f"A part is one of {', '.join(get_args(_Part))}, not {self.part!r}.")

    def dribbled(self, response: Response) -> DribblingResponse:
        """Write the chunk around the part that dribbles."""
        body = bytes(response.body)
        head = b"".join(response_head(response, content_length=None, transfer_encoding="chunked"))
        size = b"%x" % len(body)
        last = b"\r\n0\r\n" if body else b""  # a chunk of size 0 is the last one
        match self.part:
            case "size":
                return self.around(response, head, b"0", size + b"\r\n" + body + last + b"\r\n")
            case "extension":
                return self.around(response, head + size + b";padding=", b"x", b"\r\n" + body + last + b"\r\n")
            case "trailer":
                return self.around(response, head + size + b"\r\n" + body + last + _PADDING, b"x", b"\r\n\r\n")


@dataclass(frozen=True)
class EndlessInformation(DribblingFault):
    """Handle the request and send one interim response after the other, then the response.

    :param seconds: how long interim responses are sent
    :param status: the status of the interim responses: 100 (Continue), 102 (Processing) or 103 (Early Hints)
    :param between: the seconds from one to the next
    """

    status: _Information = 103

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in get_args(_Information):
            raise ValueError(f"The status of an interim response is 100, 102 or 103, not {self.status}.")

    def dribbled(self, response: Response) -> DribblingResponse:
        """Put the interim responses before the response."""
        interim = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n\r\n".encode()
        return self.around(response, b"", interim, b"".join(response_head(response)) + bytes(response.body))


@dataclass(frozen=True)
class EndlessGzipHeader(DribblingFault):
    """Handle the request and send the body as gzip, but its header has the name of a file that does not end for long.

    Until then nothing can be decompressed. The response has no Content-Length.

    :param seconds: how long the name takes
    :param block: how many bytes of the name are sent at once
    :param between: the seconds from one block to the next; 0 is as fast as the client reads
    """

    block: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block < 1:
            raise ValueError(f"A block has 1 byte or more, not {self.block}.")

    def dribbled(self, response: Response) -> DribblingResponse:
        """Put a name that dribbles into the header of the compressed body."""
        compressed = gzip.compress(bytes(response.body), mtime=0)
        start, rest = compressed[:_GZIP_START], compressed[_GZIP_START:]
        head = b"".join(response_head(response, content_length=None, content_encoding="gzip"))
        return self.around(response, head + start[:3] + _NAME_FOLLOWS + start[4:], b"x" * self.block, b"\0" + rest)
