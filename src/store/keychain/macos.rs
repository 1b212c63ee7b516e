//! The keychain of macOS: the login keychain, and what its failures mean. Compile-tested only, except for
//! `bounded` and `beside`, which do the work.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use keyring_core::{CredentialStore, Error as CoreError};
use security_framework::base::Error as SystemError;
use security_framework::os::macos::keychain::SecKeychain;

use super::OpenedKeychain;
use super::beside::AttributesBeside;
use super::bounded::{BoundedStore, Limit, NoAnswer};
use crate::error::{Code, Error};
use crate::store::{ANSWER_MS, Prompt};

/// How long a dialog of macOS may stay open (seconds).
const DIALOG_S: u64 = 60;

// From SecBase.h.
const USER_CANCELED: i32 = -128;
const AUTH_FAILED: i32 = -25_293;
const INTERACTION_NOT_ALLOWED: i32 = -25_308;

pub(super) fn open(prompt: Prompt) -> Result<OpenedKeychain, CoreError> {
    let limit = match prompt {
        Prompt::Never => Limit {
            time: Duration::from_millis(ANSWER_MS),
            guard: quiet,
        },
        Prompt::Allowed => Limit {
            time: Duration::from_secs(DIALOG_S),
            guard: || None,
        },
    };
    let inner = apple_native_keyring_store::keychain::Store::new()?;
    let store: Arc<CredentialStore> = Arc::new(BoundedStore { inner, limit });
    Ok(OpenedKeychain {
        batch: Box::new(AttributesBeside {
            store: Arc::clone(&store),
            manager: "Keychain Access",
        }),
        store,
    })
}

/// Keeps macOS from showing a dialog that nobody will answer.
fn quiet() -> Option<Box<dyn Any>> {
    Some(Box::new(SecKeychain::disable_user_interaction().ok()?))
}

/// Checks that there is a login keychain. Accesses no item.
pub(super) fn probe() -> Result<(), CoreError> {
    let found = SecKeychain::default().map(drop);
    found.map_err(|error| CoreError::NoStorageAccess(Box::new(error)))
}

/// The message for each kind of failure.
pub(super) fn explain(error: &CoreError) -> Error {
    let what = "cannot use the keychain";
    let inner = match error {
        CoreError::PlatformFailure(inner) | CoreError::NoStorageAccess(inner) => Some(inner),
        _ => None,
    };
    if let Some(NoAnswer(time)) = inner.and_then(|inner| inner.downcast_ref()) {
        return Error::new(Code::StoreTimeout, what)
            .cause(format!(
                "the keychain did not answer within {} s",
                time.as_secs()
            ))
            .hint("run the command again, and answer the dialog that macOS shows");
    }
    let status = inner.and_then(|inner| inner.downcast_ref::<SystemError>());
    match (status.map(|status| status.code()), error) {
        (Some(INTERACTION_NOT_ALLOWED), _) => {
            Error::new(Code::StoreLocked, "the keychain is locked")
                .cause("the login keychain is locked, and prompting is disabled here")
                .hint("run `security unlock-keychain` to unlock it")
        }
        (Some(USER_CANCELED | AUTH_FAILED), _) => {
            Error::new(Code::StoreDenied, "the keychain was not unlocked")
                .cause("its dialog was dismissed, or the password was wrong")
                .hint("run the command again, and allow `mcpwrap` to use the item")
        }
        (_, CoreError::NoStorageAccess(inner)) => Error::new(Code::StoreAbsent, what).cause(inner),
        (_, CoreError::PlatformFailure(inner)) => Error::new(Code::StoreFailed, what).cause(inner),
        (_, CoreError::BadStoreFormat(fact)) => Error::new(Code::StoreFailed, what).cause(fact),
        // The other variants may contain the value itself.
        _ => Error::new(Code::StoreFailed, what).cause("unknown item format"),
    }
}
