//! Signed statements (JSON Web Tokens, RFC 7519) with a key of our own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A key that signs with ES256 or RS256.
enum SigningKey {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// Why there is no statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtFault {
    /// The key is neither RSA (PKCS#1 or PKCS#8, 2048 bits or more) nor EC with curve P-256 (PKCS#8).
    Key,
    /// The key does not sign.
    Signature,
}

/// Signs `claims`. `key`: a private key in PEM.
///
/// # Errors
/// The key cannot be used.
pub fn sign(key: &[u8], claims: &Value) -> Result<Zeroizing<String>, JwtFault> {
    let random = SystemRandom::new();
    let key = read(key, &random).ok_or(JwtFault::Key)?;
    let algorithm = match key {
        SigningKey::Ec(_) => "ES256",
        SigningKey::Rsa(_) => "RS256",
    };
    let header = json!({"alg": algorithm, "typ": "JWT"});
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut text = Zeroizing::new(format!("{}.{}", encode(&header), encode(claims)));
    let failed = |_| JwtFault::Signature;
    let signature = match &key {
        SigningKey::Ec(key) => {
            let signature = key.sign(&random, text.as_bytes()).map_err(failed)?;
            URL_SAFE_NO_PAD.encode(signature)
        }
        SigningKey::Rsa(key) => {
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
                .map_err(failed)?;
            URL_SAFE_NO_PAD.encode(signature)
        }
    };
    text.push('.');
    text.push_str(&signature);
    Ok(text)
}

fn read(pem: &[u8], random: &SystemRandom) -> Option<SigningKey> {
    if let Ok(der) = PrivatePkcs1KeyDer::from_pem_slice(pem) {
        return RsaKeyPair::from_der(der.secret_pkcs1_der())
            .ok()
            .map(SigningKey::Rsa);
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
    let der = der.secret_pkcs8_der();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, random)
        .map(SigningKey::Ec)
        .or_else(|_| RsaKeyPair::from_pkcs8(der).map(SigningKey::Rsa))
        .ok()
}
