"""The listeners of a test broker and their security, as properties of the broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_SECURITY = "org.apache.kafka.common.security"

PLAINTEXT, CONTROLLER = "PLAINTEXT", "CONTROLLER"
SASL, TLS, MUTUAL_TLS, SASL_TLS = "SASL", "TLS", "MUTUALTLS", "SASLTLS"
# Names are ours; what they mean to Kafka is told here.
PROTOCOLS: Mapping[str, str] = {
    PLAINTEXT: "PLAINTEXT",
    CONTROLLER: "PLAINTEXT",
    SASL: "SASL_PLAINTEXT",
    TLS: "SSL",
    MUTUAL_TLS: "SSL",
    SASL_TLS: "SASL_SSL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTls:
    """The certificates of a broker, PEM files all.

    `certificate` holds the broker's private key (PKCS #8) and after it its chain of certificates, `authority` the
    certificate of the authority that must have signed those of clients.
    """

    certificate: Path
    authority: Path


def listener_names(*, has_users: bool, has_tls: bool) -> list[str]:
    """Return the names of the listeners of a broker with these options."""
    names = [PLAINTEXT, CONTROLLER]
    if has_users:
        names.append(SASL)
    if has_tls:
        names += [TLS, MUTUAL_TLS]
    if has_users and has_tls:
        names.append(SASL_TLS)
    return names


def tls_properties(tls: BrokerTls) -> dict[str, str]:
    """Return the properties of the listeners with TLS."""
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(tls.certificate),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(tls.authority),
        f"listener.name.{MUTUAL_TLS.lower()}.ssl.client.auth": "required",
    }


def sasl_properties(users: Mapping[str, str], listeners: list[str]) -> dict[str, str]:
    """Return the properties of the listeners with credentials, and of the authorizer."""
    passwords = " ".join(f'user_{user}="{password}"' for user, password in users.items())
    modules = {
        "plain": f"plain.PlainLoginModule required {passwords}",
        **dict.fromkeys(map(str.lower, SCRAM_MECHANISMS), "scram.ScramLoginModule required"),
        # Kafka's own unsecured validator: tokens with a subject and an end, without a signature.
        "oauthbearer": (
            'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"'
        ),
    }
    properties = {
        "sasl.enabled.mechanisms": ",".join(["PLAIN", *SCRAM_MECHANISMS, "OAUTHBEARER"]),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }
    for listener in listeners:
        if PROTOCOLS[listener].startswith("SASL"):
            for mechanism, module in modules.items():
                name = f"listener.name.{listener.lower()}.{mechanism}.sasl.jaas.config"
                properties[name] = f"{_SECURITY}.{module};"
    return properties
