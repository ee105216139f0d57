"""What errors of Kafka mean for the author of a step, and what is to be done about them."""

from __future__ import annotations

import ssl

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownProducerId,
    UnsupportedSaslMechanismError,
)

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# Said of a whole batch, perhaps because of another record in it. UnknownError is what aiokafka 0.14.0 makes
# of INVALID_RECORD: a record without a key on a compacted topic.
REFUSED_TOGETHER = (*TOO_LARGE, InvalidTimestampError, UnknownError)
# The record was not appended, or nobody knows any more; a new producer may send it.
LOST_ON_THE_WAY = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
_HOPELESS = (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)


class TroubleError(Exception):
    """Nothing can be sent now; the text says why. `is_hopeless` when waiting a little will not help."""

    def __init__(self, text: str, *, is_hopeless: bool = False) -> None:
        super().__init__(text)
        self.is_hopeless = is_hopeless


class RefusedError(TroubleError):
    """A broker refused this record, sent alone: the same record will be refused again."""


def is_hopeless(error: BaseException) -> bool:
    """Whether someone must act before the same can work."""
    return isinstance(error, _HOPELESS)


def spell_trouble(error: BaseException) -> str:
    """Return what is wrong and, where that is known, who must act."""
    if isinstance(error, SaslAuthenticationFailed):
        return f"wrong credentials, the broker refused them ({error}); check username and password"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"the broker does not take this sasl= mechanism ({error})"
    if isinstance(error, TopicAuthorizationFailedError):
        return "no right to write to it; grant WRITE and DESCRIBE on it to this user"
    if isinstance(error, ClusterAuthorizationFailedError):
        return "no right to be an idempotent producer; grant IDEMPOTENT_WRITE on the cluster"
    if isinstance(error, InvalidTopicError):
        return "not a name that a topic can have, or one of Kafka's own topics"
    if isinstance(error, InvalidTimestampError):
        return "its timestamp is out of the range that the topic takes"
    if isinstance(error, UnknownError):
        return (
            "the broker gives a reason that aiokafka does not know; a compacted topic takes only "
            "records with a key, and the broker's log says more"
        )
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is the broker running there?"
    return str(error) or type(error).__name__
