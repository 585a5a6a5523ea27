"""Who vouches for identities when nobody else does? The built-in certificate authority.

It does no I/O: where its key is kept is the caller's business (the control plane keeps it in a Secret that
only it may read).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshlab.errors import IdentityError
from meshlab.identity.issuer import DEFAULT_LIFETIME
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN, Identity

ROOT_LIFETIME = timedelta(days=3650)
_BACKDATE = timedelta(minutes=5)
"""Certificates start a little in the past, for nodes whose clocks disagree."""
_CERTIFICATE, _KEY = "tls.crt", "tls.key"


class CertificateAuthority:
    """A self-signed P-256 root for one trust domain. Implements `Issuer`."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key
        uris = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.trust_domain = uris.get_values_for_type(x509.UniformResourceIdentifier)[0].removeprefix("spiffe://")

    @classmethod
    def create(cls, trust_domain: str = DEFAULT_TRUST_DOMAIN, *, lifetime: timedelta = ROOT_LIFETIME) -> Self:
        """A new root (X.509-SVID section 4.1: its URI is the trust domain without a path)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"meshlab root {trust_domain}"[:64])])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(now + lifetime)
            .add_extension(_uri(f"spiffe://{trust_domain}"), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def from_secret(cls, data: Mapping[str, bytes]) -> Self:
        """From the (decoded) data of a Secret of type kubernetes.io/tls. Raises IdentityError ML402."""
        try:
            certificate = x509.load_pem_x509_certificate(data[_CERTIFICATE])
            key = serialization.load_pem_private_key(data[_KEY], None)
        except (KeyError, ValueError) as error:
            raise IdentityError("ML402", f"no root certificate and key in {sorted(data)}: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise IdentityError("ML402", "the key is not the P-256 key of the certificate")
        return cls(certificate, key)

    def to_secret(self) -> dict[str, bytes]:
        """What `from_secret` reads."""
        return {
            _CERTIFICATE: self.certificate.public_bytes(serialization.Encoding.PEM),
            _KEY: self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        }

    async def issue(
        self, request: bytes, identity: Identity, *, names: Sequence[str] = (), lifetime: timedelta = DEFAULT_LIFETIME
    ) -> bytes:
        """Sign a request for an identity; see `Issuer.issue`."""
        key = _requested_key(request)
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names[0] if names else str(identity))[:64])])
        signer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            x509.CertificateBuilder(issuer_name=self.certificate.subject, subject_name=subject, public_key=key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - min(_BACKDATE, lifetime))
            .not_valid_after(min(now + lifetime, self.certificate.not_valid_after_utc))
            .add_extension(_uri(identity.spiffe_id(self.trust_domain), names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    async def bundle(self) -> bytes:
        """The root, PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        parsed = x509.load_pem_x509_csr(request)
        key = parsed.public_key()
        genuine = parsed.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise IdentityError("ML401", f"the signing request can't be read: {error}") from error
    if not genuine:
        raise IdentityError("ML401", "the signing request is not signed by the key it carries")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IdentityError("ML401", "the signing request's key is not an elliptic curve key", hint="use P-256")
    return key


def _uri(uri: str, names: Sequence[str] = ()) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *(x509.DNSName(name) for name in names)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """X.509-SVID section 4.3: signing authorities sign certificates, leaves sign handshakes, never both."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
