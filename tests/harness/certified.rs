//! A certificate authority, and a certificate of it for the servers of a test.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// A certificate with its key, and who signed it.
pub(crate) struct Certified {
    /// The certificate of the authority, as PEM.
    pub(crate) authority: String,
    pub(crate) leaf: Certificate,
    pub(crate) key: KeyPair,
}

impl Certified {
    /// For these hosts and addresses.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap();
        Self {
            authority: issuer.pem(),
            leaf: leaf.signed_by(&key, &issuer).unwrap(),
            key,
        }
    }

    /// The settings of a server that shows it.
    pub(crate) fn server(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.leaf.der().clone()],
                PrivateKeyDer::try_from(self.key.serialize_der()).unwrap(),
            )
            .unwrap()
    }
}
