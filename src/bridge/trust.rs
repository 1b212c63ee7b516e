//! The certificate authorities that a server's certificate may be signed by.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Where systems keep their CA certificates in one file. Source: the list of `openssl-probe`.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The TLS settings: the authorities that root installed on this machine, and those that the user
/// approved. HTTP/1.1 only.
///
/// # Errors
/// A file that the user approved cannot be read, or there is no authority at all.
pub fn tls(approved: &[PathBuf]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let system = AUTHORITIES.iter().map(|path| load(Path::new(path)));
    if let Some(found) = system.into_iter().find(|found| !found.is_empty()) {
        roots.add_parsable_certificates(found);
    }
    for path in approved {
        let found = load(path);
        if found.is_empty() {
            return Err("an approved certificate file cannot be read".to_owned());
        }
        roots.add_parsable_certificates(found);
    }
    if roots.is_empty() {
        return Err("no CA certificates found on this machine".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn load(path: &Path) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    rustls_native_certs::load_certs_from_paths(Some(path), None).certs
}
