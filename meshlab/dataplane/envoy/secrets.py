"""What does a proxy show, and whom does it trust? Secrets, and the TLS contexts that refer to them by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue

from meshlab.dataplane.base import Credentials
from meshlab.dataplane.envoy import names
from meshlab.mesh.proxy_settings import Tls
from meshlab.xds import Resource

ADS = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
NEEDS = ((names.SECRET, names.SVID_SECRET), (names.SECRET, names.BUNDLE_SECRET))
"""The secrets that every TLS context here refers to."""

HTTP1, HTTP2 = "http/1.1", "h2"
_TLS = "envoy.transport_sockets.tls"


def pack(message: Message) -> AnyMessage:
    """A message as one of Envoy's typed extensions."""
    packed = AnyMessage()
    packed.Pack(message, deterministic=True)
    return packed


def svid(credentials: Credentials) -> Resource:
    """The identity's certificate and key."""
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_bytes=credentials.svid.chain),
        private_key=DataSource(inline_bytes=credentials.svid.key),
    )
    return Resource.of(names.SVID_SECRET, Secret(name=names.SVID_SECRET, tls_certificate=certificate))


def bundle(roots: bytes) -> Resource:
    """The roots that everybody trusts."""
    context = CertificateValidationContext(trusted_ca=DataSource(inline_bytes=roots))
    return Resource.of(names.BUNDLE_SECRET, Secret(name=names.BUNDLE_SECRET, validation_context=context))


def client_tls(sni: str, spiffe_ids: Iterable[str], speaks: Sequence[str], tls: Tls) -> TransportSocket:
    """Speak mutual TLS to a server that must prove one of these identities.

    ``osm`` is offered besides what is spoken: by it the server's proxy knows another proxy.
    """
    context = UpstreamTlsContext(common_tls_context=_common(_exactly(spiffe_ids), [*speaks, names.ALPN], tls), sni=sni)
    return TransportSocket(name=_TLS, typed_config=pack(context))


def server_tls(allowed: Iterable[StringMatcher], speaks: Sequence[str], tls: Tls) -> TransportSocket:
    """Demand a certificate that proves an allowed identity; anybody else fails the handshake."""
    context = DownstreamTlsContext(
        common_tls_context=_common(allowed, speaks or [names.ALPN], tls),
        require_client_certificate=BoolValue(value=True),
    )
    return TransportSocket(name=_TLS, typed_config=pack(context))


def parameters(tls: Tls) -> TlsParameters:
    """What of TLS may be spoken."""
    return TlsParameters(
        tls_minimum_protocol_version=TlsParameters.TlsProtocol.Value(tls.oldest),
        tls_maximum_protocol_version=TlsParameters.TlsProtocol.Value(tls.newest),
        cipher_suites=tls.ciphers,
        ecdh_curves=tls.curves,
    )


def anybody_of(trust_domain: str) -> list[StringMatcher]:
    """Every workload of the trust domain."""
    return [StringMatcher(prefix=f"spiffe://{trust_domain}/")]


def _exactly(spiffe_ids: Iterable[str]) -> list[StringMatcher]:
    return [StringMatcher(exact=uri) for uri in spiffe_ids]


def _common(allowed: Iterable[StringMatcher], protocols: Sequence[str], tls: Tls) -> CommonTlsContext:
    san = SubjectAltNameMatcher.SanType.URI
    validation = CertificateValidationContext(
        match_typed_subject_alt_names=[SubjectAltNameMatcher(san_type=san, matcher=matcher) for matcher in allowed]
    )
    return CommonTlsContext(
        tls_params=parameters(tls),
        alpn_protocols=protocols,
        tls_certificate_sds_secret_configs=[SdsSecretConfig(name=names.SVID_SECRET, sds_config=ADS)],
        combined_validation_context=CommonTlsContext.CombinedCertificateValidationContext(
            default_validation_context=validation,
            validation_context_sds_secret_config=SdsSecretConfig(name=names.BUNDLE_SECRET, sds_config=ADS),
        ),
    )
