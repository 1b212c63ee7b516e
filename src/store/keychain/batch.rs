//! What `keyring-core` lacks: several credentials in one exchange, and value and attributes as one.

use std::collections::HashMap;
use std::fmt;

use keyring_core::Result;

/// A credential as it was read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredCredential {
    pub value: Vec<u8>,
    pub attributes: HashMap<String, String>,
}

/// Without the value.
impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential")
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// A service and a user, which name a credential.
pub type CredentialName<'a> = (&'a str, &'a str);

/// A credential to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedCredential<'a> {
    pub name: CredentialName<'a>,
    /// Without them, reading takes less time.
    pub with_attributes: bool,
}

/// New values of attributes; `None` removes one.
pub type AttributeChanges<'a> = [(&'a str, Option<&'a str>)];

/// Beside the traits of a credential store.
pub trait CredentialBatch: Send {
    /// Values, and the wanted attributes, in the order of `wanted`, in as few exchanges as the store allows.
    ///
    /// # Errors
    /// The inner error concerns one credential: `NoEntry` or `Ambiguous`.
    fn read_all(&self, wanted: &[WantedCredential<'_>]) -> Result<Vec<Result<StoredCredential>>>;

    /// Creates a credential, or replaces its value. Other attributes than the changed ones stay.
    ///
    /// # Errors
    /// `Ambiguous` if there are several.
    fn write(
        &self,
        name: CredentialName<'_>,
        label: &str,
        value: &[u8],
        changes: &AttributeChanges<'_>,
    ) -> Result<()>;

    /// Removes what is kept for a credential outside of it, after it was deleted.
    fn forget(&self, _: CredentialName<'_>) -> Result<()> {
        Ok(())
    }

    /// The program in which users see the credentials.
    fn manager(&self) -> &'static str;
}
