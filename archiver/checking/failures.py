"""What went wrong on the wire, in one stable word (reference checking §5.1).

Only classes, numbers and OpenSSL's reason names are read: message texts differ between
versions. The words are the reason names of the reference without a prefix.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import aiohttp

from archiver.checking.resolver import AddressRefused, Exchange, NameTimeout

# Faults of this machine, not of a host: to be treated like being offline (reference perf §1).
LOCAL_TROUBLE = "local-trouble"
# What silence is called.
TIMEOUTS = frozenset({"dns-timeout", "connect-timeout", "read-timeout"})
# A certificate we do not trust: the page is fetched once more without verification.
CERTIFICATE_WORDS = frozenset(
    {"tls-expired", "tls-not-yet", "tls-self-signed", "tls-chain", "tls-name"}
)

# OpenSSL's X509_V_ERR_* numbers; rows 16 to 19.
_CERTIFICATE = {
    9: "tls-not-yet",
    10: "tls-expired",
    18: "tls-self-signed",
    19: "tls-self-signed",
    62: "tls-name",
    64: "tls-name",
}
# OpenSSL's reason names; rows 20 to 25. Anything else is a failed handshake.
_TLS_REASONS = {
    "TLSV1_ALERT_PROTOCOL_VERSION": "tls-old",
    "UNSUPPORTED_PROTOCOL": "tls-old",
    "NO_PROTOCOLS_AVAILABLE": "tls-old",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "tls-old",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": "tls-old",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "tls-old",
    "DH_KEY_TOO_SMALL": "tls-old",
    "WRONG_SIGNATURE_TYPE": "tls-old",
    "TLSV1_UNRECOGNIZED_NAME": "tls-name",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "client-cert",
    "SSLV3_ALERT_BAD_CERTIFICATE": "client-cert",
}
_NAME_ERRORS = {
    socket.EAI_NONAME: "dns-gone",
    getattr(socket, "EAI_NODATA", -5): "dns-no-address",
    getattr(socket, "EAI_ADDRFAMILY", -9): "dns-no-address",
    socket.EAI_AGAIN: "dns-error",
    socket.EAI_FAIL: "dns-error",
    getattr(socket, "EAI_MEMORY", -10): LOCAL_TROUBLE,
}
_SYSTEM_ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ETIMEDOUT: "connect-timeout",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.EMFILE: LOCAL_TROUBLE,
    errno.ENFILE: LOCAL_TROUBLE,
    errno.ENOBUFS: LOCAL_TROUBLE,
    errno.ENOMEM: LOCAL_TROUBLE,
    errno.EADDRNOTAVAIL: LOCAL_TROUBLE,
    # A local packet filter answers a connect this way.
    errno.EPERM: LOCAL_TROUBLE,
    errno.EACCES: LOCAL_TROUBLE,
}


def word_for(error: BaseException, exchange: Exchange, *, through_proxy: bool = False) -> str:
    """Return the word for an exception that ended a request before its headers were read."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connect_word(error, through_proxy)
    if isinstance(error, asyncio.TimeoutError):
        return _timeout_word(error, exchange)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "empty-answer"
    if isinstance(error, aiohttp.ClientOSError):
        word = _system_word(error.__cause__ or error, "reset")
        return "read-timeout" if word == "connect-timeout" else word
    if isinstance(error, OSError):
        return _name_word(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return LOCAL_TROUBLE
    if isinstance(error, aiohttp.InvalidURL):
        # A host that aiohttp takes for an address in disguise.
        return "private-address"
    return "unreadable-http" if isinstance(error, aiohttp.ClientError) else LOCAL_TROUBLE


def _connect_word(error: aiohttp.ClientConnectorError, through_proxy: bool) -> str:
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return LOCAL_TROUBLE
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return LOCAL_TROUBLE if through_proxy else _name_word(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate_word(error.certificate_error)
    return _system_word(error.os_error, "unreachable")


def _timeout_word(error: BaseException, exchange: Exchange) -> str:
    if exchange.resolving:
        return "dns-timeout"
    return (
        "connect-timeout" if isinstance(error, aiohttp.ConnectionTimeoutError) else "read-timeout"
    )


def _name_word(error: BaseException) -> str:
    if isinstance(error, AddressRefused):
        return error.word
    if isinstance(error, NameTimeout):
        return "dns-timeout"
    number = getattr(error, "errno", None)
    if number in _NAME_ERRORS:
        return _NAME_ERRORS[number]
    return LOCAL_TROUBLE if _SYSTEM_ERRORS.get(number or 0) == LOCAL_TROUBLE else "dns-error"


def _certificate_word(error: BaseException) -> str:
    code = getattr(error, "verify_code", 0)
    return _CERTIFICATE.get(code, "tls-chain")


def _system_word(error: BaseException, otherwise: str = LOCAL_TROUBLE) -> str:
    if isinstance(error, AddressRefused):
        return error.word
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_word(error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        # Its number is OpenSSL's, and the reason of an alert nobody knows is None.
        return _TLS_REASONS.get(error.reason or "", "tls-handshake")
    number = getattr(error, "errno", None)
    if number is None:
        # The connection ended inside the handshake (row 23).
        return "reset"
    return _SYSTEM_ERRORS.get(number, otherwise)
