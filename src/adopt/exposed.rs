//! Remembers which values lay in plaintext. Whoever read them there still has them, until they change.

use std::collections::BTreeSet;

use super::extracted::OF_TERMINAL;
use super::names::{FOR_UNDO, Names};
use super::plan::FilePlan;
use super::redact::Cut;
use super::round::Round;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::secret::SecretName;
use crate::store::Index;

/// Marks the secrets of the files that are about to change.
///
/// # Errors
/// The index cannot be written.
pub(super) fn in_files(dirs: &Dirs, round: &Round) -> Result<()> {
    let files: &[FilePlan] = &round.plan.files;
    Index::update(dirs, |index| {
        for file in files {
            let Some(at) = round.files.found.get(file.found) else {
                continue;
            };
            let text = String::from_utf8_lossy(&at.bytes);
            let secrets = round.names.secrets();
            let of_terminal = |cut: &Cut| {
                let secret = secrets.iter().find(|secret| secret.name == cut.name);
                secret.is_some_and(|secret| secret.why == OF_TERMINAL)
            };
            // A secret of the terminal was not in the file.
            let lay = |cut: &&Cut| !of_terminal(cut) || text.contains(&cut.text);
            for cut in file.cuts.iter().filter(lay) {
                mark(index, &round.names, &cut.name, &dirs.tilde(&at.path));
            }
        }
    })
}

/// Marks secrets that are in the git history of a file.
///
/// # Errors
/// The index cannot be written.
pub fn in_history(dirs: &Dirs, round: &Round, names: &BTreeSet<String>, file: &str) -> Result<()> {
    // The search names them for the user, in backticks.
    let names = names.iter().map(|name| name.trim_matches('`'));
    let known: Vec<_> = names
        .filter_map(|name| SecretName::new(name).ok())
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    let place = format!("the git history of {file}");
    Index::update(dirs, |index| {
        for name in &known {
            mark(index, &round.names, name, &place);
        }
    })
}

fn mark(index: &mut Index, names: &Names, name: &SecretName, place: &str) {
    let secret = names.secrets().iter().find(|secret| secret.name == *name);
    // A piece that only undo needs cannot be rotated: the secret itself is marked.
    if secret.is_some_and(|secret| secret.why == FOR_UNDO) {
        return;
    }
    let rotate = secret.and_then(|secret| secret.rotate.as_deref());
    index.expose(name, place, rotate);
}
