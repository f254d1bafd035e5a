//! Whom TLS trusts: the system's roots and the extra ones, read when the first TLS connection needs them.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::error::{DialError, Phase};

/// Where the roots come from, and the verifier made of them. Reading a system's store takes milliseconds and can fail,
/// so it waits until a certificate has to be judged: a program that only speaks `ws://` never pays for it.
pub(super) struct Roots {
    given: Vec<CertificateDer<'static>>,
    extra_file: Option<PathBuf>,
    system_file: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Arc<WebPkiServerVerifier>, String>>,
}

impl Roots {
    /// `given` are PEM texts of the caller; one without a certificate is an error.
    pub(super) fn new(
        given: &[Vec<u8>],
        extra_file: Option<PathBuf>,
        system_file: Option<PathBuf>,
    ) -> Result<Self, DialError> {
        let mut certificates = Vec::new();
        for pem in given {
            certificates.extend(roots_in(pem).map_err(|why| DialError::setting(Phase::Tls, "ca", why))?);
        }
        Ok(Self {
            given: certificates,
            extra_file,
            system_file,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            verifier: OnceLock::new(),
        })
    }

    /// The TLS configuration that judges by these roots.
    pub(super) fn client_config(self: Arc<Self>) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .dangerous() // rustls' name for any verifier object; this one is rustls' own, built late
            .with_custom_certificate_verifier(self)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    /// Reads the roots if nobody has yet, off the reactor's threads.
    pub(super) async fn load(self: &Arc<Self>) -> Result<(), String> {
        if self.verifier.get().is_none() {
            let roots = self.clone();
            let reading = tokio::task::spawn_blocking(move || roots.verifier().map(drop));
            return reading.await.map_err(|_| "reading the trusted certificates failed".to_owned())?;
        }
        self.verifier().map(drop)
    }

    fn verifier(&self) -> Result<&Arc<WebPkiServerVerifier>, String> {
        self.verifier.get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.given.iter().cloned());
        let mut trouble = Vec::new();
        if let Some(path) = &self.extra_file {
            // As in Node.js, an unreadable file is told and passed over.
            match CertificateDer::pem_file_iter(path) {
                Ok(found) => drop(store.add_parsable_certificates(found.filter_map(Result::ok))),
                Err(error) => trouble.push(format!("{}: {error}", path.display())),
            }
        }
        let system = match &self.system_file {
            Some(path) => rustls_native_certs::load_certs_from_paths(Some(path), None),
            None => rustls_native_certs::load_native_certs(),
        };
        trouble.extend(system.errors.iter().map(ToString::to_string));
        store.add_parsable_certificates(system.certs);
        for problem in &trouble {
            tracing::warn!(%problem, "some trusted certificates could not be read");
        }
        if store.is_empty() {
            trouble.insert(0, "no trusted root certificate found".to_owned());
            return Err(trouble.join("; "));
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), self.provider.clone())
            .build()
            .map_err(|error| error.to_string())
    }
}

/// Whether a PEM text can be among [`DialerOptions::ca_pem`](super::DialerOptions::ca_pem).
///
/// # Errors
/// What is wrong with it, for people: nothing in it, no PEM, or a certificate that cannot be a root.
pub fn check_roots(pem: &[u8]) -> Result<(), String> {
    roots_in(pem).map(drop)
}

fn roots_in(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = found.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("holds no PEM certificate".to_owned());
    }
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| format!("holds a certificate that cannot be read: {error}"))?;
    }
    Ok(certificates)
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("given", &self.given.len()).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Roots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier().map_err(Error::General)?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().map_err(Error::General)?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().map_err(Error::General)?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
