//! What a launch waits for, in the words of its client: the dialog of a store, or other sessions.

use std::sync::Arc;

use super::LaunchPipeline;
use crate::config::Config;
use crate::config::stores::DIALOG_LIMIT;
use crate::dirs::Dirs;
use crate::error::{Code, Error};
use crate::secret::{ProfileName, ServerName};
use crate::store::waits::{StoreWait, StoreWaits};
use crate::{grant, policy, session_lock};

/// What the launches of this server wait for.
pub(super) fn of(
    dirs: &Dirs,
    server: &ServerName,
    profile: Option<&ProfileName>,
) -> Arc<StoreWaits> {
    let (dirs, server, profile) = (dirs.clone(), server.clone(), profile.cloned());
    StoreWaits::new(move || {
        let granted = || {
            session_lock::check(&dirs, &server)?;
            let policy = policy::load(&dirs, &server, profile.as_ref())?;
            grant::find(&dirs, &policy)
        };
        granted().is_ok()
    })
}

impl LaunchPipeline {
    /// What the preparation waits for at the moment, for the client.
    pub(super) fn why_waiting(&self) -> Option<Error> {
        let error = |name, what: String| {
            Error::new(Code::StoreWaiting, what)
                .not_started(&self.server)
                .of_store(name)
        };
        Some(match self.waits.current()? {
            StoreWait::Dialog(name) => {
                let limit = DIALOG_LIMIT.as_secs();
                error(&name, format!("store `{name}` waits for you"))
                    .cause(format!(
                        "it may have opened a dialog, which stays open for {limit} s"
                    ))
                    .hint("confirm the dialog of the store; the session then continues by itself")
            }
            StoreWait::Turn(name) => error(&name, format!("store `{name}` is busy"))
                .cause("other sessions are asking it, or wait for a dialog")
                .hint("wait, or confirm the dialog; the session then continues by itself"),
        })
    }

    /// Whether another attempt after this error may open the dialog of a store.
    pub(super) fn opens_dialog(&self, error: &Error) -> bool {
        let Some(name) = &error.store else {
            return false;
        };
        // A configuration that cannot be read opens none.
        let config = Config::load(&self.dirs);
        let mut stores = config.iter().flat_map(|config| &config.stores);
        stores.any(|(one, store)| one.as_str() == &**name && store.interactive)
    }
}
