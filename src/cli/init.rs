//! `mcpwrap init`: the first set-up: a store, its keys, the directories.
//!
//! *Never* chooses another store than the one that was asked for: where there is no keychain, that is
//! an error that names the other way. Running it again changes nothing.

use std::path::{Path, PathBuf};

use super::{Context, ask, print};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::secret::Secret;
use crate::store::{self, Index, KeySource, Prompt};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where secrets are kept [default: keychain]
    #[arg(long)]
    store: Option<StoreKind>,
    /// The key of the vault file; it is made if it is not there. Without one, a passphrase is asked
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read the passphrase of the vault file from stdin; for scripts
    #[arg(long)]
    from_stdin: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let dirs = &cx.dirs;
    let old = Config::load(dirs)?;
    let kind = args.store.unwrap_or(old.store);
    if kind != old.store && !Index::load(dirs)?.secrets.is_empty() {
        return Err(
            Error::new(Code::Usage, format!("the store stays `{}`", old.store))
                .cause("there are secrets in it")
                .hint(format!("`mcpwrap secret move {kind}` takes them along")),
        );
    }
    for dir in [dirs.policies(), dirs.state().to_path_buf()] {
        let shown = dirs.tilde(&dir);
        files::ensure_dir(&dir).map_err(|problem| {
            problem.explain(Code::FileUnusable, format!("`{shown}` not made"), &shown)
        })?;
    }
    let config = prepare(dirs, &old, kind, args.key_file.as_deref(), args.from_stdin)?;
    let store = store::open(dirs, &config, Prompt::Allowed)?;
    let known = store.master()?.is_some();
    store::keys_or_create(&*store)?;
    // Last: a store that does not work is not named.
    if config != old || !dirs.config_file().exists() {
        config.save(dirs)?;
    }
    print::line(&format!(
        "{}: store `{kind}`",
        if known { "set up already" } else { "set up" }
    ));
    if kind == StoreKind::File {
        let key = KeySource::find(dirs, &config)?;
        print::line(&format!("key: {}", key.describe(dirs)));
        print::line(&format!("     {}", key.strength()));
    }
    print::line(
        "next: `mcpwrap adopt` takes over your clients' servers, or `mcpwrap secret set NAME`",
    );
    Ok(0)
}

/// Makes what the store needs, and the configuration that names it, which is not saved yet.
pub(super) fn prepare(
    dirs: &Dirs,
    old: &Config,
    kind: StoreKind,
    key_file: Option<&Path>,
    from_stdin: bool,
) -> Result<Config> {
    let mut config = Config {
        store: kind,
        ..old.clone()
    };
    if kind == StoreKind::Keychain {
        if key_file.is_some() || from_stdin {
            return Err(Error::new(Code::Usage, "the keychain needs no key")
                .hint("`--key-file` and `--from-stdin` belong to `--store file`"));
        }
        return Ok(config);
    }
    if let Some(path) = key_file {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if store::prepare_key_file(dirs, &path)? {
            print::note(&format!("key file made: `{}`", dirs.tilde(&path)));
        }
        config.key_file = Some(dirs.tilde(&path));
    }
    match KeySource::find(dirs, &config) {
        Err(error) if error.code == Code::VaultAbsent => {
            store::prepare_passphrase(dirs, &new_passphrase(from_stdin)?)?;
        }
        other => drop(other?),
    }
    store::create_vault(dirs, &config)?;
    Ok(config)
}

fn new_passphrase(from_stdin: bool) -> Result<Secret> {
    let again = "`mcpwrap init --store file` asks again";
    let first = super::unlock::passphrase(from_stdin)?;
    if first.is_weak() {
        return Err(Error::new(Code::SecretWeak, "no vault file made")
            .cause("the passphrase has fewer than 8 bytes, or digits only")
            .hint(again));
    }
    if !from_stdin && first != ask::hidden("once more: ")? {
        return Err(Error::new(Code::Declined, "no vault file made")
            .cause("the two passphrases differ")
            .hint(again));
    }
    Ok(first)
}
