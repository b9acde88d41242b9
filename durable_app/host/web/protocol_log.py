"""What aiohttp says about connections, without what nobody here could mend."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

#: For servers of aiohttp. Garbage on a port, such as a caller that speaks gRPC or TLS to it, is
#: answered with 400, and that is all.
PROTOCOL_LOG: Final = logging.getLogger(__name__)
PROTOCOL_LOG.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)
