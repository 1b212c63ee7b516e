//! A temporary home with a vault file, as created by `mcpwrap init`, `secret set` and `grant`.

use std::path::Path;

use mcpwrap::testing::config::{Config, StoreKind};
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::secret::{Secret, SecretName, ServerName};
use mcpwrap::testing::store::{self, Prompt, SecretItem};
use mcpwrap::testing::{files, policy};

/// Creates the home; `values` become the secrets `bench/0`, `bench/1`, …
pub(crate) fn vault_home(root: &Path, key_file: &Path, values: impl Iterator<Item = String>) {
    let dirs = Dirs::under(root);
    let config = Config {
        store: StoreKind::File,
        key_file: Some(key_file.display().to_string()),
        ..Config::default()
    };
    files::ensure_dir(root).unwrap();
    store::prepare_key_file(&dirs, key_file).unwrap();
    config.save(&dirs).unwrap();
    store::create_vault(&dirs, &config).unwrap();
    let store = store::open(&dirs, &config, Prompt::Never).unwrap();
    store::keys_or_create(&*store).unwrap();
    for (number, value) in values.enumerate() {
        let name = SecretName::new(&format!("bench/{number}")).unwrap();
        let item = SecretItem {
            value: Secret::new(value.into()),
            profile: None,
            expires: None,
        };
        store.put(&name, &item).unwrap();
    }
}

/// Writes and grants a policy for this command with this many of the secrets.
pub(crate) fn granted(root: &Path, name: &str, command: &[&str], secrets: usize, more: &str) {
    let dirs = Dirs::under(root);
    let server = ServerName::new(name).unwrap();
    let mut text = format!("version = 1\ncommand = {command:?}\n{more}");
    for number in 0..secrets {
        let number = number.to_string();
        let pieces = [
            "[secrets.S",
            &number,
            "]\nfrom = \"secret:bench/",
            &number,
            "\"\n",
        ];
        text.extend(pieces);
    }
    files::replace(&policy::load::path(&dirs, &server), text.as_bytes()).unwrap();
    grant(root, &server);
}

/// Grants the policy in its current form.
pub(crate) fn grant(root: &Path, server: &ServerName) {
    let dirs = Dirs::under(root);
    let config = Config::load(&dirs).unwrap();
    let store = store::open(&dirs, &config, Prompt::Never).unwrap();
    let keys = store::keys(&*store).unwrap();
    let policy = policy::load(&dirs, server, None).unwrap();
    let resolved = mcpwrap::testing::grant::resolve(&policy, &dirs).unwrap();
    let by = mcpwrap::testing::grant::By::Yes;
    mcpwrap::testing::grant::grant(&dirs, &policy, &resolved.invocation, &keys, by).unwrap();
}
