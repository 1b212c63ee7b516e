//! The stores that a policy reads from: which program answers, whom it asks, and as whom.
//!
//! A reference names a store of `config.toml`, and whoever can edit that file could name another program
//! there. So a grant covers the definition of each store and seals its program, like the command.

use std::path::{Path, PathBuf};

use super::file::{FileRole, HASHED_BYTES_MAX, SealedFile, head, only_root_changes};
use super::sealed::{Invocation, SealedStore};
use super::shebang;
use super::shown_store::ShownStore;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::policy::Policy;
use crate::policy::mint::MintSource;
use crate::store::types::NamedStore;

/// A script may run a script may run a script.
const INTERPRETERS_MAX: usize = 4;

/// The stores that a policy and its profiles name, each once, in the order of their names.
fn used<'a>(policy: &Policy, config: &'a Config) -> Result<Vec<NamedStore<'a>>> {
    let mut stores: Vec<NamedStore<'a>> = Vec::new();
    for reference in policy.store_references() {
        stores.push(NamedStore::of(config, reference)?);
    }
    for (name, rules) in &policy.mints {
        let MintSource::Store { kind, store, .. } = &rules.source else {
            continue;
        };
        let store = NamedStore::find(config, store)?;
        let expected = kind.store_type().unwrap_or_default();
        if store.kind.id != expected {
            let (is, place) = (store.kind.id, policy.place(rules.line));
            let what = format!("store `{}` cannot make `mint:{name}`", store.name);
            return Err(Error::new(Code::MintRefused, what)
                .of_store(store.name)
                .cause(format!(
                    "it has the type `{is}`, and {place} says `{expected}`"
                ))
                .hint("name another store in `[mint.NAME]`, or another `type`"));
        }
        stores.push(store);
    }
    stores.sort_by_key(|store| store.name);
    stores.dedup_by_key(|store| store.name);
    Ok(stores)
}

fn has_stores(policy: &Policy) -> bool {
    policy.store_references().next().is_some() || policy.mint_stores().next().is_some()
}

/// The stores of a policy as they are defined now. A program that is missing has the reason in its place.
///
/// # Errors
/// `store-unknown`, `reference-invalid`, `mint-refused`.
pub fn shown_stores(policy: &Policy, dirs: &Dirs) -> Result<Vec<ShownStore>> {
    if !has_stores(policy) {
        return Ok(Vec::new());
    }
    let config = Config::load(dirs)?;
    let show = |store: &NamedStore<'_>| {
        let files = files(store).map_or_else(
            |error| vec![error.reasons()],
            |files| files.iter().map(|file| file.shown(dirs)).collect(),
        );
        ShownStore::new(store, files)
    };
    Ok(used(policy, &config)?.iter().map(show).collect())
}

/// Seals the stores of a policy. Returns also what the user sees of them.
///
/// # Errors
/// `store-unknown`, `reference-invalid`, `store-absent`, `store-program-refused`.
pub(super) fn seal(policy: &Policy, dirs: &Dirs) -> Result<(Vec<SealedStore>, Vec<ShownStore>)> {
    let (mut sealed, mut all) = (Vec::new(), Vec::new());
    if !has_stores(policy) {
        return Ok((sealed, all));
    }
    let config = Config::load(dirs)?;
    for store in used(policy, &config)? {
        let files = files(&store)?;
        // Each start would refuse it.
        store.check_program()?;
        let shown = files.iter().map(|file| file.shown(dirs)).collect();
        all.push(ShownStore::new(&store, shown));
        sealed.push(SealedStore {
            name: store.name.clone(),
            definition: store.digest(),
            files,
        });
    }
    Ok((sealed, all))
}

/// The program of a store, and what runs that.
fn files(store: &NamedStore<'_>) -> Result<Vec<SealedFile>> {
    let mut files = Vec::new();
    if let Some(program) = (store.kind.program)(store.definition) {
        let role = FileRole::Program;
        seal_program(store, &program, role, INTERPRETERS_MAX, &mut files)?;
    }
    Ok(files)
}

