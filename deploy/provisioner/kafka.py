"""Topics, principals and access rules of administrations, made in Kafka itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from deploy.provisioner.credentials import Credentials, principal_of
from deploy.provisioning import make_topics, topics_of

_ITERATIONS = 8192
_TIMEOUT = 30.0
_PROBE_SECONDS = 30.0
_PROBE_BEFORE = 10
"""Records before the end of the inbox among which a probe written before a restart is looked for."""


class ProbeFailed(Exception):
    """The new principal did not see the record it must be able to read."""


class Probe(Protocol):
    """An inbox opened with new credentials."""

    def find(self, event_id: str) -> None:
        """Returns once the record is read. Raises ProbeFailed, KafkaException."""

    def close(self) -> None:
        """Lets go of the connection."""


class Provisioner(Protocol):
    """Gives administrations what they need in Kafka. Everything may be done again and then changes nothing."""

    def provide(self, credentials: Credentials) -> None:
        """Topics, principal and access rules. Raises KafkaException."""

    def probe(self, credentials: Credentials) -> Probe:
        """Signs in with the credentials and opens the inbox near its end. Raises KafkaException."""

    def withdraw(self, code: str) -> None:
        """Takes access rules and principal away, never topics. Raises KafkaException."""


class KafkaProvisioner:
    """Does it directly, with an administrator's connection; `client` are librdkafka's settings of administrations."""

    def __init__(self, admin: Mapping[str, str], client: Mapping[str, str], replication_factor: int) -> None:
        self._admin = AdminClient(dict(admin))
        self._client = dict(client)
        self._replication_factor = replication_factor

    def provide(self, credentials: Credentials) -> None:
        make_topics(self._admin, topics_of(credentials.code), self._replication_factor)
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        upsert = UserScramCredentialUpsertion(credentials.principal, scram, credentials.password.encode())
        for future in self._admin.alter_user_scram_credentials([upsert]).values():
            future.result()
        for rule in self._admin.create_acls(access_rules(credentials.code)).values():
            rule.result()

    def probe(self, credentials: Credentials) -> Probe:
        return _KafkaProbe(credentials, self._client)

    def withdraw(self, code: str) -> None:
        for rules in self._admin.delete_acls([principal_filter(code)]).values():
            rules.result()
        deletion = UserScramCredentialDeletion(principal_of(code), ScramMechanism.SCRAM_SHA_512)
        for future in self._admin.alter_user_scram_credentials([deletion]).values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                    raise


def principal_filter(code: str) -> AclBindingFilter:
    """Every access rule of an administration."""
    return AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # any name
        ResourcePatternType.ANY,
        f"User:{principal_of(code)}",
        None,  # type: ignore[arg-type]  # any host
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def access_rules(code: str) -> list[AclBinding]:
    """Read the own inbox and rejections in groups of the own prefix, write the own outbox, and nothing else.

    The dot ends the prefix: codes have none, so that no code's prefix begins another's.
    """
    inbox, outbox, rejected = topics_of(code)
    return [
        _allow(code, ResourceType.TOPIC, inbox.name, AclOperation.READ),
        _allow(code, ResourceType.TOPIC, rejected.name, AclOperation.READ),
        _allow(code, ResourceType.TOPIC, outbox.name, AclOperation.WRITE),
        _allow(code, ResourceType.GROUP, f"administrations.{code}.", AclOperation.READ, ResourcePatternType.PREFIXED),
    ]


def _allow(
    code: str,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    principal = f"User:{principal_of(code)}"
    return AclBinding(kind, name, pattern, principal, "*", operation, AclPermissionType.ALLOW)


class _KafkaProbe:
    def __init__(self, credentials: Credentials, client: Mapping[str, str]) -> None:
        self._code = credentials.code
        self._consumer = Consumer(
            {
                "bootstrap.servers": credentials.bootstrap_servers,
                "sasl.username": credentials.principal,
                "sasl.password": credentials.password,
                "group.id": f"administrations.{credentials.code}.probe",
                "enable.auto.commit": False,
                "log_level": 0,
                **client,
            }
        )
        inbox = topics_of(credentials.code)[0].name
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(inbox, 0), _TIMEOUT)
            self._consumer.assign([TopicPartition(inbox, 0, max(low, high - _PROBE_BEFORE))])
        except BaseException:
            self._consumer.close()
            raise

    def find(self, event_id: str) -> None:
        give_up_at = time.monotonic() + _PROBE_SECONDS
        while time.monotonic() < give_up_at:
            message = self._consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is not None:
                raise KafkaException(message.error())
            if ("ce_id", event_id.encode()) in (message.headers() or []):
                return
        raise ProbeFailed(f"{self._code}: record {event_id} did not arrive within {_PROBE_SECONDS:.0f} s")

    def close(self) -> None:
        self._consumer.close()
