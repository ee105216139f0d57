"""Errors of the client library in words for an operator: what is wrong and, where that is known, who must act."""

from __future__ import annotations

import ssl

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)

# What brokers do, without a word, with clients that speak another protocol than the port.
_CLOSED = {
    "PLAINTEXT": "does that port ask for TLS (tls=True) or for credentials (sasl=)?",
    "SASL_PLAINTEXT": "does that port ask for TLS (tls=True)?",
    "SSL": "does that port speak TLS, and does it ask for a client certificate (tls_cert) or sasl=?",
    "SASL_SSL": "does that port speak TLS, and does it ask for a client certificate (tls_cert)?",
}


def spell_trouble(error: BaseException) -> str:
    """Return what is wrong and, where that is known, who must act."""
    if isinstance(error, SaslAuthenticationFailed):
        return (
            f"wrong credentials, the broker refused them ({error}); check username and password, "
            "or the token"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"the broker does not take this sasl= mechanism ({error})"
    if isinstance(error, TopicAuthorizationFailedError):
        return f"no right to read topic {_named(error)}; grant READ on it to this user"
    if isinstance(error, GroupAuthorizationFailedError):
        return f"no right to be in group {_named(error)}; grant READ on it to this user"
    if isinstance(error, OffsetOutOfRangeError):
        return f"an offset is out of range: {error}"
    if isinstance(error, UnsupportedCodecError):
        return f"records are compressed by a codec that is not installed ({error}); install cramjam"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is the broker running there?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the broker's certificate is not trusted ({error.verify_message}); tls_ca must name the "
            "authority that signed it, and bootstrap_servers a host that it was made for"
        )
    return str(error) or type(error).__name__


def _named(error: BaseException) -> object:
    return error.args[0] if error.args else error


def spell_refusal(error: BaseException, protocol: str) -> str:
    """Return why a new connection did not come to be; `protocol` is Kafka's name of ours, such as SASL_SSL."""
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS failed ({cause.reason or cause}); {_CLOSED[protocol]}"
    if isinstance(cause, (ConnectionResetError, EOFError)) or (
        isinstance(error, KafkaConnectionError) and cause is error and "closed" in str(error)
    ):
        return f"the broker closed the connection at once; {_CLOSED[protocol]}"
    return spell_trouble(error)
