//! The certificate authorities that are trusted here: those of the system, and approved files.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

/// Where systems keep their CA certificates in one file. Source: the list of `openssl-probe`.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The authorities that root installed on this machine, and those that the user approved.
///
/// # Errors
/// A file that the user approved cannot be read, or there is no authority at all.
pub fn authorities(approved: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut system = AUTHORITIES.iter().map(|path| load(Path::new(path)));
    let mut found = system.find(|found| !found.is_empty()).unwrap_or_default();
    for path in approved {
        let own = load(path);
        if own.is_empty() {
            return Err("an approved certificate file cannot be read".to_owned());
        }
        found.extend(own);
    }
    if found.is_empty() {
        return Err("no CA certificates found on this machine".to_owned());
    }
    Ok(found)
}

fn load(path: &Path) -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_certs_from_paths(Some(path), None).certs
}
