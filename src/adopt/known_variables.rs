//! The variables that a server is known to read: by the catalog, or by the code of a local program.

use std::collections::BTreeSet;

use crate::dirs::Dirs;
use crate::policy::Unpinned;
use crate::policy::draft::Draft;
use crate::secret::ServerName;
use crate::{catalog, invocation, package};

/// The variables with secrets that the server of this command reads; none if that is not known.
pub(super) fn of(dirs: &Dirs, words: &[String]) -> Vec<String> {
    let launch = package::parse(words);
    let name = launch.package.as_deref().unwrap_or(&launch.launcher);
    if let Some(known) = catalog::of_package(name) {
        return known.secrets.keys().cloned().collect();
    }
    if launch.registry != package::Registry::Local {
        return Vec::new();
    }
    let all = catalog::all().flat_map(|known| known.secrets.keys().cloned());
    let candidates: BTreeSet<String> = all.collect();
    let candidates: Vec<String> = candidates.into_iter().collect();
    in_code(dirs, words, &candidates).unwrap_or_default()
}

fn in_code(dirs: &Dirs, words: &[String], candidates: &[String]) -> Option<Vec<String>> {
    let draft = Draft {
        command: words.to_vec(),
        unpinned: Unpinned::Allow,
        ..Draft::default()
    };
    let policy = draft.check(dirs, &ServerName::new("server").ok()?).ok()?;
    let resolved = invocation::resolve(&policy, dirs).ok()?;
    let code = resolved.invocation.code();
    let found = package::variables_read(&policy, dirs, &code, candidates)?;
    Some(found.into_iter().collect())
}
