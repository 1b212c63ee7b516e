//! What is wrong with an encrypted connection, in words.

use std::io;

use rustls::{CertificateError, Error};

/// A fault of TLS, for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsWords {
    pub text: &'static str,
    pub hint: Option<&'static str>,
}

const UNTRUSTED: Option<&str> =
    Some("if your organisation inspects TLS, approve its CA file with `mcpwrap config network`");

impl TlsWords {
    /// The words for an error of rustls; `None` for those that are rare.
    pub fn of(error: &Error) -> Option<Self> {
        use CertificateError as Fault;
        let (text, hint) = match error {
            Error::InvalidMessage(_) => (
                "it does not speak TLS there",
                Some("check scheme and port of the URL"),
            ),
            Error::InvalidCertificate(fault) => match fault {
                Fault::UnknownIssuer => (
                    "its certificate is of an authority that this machine does not trust",
                    UNTRUSTED,
                ),
                Fault::Expired | Fault::ExpiredContext { .. } => (
                    "its certificate has expired",
                    Some(
                        "check the clock of this machine; otherwise only the operator of the server can help",
                    ),
                ),
                Fault::NotValidYet | Fault::NotValidYetContext { .. } => (
                    "its certificate is not valid yet",
                    Some("check the clock of this machine"),
                ),
                Fault::NotValidForName | Fault::NotValidForNameContext { .. } => (
                    "its certificate is for another name",
                    Some("check the host in the URL"),
                ),
                Fault::Revoked => ("its certificate was revoked", None),
                _ => (
                    "its certificate is not valid (perhaps self-signed)",
                    UNTRUSTED,
                ),
            },
            _ => return None,
        };
        Some(Self { text, hint })
    }

    /// The words for an error of a connection, if it is one of TLS.
    pub fn of_io(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?.downcast_ref()?;
        Self::of(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_words_through_an_error_of_the_system() {
        for (fault, word) in [
            (CertificateError::UnknownIssuer, "authority"),
            (CertificateError::Expired, "expired"),
            (CertificateError::NotValidYet, "yet"),
            (CertificateError::NotValidForName, "another name"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::BadEncoding, "not valid"),
        ] {
            let error = io::Error::other(Error::InvalidCertificate(fault));
            let words = TlsWords::of_io(&error).unwrap();
            assert!(words.text.contains(word), "{words:?}");
        }
        assert_eq!(TlsWords::of_io(&io::Error::other("x")), None);
        assert_eq!(TlsWords::of(&Error::HandshakeNotComplete), None);
    }
}
