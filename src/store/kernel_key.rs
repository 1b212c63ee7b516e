//! The vault's key in the kernel keyring, between `unlock` and `lock`.
//!
//! It is in the user keyring, which all processes of the user can access, in any session. The kernel
//! keeps it in memory, never on disk, until `lock` or reboot. Access is granted to the user, because a
//! process that a graphical client starts does not "possess" the user keyring in the kernel's sense.

use crate::config::StoreKind;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

#[cfg(target_os = "linux")]
mod linux {
    use linux_keyutils::{KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};

    use crate::secret::Secret;

    pub(super) fn put(description: &str, key: &Secret) -> Result<(), KeyError> {
        let user = KeyRing::from_special_id(KeyRingIdentifier::User, true)?;
        // Permissions can only be set on a key that we possess, so it is added to our keyring first.
        let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true)?;
        let added = own.add_key(description, key.expose())?;
        let all = KeyPermissionsBuilder::builder()
            .posessor(Permission::ALL)
            .user(Permission::ALL);
        added.set_perms(all.build())?;
        user.link_key(added)
    }

    pub(super) fn get(description: &str) -> Result<Option<Secret>, KeyError> {
        let user = KeyRing::from_special_id(KeyRingIdentifier::User, true)?;
        match user.search(description) {
            Ok(found) => found.read_to_vec().map(|bytes| Some(Secret::new(bytes))),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyRevoked | KeyError::KeyExpired) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn remove(description: &str) -> Result<bool, KeyError> {
        let user = KeyRing::from_special_id(KeyRingIdentifier::User, true)?;
        match user.search(description) {
            Ok(found) => {
                user.unlink_key(found)?;
                // After this, other links to the key cannot be used to read it either.
                found.invalidate().or(Ok(())).map(|()| true)
            }
            Err(KeyError::KeyDoesNotExist | KeyError::KeyRevoked | KeyError::KeyExpired) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use crate::secret::Secret;

    const NONE: &str = "this system has no kernel keyring";

    pub(super) fn put(_: &str, _: &Secret) -> Result<(), &'static str> {
        Err(NONE)
    }

    pub(super) fn get(_: &str) -> Result<Option<Secret>, &'static str> {
        Err(NONE)
    }

    pub(super) fn remove(_: &str) -> Result<bool, &'static str> {
        Err(NONE)
    }
}

/// Stores a key in the user keyring, replacing an older one.
pub(super) fn put(description: &str, key: &Secret) -> Result<()> {
    linux::put(description, key).map_err(|error| unusable(&error.to_string()))
}

/// The key, if it exists.
pub(super) fn get(description: &str) -> Result<Option<Secret>> {
    linux::get(description).map_err(|error| unusable(&error.to_string()))
}

/// Removes the key. Returns whether there was one.
pub(super) fn remove(description: &str) -> Result<bool> {
    linux::remove(description).map_err(|error| unusable(&error.to_string()))
}

fn unusable(fact: &str) -> Error {
    Error::new(Code::StoreLocked, "cannot unlock the vault file")
        .of_store(StoreKind::File)
        .cause(format!(
            "cannot use the kernel keyring: {}",
            fact.to_lowercase()
        ))
        .hint("run `mcpwrap init --store file --key-file FILE` to use a key file instead")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_key_exists_until_it_is_removed() {
        let description = format!("mcpwrap-test:{}", crate::files::random_hex().unwrap());
        assert_eq!(get(&description).unwrap(), None);
        for value in ["one", "two"] {
            put(&description, &Secret::new(value.into())).unwrap();
            assert_eq!(get(&description).unwrap(), Some(Secret::new(value.into())));
        }
        assert!(remove(&description).unwrap());
        assert_eq!(get(&description).unwrap(), None);
        assert!(!remove(&description).unwrap());
    }
}
