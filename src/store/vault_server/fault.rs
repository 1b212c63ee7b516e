//! What can go wrong with a Vault or OpenBao server, in words.
//!
//! Invariant: no text of the server is repeated; known texts of it are recognised.

use std::io;

use rustls::{CertificateError, Error as TlsError};

use crate::error::{CauseKind, Code, Error};
use crate::files::io_text;
use crate::secret::StoreName;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerFault {
    /// Nothing listens there.
    Refused,
    Unreachable(String),
    Timeout,
    /// No TLS connection was made: the reason and what to do.
    Tls(&'static str, &'static str),
    /// A redirect to where the token is not sent.
    Redirect(String),
    RedirectLoop,
    TooLong,
    /// Not an answer of HTTP.
    NotHttp,
    /// No token: a header cannot contain it.
    TokenForm,
    /// The address, with the path of the request, is not a URL.
    Address,
}

impl ServerFault {
    /// Whether another attempt may succeed.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable(_))
    }

    /// The error for the user; `place` is the host with its port.
    pub(super) fn into_error(self, store: &StoreName, place: &str) -> Error {
        let error = |code| cannot_use(code, store);
        let unreachable = |cause: String| {
            error(Code::StoreUnavailable)
                .cause_of(CauseKind::Unreachable, cause)
                .hint(format!(
                    "check that the server runs and that `address` of `[stores.{store}]` is right"
                ))
        };
        let invalid = |cause: String| {
            error(Code::StoreAnswerInvalid).cause(cause).hint(format!(
                "check that `address` of `[stores.{store}]` is that of a Vault or OpenBao server"
            ))
        };
        match self {
            Self::Refused => unreachable(format!("nothing listens at `{place}`")),
            Self::Unreachable(why) => unreachable(format!("cannot reach `{place}`: {why}")),
            Self::Timeout => error(Code::StoreTimeout)
                .cause_of(
                    CauseKind::Unreachable,
                    format!("`{place}` did not answer in time"),
                )
                .hint("check the network, and `deadline` of the store"),
            Self::Tls(why, hint) => error(Code::StoreUnavailable)
                .cause(format!("no TLS connection to `{place}`: {why}"))
                .hint(hint),
            Self::Redirect(to) => error(Code::StoreUnavailable)
                .cause(format!(
                    "`{place}` redirects to `{to}`, where the token is not sent"
                ))
                .hint(format!(
                    "write the address of the active server into `address` of `[stores.{store}]`"
                )),
            Self::RedirectLoop => invalid(format!("`{place}` redirects more than once")),
            Self::TooLong => invalid(format!("the answer of `{place}` is longer than 4 MiB")),
            Self::NotHttp => invalid(format!("`{place}` does not answer in HTTP")),
            Self::TokenForm => error(Code::StoreSignedOut)
                .cause("the token contains characters that no token has")
                .hint("store the token again, without a line end or quotes"),
            Self::Address => {
                error(Code::StoreFailed).cause("the path of the reference cannot be part of a URL")
            }
        }
    }
}

impl From<ureq::Error> for ServerFault {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => of_io(&error),
            ureq::Error::Timeout(_) => Self::Timeout,
            ureq::Error::HostNotFound => Self::Unreachable("no such host".to_owned()),
            ureq::Error::BodyExceedsLimit(_) => Self::TooLong,
            ureq::Error::Rustls(error) => of_tls(&error),
            ureq::Error::ConnectProxyFailed(_) => {
                Self::Unreachable("the proxy refused the connection".to_owned())
            }
            ureq::Error::Protocol(_)
            | ureq::Error::Http(_)
            | ureq::Error::BodyStalled
            | ureq::Error::LargeResponseHeader(..) => Self::NotHttp,
            ureq::Error::BadUri(_) => Self::Address,
            _ => Self::Unreachable("the connection failed".to_owned()),
        }
    }
}

fn of_io(error: &io::Error) -> ServerFault {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<TlsError>()) {
        return of_tls(tls);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ServerFault::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ServerFault::Timeout,
        _ => ServerFault::Unreachable(io_text(error)),
    }
}

fn of_tls(error: &TlsError) -> ServerFault {
    let (why, hint) = match error {
        TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => (
            "its certificate is not signed by an authority of this machine",
            "write the file of the server's authority into `ca_file` of the store",
        ),
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            "its certificate is for another name",
            "write a name of the certificate into `address` of the store",
        ),
        TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => (
            "its certificate is not valid at this time",
            "check the clock of this machine; otherwise the server needs a new certificate",
        ),
        TlsError::InvalidCertificate(_) => (
            "its certificate is not valid",
            "the server needs another certificate",
        ),
        TlsError::InvalidMessage(_) => (
            "it does not answer in TLS",
            "check the port in `address` of the store",
        ),
        _ => (
            "the handshake failed",
            "check that the server accepts TLS 1.2 or 1.3",
        ),
    };
    ServerFault::Tls(why, hint)
}

/// An error about a whole store.
pub(super) fn cannot_use(code: Code, store: &StoreName) -> Error {
    Error::new(code, format!("cannot use store `{store}`")).of_store(store)
}