fn seal_program(
    store: &NamedStore<'_>,
    program: &Path,
    role: FileRole,
    depth: usize,
    files: &mut Vec<SealedFile>,
) -> Result<()> {
    let file = SealedFile::new(role, None, program.to_path_buf()).map_err(|error| {
        let what = format!("cannot use store `{}`", store.name);
        Error::new(Code::StoreAbsent, what)
            .of_store(store.name)
            .cause(format!("`{}`: {}", program.display(), io_text(&error)))
            .hint(format!(
                "install its program, or fix `program` of {}",
                store.definition.place(store.name)
            ))
    })?;
    let head = head(&file.real).unwrap_or_default();
    files.push(file);
    let Some(line) = shebang::read(&head).filter(|_| depth > 0) else {
        return Ok(());
    };
    for word in [Some(line.program), line.searched].into_iter().flatten() {
        if let Some(found) = found(&word) {
            seal_program(store, &found, FileRole::Interpreter, depth - 1, files)?;
        }
    }
    Ok(())
}

/// Where the program of a store finds its interpreter.
fn found(word: &str) -> Option<PathBuf> {
    let dirs = crate::store::source::PROGRAM_PATH.split(':');
    let dirs: Vec<_> = dirs.map(PathBuf::from).collect();
    if word.contains('/') {
        return Some(word.into());
    }
    crate::package::lookup::search(word, &dirs).ok()
}

impl Invocation {
    /// Whether the stores of a policy are defined as they were when it was granted.
    ///
    /// # Errors
    /// `policy-changed` with the name of the store; `store-unknown`, `reference-invalid`.
    pub fn verify_definitions(&self, policy: &Policy, dirs: &Dirs) -> Result<()> {
        if self.stores.is_empty() && !has_stores(policy) {
            return Ok(());
        }
        let config = Config::load(dirs)?;
        for store in used(policy, &config)? {
            let sealed = self.stores.iter().find(|sealed| sealed.name == *store.name);
            if sealed.is_none_or(|sealed| sealed.definition != store.digest()) {
                let server = &policy.server;
                let what = format!(
                    "store `{}` changed since server `{server}` was granted",
                    store.name
                );
                return Err(Error::new(Code::PolicyChanged, what)
                    .of_store(store.name)
                    .cause(format!(
                        "{} is another one",
                        store.definition.place(store.name)
                    ))
                    .hint(format!(
                        "run `mcpwrap grant {server}` to review and approve it"
                    )));
            }
        }
        Ok(())
    }

    /// Compares the programs of the stores with the sealed ones.
    ///
    /// # Errors
    /// `program-changed`.
    pub fn verify_store_programs(&self, policy: &Policy) -> Result<()> {
        let mut left = HASHED_BYTES_MAX;
        for store in &self.stores {
            for file in &store.files {
                let Err(change) = file.compare(&mut left) else {
                    continue;
                };
                let what = format!(
                    "the program of store `{}` changed since it was granted",
                    store.name
                );
                return Err(Error::new(Code::ProgramChanged, what)
                    .not_started(&policy.server)
                    .of_store(&store.name)
                    .cause(format!("`{}` {change}", file.found.display()))
                    .hint("run `mcpwrap grant --changed` to see the change and approve it"));
            }
        }
        Ok(())
    }
}

/// The stores of a managed policy, which nobody grants: only those that the administrator defines, with
/// programs that only root can change.
///
/// # Errors
/// `program-untrusted`; those of [`seal`].
pub(super) fn managed(policy: &Policy, dirs: &Dirs) -> Result<Vec<SealedStore>> {
    let (sealed, _) = seal(policy, dirs)?;
    if sealed.is_empty() {
        return Ok(sealed);
    }
    let config = Config::load(dirs)?;
    let untrusted = |store: &SealedStore, why: &str| {
        Error::new(
            Code::ProgramUntrusted,
            format!("cannot trust store `{}`", store.name),
        )
        .not_started(&policy.server)
        .of_store(&store.name)
        .cause(why)
        .hint(format!(
            "ask your administrator to define it in `{}`",
            crate::dirs::MANAGED_STORES
        ))
    };
    for store in &sealed {
        if !config.managed_stores.contains(&store.name) {
            let why = "a managed policy uses it, and the administrator does not define it";
            return Err(untrusted(store, why));
        }
        let files = store.files.iter();
        if let Some(file) = files
            .clone()
            .find(|file| !only_root_changes(&file.found, &file.real))
        {
            let why = format!(
                "a user other than root can change `{}`",
                file.found.display()
            );
            return Err(untrusted(store, &why));
        }
    }
    Ok(sealed)
}
