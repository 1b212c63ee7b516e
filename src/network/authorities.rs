//! The certificate authorities that are trusted here: those of the system, and further files.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, RootCerts};

use crate::error::{Code, Error, Result};

/// Where systems keep their CA certificates in one file. Source: the list of `openssl-probe`.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The authorities that root installed on this machine, and those in these files.
///
/// # Errors
/// `file-unusable` if the machine has no CA certificates.
pub fn certificates(further: &[PathBuf]) -> Result<RootCerts> {
    let bundle = |path: &Path| {
        let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
        let certs = found.certs.iter();
        certs
            .map(|cert| Certificate::from_der(cert).to_owned())
            .collect::<Vec<_>>()
    };
    let mut bundles = AUTHORITIES.iter().map(|path| bundle(Path::new(path)));
    let roots = bundles.find(|roots| !roots.is_empty());
    let mut roots = roots.ok_or_else(|| {
        Error::new(Code::FileUnusable, "cannot verify any server")
            .cause("no CA certificates found on this machine")
            .hint("install the package `ca-certificates`")
    })?;
    roots.extend(further.iter().flat_map(|path| bundle(path)));
    Ok(RootCerts::new_with_certs(&roots))
}
