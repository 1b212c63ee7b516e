//! Which program offers the Secret Service, and what is peculiar to it.

use std::fs;

/// A program that offers the Secret Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    GnomeKeyring,
    /// With the name of its program, e.g. `kwalletd5`.
    KWallet(String),
    KeePassXc,
    /// Another program, by its name.
    Other(String),
}

impl Provider {
    /// The program with this process ID. `None` if there is no such process.
    pub(super) fn of_process(pid: u32) -> Option<Self> {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Self::of_name(name.trim_end()))
    }

    /// The kernel cuts names after 15 bytes.
    fn of_name(name: &str) -> Self {
        match name {
            "gnome-keyring-d" => Self::GnomeKeyring,
            "kwalletd5" | "kwalletd6" | "ksecretd" => Self::KWallet(name.to_owned()),
            "keepassxc" => Self::KeePassXc,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether searching a locked collection shows a prompt, and blocks until it is answered.
    pub(super) fn prompts_on_search(&self) -> bool {
        *self == Self::KeePassXc
    }

    /// Whether items can be locked while their collection is not, until the user confirms the access.
    pub(super) fn confirms_items(&self) -> bool {
        *self == Self::KeePassXc
    }

    /// Whether items of an unlocked collection are created and deleted by a prompt, which shows nothing
    /// unless the user has chosen to confirm deletions.
    pub(super) fn acts_by_prompt(&self) -> bool {
        *self == Self::KeePassXc
    }

    /// The bus name and the object of the interface `org.kde.KWallet`.
    pub(super) fn wallet(&self) -> Option<(String, String)> {
        let Self::KWallet(name) = self else {
            return None;
        };
        Some((format!("org.kde.{name}"), format!("/modules/{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_by_name() {
        assert_eq!(Provider::of_name("gnome-keyring-d"), Provider::GnomeKeyring);
        let wallet = Provider::of_name("kwalletd6").wallet().unwrap();
        assert_eq!(wallet.0, "org.kde.kwalletd6");
        assert_eq!(wallet.1, "/modules/kwalletd6");
        assert!(Provider::of_name("keepassxc").prompts_on_search());
        assert_eq!(
            Provider::of_name("oo7-daemon"),
            Provider::Other("oo7-daemon".to_owned())
        );
    }
}
