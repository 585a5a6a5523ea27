"""Who vouches for identities when nobody else does? The built-in certificate authority.

Its key pair is its own, or one that was brought: then it may stand below a root that others keep. It does no I/O:
where its key is kept is the caller's business (the control plane keeps it in a Secret that only it may read).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshlab.errors import IdentityError
from meshlab.identity.issuer import DEFAULT_LIFETIME
from meshlab.identity.svid import spiffe_id
from meshlab.identity.verify import may_sign, signed_by
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN, Identity

ROOT_LIFETIME = timedelta(days=3650)
_BACKDATE = timedelta(minutes=5)
"""Certificates start a little in the past, for nodes whose clocks disagree."""
_CERTIFICATE, _KEY, _ROOTS = "tls.crt", "tls.key", "ca.crt"
_SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CertificateAuthority:
    """One certificate that may sign others, and its key, for one trust domain. Implements `Issuer`."""

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        key: _SigningKey,
        roots: Sequence[x509.Certificate],
        trust_domain: str = DEFAULT_TRUST_DOMAIN,
    ) -> None:
        """`chain` begins with the certificate of the key; what follows leads to one of the roots."""
        self.certificate = chain[0]
        self._key = key
        self._roots = tuple(roots)
        self._below_roots = tuple(certificate for certificate in chain if certificate not in roots)
        self.trust_domain = _named_trust_domain(chain[0]) or trust_domain

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
        return cls([certificate], key, [certificate])

    @classmethod
    def from_secret(cls, data: Mapping[str, bytes], trust_domain: str = DEFAULT_TRUST_DOMAIN) -> Self:
        """From the (decoded) data of a Secret of type kubernetes.io/tls. Raises IdentityError ML402.

        An intermediate certificate has its root in ``ca.crt``, as cert-manager writes it, or behind it in ``tls.crt``.
        `trust_domain` is for a certificate that names none.
        """
        try:
            chain = x509.load_pem_x509_certificates(data[_CERTIFICATE])
            key = serialization.load_pem_private_key(data[_KEY], None)
            roots = x509.load_pem_x509_certificates(data[_ROOTS]) if data.get(_ROOTS) else []
        except (KeyError, ValueError, TypeError) as error:
            raise IdentityError("ML402", f"no certificate and key in {sorted(data)}: {error}") from error
        if not isinstance(key, _SigningKey) or key.public_key() != chain[0].public_key():
            raise IdentityError("ML402", "the key is not that of the (first) certificate, or neither EC nor RSA")
        if not may_sign(chain[0]):
            raise IdentityError(
                "ML402", "the certificate may not sign others", hint="it has to be an authority's (CA:TRUE)"
            )
        roots = roots or [certificate for certificate in chain if signed_by(certificate, certificate)]
        top = next((certificate for certificate in reversed(chain) if certificate not in roots), None)
        if not roots or (top and not any(signed_by(top, root) for root in roots)):
            raise IdentityError(
                "ML402", "the certificate leads to no root", hint="put the root's certificate into ca.crt"
            )
        return cls(chain, key, roots, trust_domain)

    def to_secret(self) -> dict[str, bytes]:
        """What `from_secret` reads."""
        secret = {
            _CERTIFICATE: _pem(self._below_roots or [self.certificate]),
            _KEY: self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        }
        return secret | {_ROOTS: _pem(self._roots)} if self._below_roots else secret

    async def issue(
        self, request: bytes, identity: Identity, *, names: Sequence[str] = (), lifetime: timedelta = DEFAULT_LIFETIME
    ) -> bytes:
        """Sign a request for an identity; see `Issuer.issue`."""
        key = _requested_key(request)
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names[0] if names else str(identity))[:64])])
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
            .add_extension(_key_identifier(self.certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem([certificate, *self._below_roots])

    async def bundle(self) -> bytes:
        """The roots, PEM."""
        return _pem(self._roots)


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


def _named_trust_domain(certificate: x509.Certificate) -> str:
    try:
        return spiffe_id(certificate).removeprefix("spiffe://").partition("/")[0]
    except IdentityError:
        return ""


def _key_identifier(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        known = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        known = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


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
