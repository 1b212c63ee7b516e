//! The signed statement with which a client proves who it is (`private_key_jwt`, RFC 7523).

use serde_json::json;

use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::jwt::{self, JwtFault};

/// How long a statement is valid (seconds).
const LIFE: i64 = 60;

/// A statement of the client `id` for this issuer, valid from `now` (seconds of Unix time). `key`:
/// PKCS#8 in PEM, an EC key (P-256) or an RSA key.
///
/// # Errors
/// `secret-unusable` if the key is neither; `oauth-failed` if it does not sign.
pub fn sign(key: &SecretText, id: &str, issuer: &str, now: i64) -> Result<SecretText> {
    let unusable = || {
        Error::new(
            Code::SecretUnusable,
            "cannot use the private key of the OAuth client",
        )
        .cause("expected a private key in PEM: EC with curve P-256 (PKCS#8), or RSA")
        .hint("run `openssl pkcs8 -topk8 -nocrypt -in KEY` to convert it, and store the result")
    };
    let failed = || {
        Error::new(
            Code::OAuthFailed,
            "cannot sign with the private key of the client",
        )
    };
    let unique = files::random_hex().map_err(|_| failed())?;
    let claims = json!({
        "iss": id, "sub": id, "aud": issuer, "jti": unique,
        "iat": now, "nbf": now, "exp": now + LIFE,
    });
    match jwt::sign(key.as_str().as_bytes(), &claims) {
        Ok(text) => Ok(SecretText::from(text)),
        Err(JwtFault::Key) => Err(unusable()),
        Err(JwtFault::Signature) => Err(failed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    };

    fn pem(der: &[u8]) -> SecretText {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        SecretText::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
        ))
    }

    #[test]
    fn an_ec_key_signs() {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random);
        let public = key.unwrap().public_key().as_ref().to_vec();
        let token = sign(&pem(der.as_ref()), "me", "https://as.example", 1_000).unwrap();
        let (signed, signature) = token.as_str().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        let claims = URL_SAFE_NO_PAD
            .decode(signed.split('.').nth(1).unwrap())
            .unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], "https://as.example");
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("me"), &json!("me"))
        );
        assert_eq!(claims["exp"], 1_060);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "secret-value",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let error = sign(&SecretText::new(text.into()), "me", "https://a", 0).unwrap_err();
            assert_eq!(error.code, Code::SecretUnusable);
            assert!(!error.to_string().contains("secret-value"));
        }
    }
}
