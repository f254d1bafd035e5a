//! TLS: the certificate and its key, as they are on disk now.

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::{config::TlsFiles, shared::Shared};

/// How often to look whether the files have changed.
const INTERVAL: Duration = Duration::from_secs(5);

/// A certificate or key that cannot be used: which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

/// The present TLS settings, and where they come from.
pub(crate) struct Tls {
    files: TlsFiles,
    config: Shared<ServerConfig>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or the certificate does not fit the key.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Self { config: Shared::new(server_config(&files)?), files })
    }

    /// Loads them again. If that fails the old ones stay in use.
    pub(crate) fn reload(&self) {
        match server_config(&self.files) {
            Ok(config) => {
                self.config.set(config);
                tracing::info!("the TLS certificate was loaded again");
            }
            Err(error) => tracing::error!(%error, "the TLS certificate stays as it was"),
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.get())
    }

    fn stamps(&self) -> [Option<SystemTime>; 2] {
        [&self.files.certificate, &self.files.key].map(|path| path.metadata().and_then(|it| it.modified()).ok())
    }
}

/// Loads the files again whenever they change, until the relay is gone.
pub(crate) async fn watch(tls: Weak<Tls>) {
    let Some(mut seen) = tls.upgrade().map(|tls| tls.stamps()) else {
        return;
    };
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(tls) = tls.upgrade() else {
            return;
        };
        let now = tls.stamps();
        // Both at once, or one after the other: a pair that does not fit is tried again with the
        // next change.
        if now != seen {
            seen = now;
            tls.reload();
        }
    }
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let fault = |path: &PathBuf, why: String| TlsError { path: path.clone(), why };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(&files.certificate, error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault(&files.certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| fault(&files.key, error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&files.certificate, error.to_string()))?;
    let mut config = builder.with_no_client_auth().with_single_cert(certificates, key).map_err(|error| {
        let why = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("it does not fit the certificate in {}", files.certificate.display())
            }
            other => other.to_string(),
        };
        fault(&files.key, why)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
