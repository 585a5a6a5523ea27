"""Which keys and certificates does a cluster need, and where do they live?

One folder, made at the first start and used ever after: the cluster's CA (signs the serving certificate
and the clients'), the front-proxy CA with the client certificate shown to aggregated API servers, and the
key that signs service account tokens. Every file is readable by its owner alone.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_TEN_YEARS = dt.timedelta(days=3650)
_SERVING_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Pki:
    """The cluster's keys and certificates, each as PEM in a file of `folder`."""

    folder: Path

    @property
    def ca_cert(self) -> Path:
        """The CA that signed the serving certificate and the clients' certificates."""
        return self.folder / "ca.crt"

    @property
    def ca_key(self) -> Path:
        """The key of that CA."""
        return self.folder / "ca.key"

    @property
    def serving_cert(self) -> Path:
        """The certificate the API server shows."""
        return self.folder / "serving.crt"

    @property
    def serving_key(self) -> Path:
        """Its key."""
        return self.folder / "serving.key"

    @property
    def front_proxy_ca(self) -> Path:
        """The CA that aggregated API servers trust to name users in headers."""
        return self.folder / "front-proxy-ca.crt"

    @property
    def front_proxy_cert(self) -> Path:
        """The client certificate the API server shows to aggregated API servers and webhooks."""
        return self.folder / "front-proxy-client.crt"

    @property
    def front_proxy_key(self) -> Path:
        """Its key."""
        return self.folder / "front-proxy-client.key"

    @property
    def service_account_key(self) -> Path:
        """The RSA key that signs service account tokens."""
        return self.folder / "service-account.key"

    @classmethod
    def open(cls, folder: Path, addresses: tuple[str, ...] = ()) -> Pki:
        """The keys in a folder; made when they are missing. `addresses` are added to 127.0.0.1 in the serving
        certificate, which is made anew when it does not carry them all.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pki = cls(folder)
        if not pki.ca_cert.exists():
            _make_ca(pki.ca_key, pki.ca_cert, "kubernetes")
        if not pki.front_proxy_ca.exists():
            _make_ca(folder / "front-proxy-ca.key", pki.front_proxy_ca, "front-proxy-ca")
        if not pki.front_proxy_cert.exists():
            issuer = (folder / "front-proxy-ca.key", pki.front_proxy_ca)
            _issue(issuer, pki.front_proxy_key, pki.front_proxy_cert, "front-proxy-client")
        if not pki.service_account_key.exists():
            _write(pki.service_account_key, _pem(rsa.generate_private_key(65537, 2048)))
        wanted = ("127.0.0.1", "::1", *addresses)
        if not pki.serving_cert.exists() or not set(wanted) <= _addresses_in(pki.serving_cert):
            issuer = (pki.ca_key, pki.ca_cert)
            _issue(issuer, pki.serving_key, pki.serving_cert, "kube-apiserver", addresses=wanted)
        return pki

    def server_context(self) -> ssl.SSLContext:
        """TLS for the server: a client may show a certificate of the cluster's CA."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca_cert))
        context.load_cert_chain(self.serving_cert, self.serving_key)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def client(self, user: str, groups: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
        """A new client certificate and its key, as PEM: the user is its common name, groups its organizations."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _certificate((self.ca_key, self.ca_cert), key, user, groups), _pem(key)

    def kubeconfig(
        self, url: str, user: str = "admin", groups: tuple[str, ...] = ("system:masters",)
    ) -> dict[str, Any]:
        """A kubeconfig for a user, with a client certificate of its own."""
        cert, key = self.client(user, groups)
        cluster = {"server": url, "certificate-authority-data": _base64(self.ca_cert.read_bytes())}
        credentials = {"client-certificate-data": _base64(cert), "client-key-data": _base64(key)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "meshlab", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "meshlab", "context": {"cluster": "meshlab", "user": user}}],
            "current-context": "meshlab",
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str, organizations: tuple[str, ...] = ()) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _TEN_YEARS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _make_ca(key_path: Path, cert_path: Path, common_name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    cert = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, _pem(key))
    _write(cert_path, cert.public_bytes(serialization.Encoding.PEM))


def _issue(
    issuer: tuple[Path, Path], key_path: Path, cert_path: Path, common_name: str, *, addresses: tuple[str, ...] = ()
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _certificate(issuer, key, common_name, (), addresses)
    _write(key_path, _pem(key))
    _write(cert_path, cert)


def _certificate(
    issuer: tuple[Path, Path],
    key: _Key,
    common_name: str,
    organizations: tuple[str, ...],
    addresses: tuple[str, ...] = (),
) -> bytes:
    ca_key = serialization.load_pem_private_key(issuer[0].read_bytes(), None)
    ca_cert = x509.load_pem_x509_certificate(issuer[1].read_bytes())
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)  # noqa: S101  # made by _make_ca
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if addresses else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(common_name, organizations), ca_cert.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if addresses:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in _SERVING_NAMES]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _addresses_in(path: Path) -> set[str]:
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(address) for address in names.get_values_for_type(x509.IPAddress)}
