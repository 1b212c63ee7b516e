//! The pages of the commands that set mcpwrap up, and of those for secrets and stores.

use super::page::{AUDIT, POLICIES, Page, READS, page};

const CONFIG: (&str, &str) = (
    "~/.config/mcpwrap/config.toml",
    "the local store, other stores, defaults",
);
const INDEX: (&str, &str) = (
    "~/.local/state/mcpwrap/secrets.toml",
    "names, dates and fingerprints of secrets, no value",
);
const UNDO: (&str, &str) = (
    "~/.local/state/mcpwrap/undo.jsonl",
    "what `adopt` changed, sealed",
);
const SETTINGS: (&str, &str) = (
    "~/.local/state/mcpwrap/settings.toml",
    "what AI agents may do, sealed",
);
const VAULT: (&str, &str) = (
    "~/.local/share/mcpwrap/vault.age",
    "the encrypted file, if it is the store",
);

pub(super) const PAGES: &[Page] = &[
    page(
        "init",
        "Running servers go on. A second `init` changes nothing.",
        &[
            ("mcpwrap init", "asks where to store secrets"),
            ("mcpwrap init --store file --key-file ~/.config/mcpwrap/key", "without a keychain"),
        ],
    )
    .files(&[CONFIG, VAULT, SETTINGS]),
    page(
        "adopt",
        "Servers that run go on as they are, without mcpwrap, until their client starts them again.",
        &[
            ("mcpwrap adopt --dry-run", "show the plan only"),
            ("mcpwrap adopt", "asks before it changes anything"),
            ("mcpwrap adopt --client cursor --server github", "one entry"),
            ("mcpwrap adopt --undo", "restore every entry, byte for byte"),
        ],
    )
    .one("something was declined, left alone or is still in plaintext; it is listed")
    .files(&[POLICIES, INDEX, UNDO, AUDIT]),
    page(
        "check",
        "Reads only: it starts no server and stops none. `--verify` sends secrets to their own providers, after \
         a question.",
        &[
            ("mcpwrap check", "this machine"),
            ("mcpwrap check .", "a repository, e.g. in CI"),
            ("mcpwrap check --verify", "ask providers whether secrets are valid"),
        ],
    )
    .one("there are findings of at least the severity of `--fail-on`")
    .files(&[POLICIES, INDEX, AUDIT]),
    page(
        "status",
        READS,
        &[
            ("mcpwrap status", "paths, the store, what ends soon"),
            ("mcpwrap status --json", "for scripts"),
        ],
    )
    .one("the store or the audit log does not work")
    .files(&[CONFIG, INDEX]),
    page(
        "config",
        "A change is used by servers from their next start.",
        &[
            ("mcpwrap config network", "approve the proxy of this terminal"),
            ("mcpwrap config agents", "show what AI agents may do"),
        ],
    )
    .files(&[CONFIG, SETTINGS]),
    page(
        "config network",
        "Running servers keep their settings until their next start or `mcpwrap renew`.",
        &[
            ("mcpwrap config network --show", "what is approved"),
            ("mcpwrap config network", "approve what this terminal has"),
            ("mcpwrap config network --clear", "connect directly again"),
        ],
    )
    .one("this terminal has no network settings"),
    page(
        "config agents",
        "Running servers go on: this is about commands that agents run.",
        &[
            ("mcpwrap config agents", "show what AI agents may do"),
            ("mcpwrap config agents --allow grant", "asks first"),
            ("mcpwrap config agents --forbid grant", "take it back"),
        ],
    )
    .files(&[SETTINGS]),
    page(
        "secret",
        "A new value reaches running servers without closing their sessions.",
        &[
            ("mcpwrap secret set github/token", "store a value"),
            ("mcpwrap secret rotate github/token", "replace it everywhere"),
            ("mcpwrap secret list", "age, expiry, users, never values"),
        ],
    )
    .files(&[INDEX, AUDIT]),
    page(
        "secret set",
        "For a name that exists, running servers are renewed with the new value and their sessions stay; it \
         waits for them unless `--no-wait` is given.",
        &[
            ("mcpwrap secret set github/token", "asks for the value"),
            ("mcpwrap secret set github/token --clipboard", "what you copied"),
            ("mcpwrap secret set github/token --fd 3 3< FILE", "for scripts"),
            ("mcpwrap secret set db/url --profile prod --expires 2027-06-30", "for one profile"),
        ],
    )
    .one("a running server keeps the old value")
    .files(&[INDEX, AUDIT]),
    page(
        "secret rotate",
        "Running servers are renewed with the new value and their sessions stay; it waits for them unless \
         `--no-wait` is given. Policies with `renew = \"manual\"` wait for `mcpwrap renew`.",
        &[
            ("mcpwrap secret rotate github/token", "asks for the value"),
            ("mcpwrap secret rotate github/token --clipboard", "what you copied"),
            ("mcpwrap secret rotate github/token --from-stdin < FILE", "for scripts"),
        ],
    )
    .one("a running server keeps the old value")
    .files(&[INDEX, AUDIT]),
    page(
        "secret list",
        READS,
        &[
            ("mcpwrap secret list", "opens no store"),
            ("mcpwrap secret list --json", "for scripts"),
        ],
    )
    .files(&[INDEX]),
    page(
        "secret rm",
        "Running servers keep the value until they end; they are named. They do not start again without it.",
        &[("mcpwrap secret rm github/token", "asks first")],
    )
    .files(&[INDEX, AUDIT]),
    page(
        "secret import",
        "Running servers are renewed if a value of theirs changes.",
        &[
            ("mcpwrap secret import .env", "asks before it stores"),
            ("mcpwrap secret import secrets.json", "{\"github\": {\"token\": …}}"),
        ],
    )
    .one("some entries were skipped; they are listed")
    .files(&[INDEX, AUDIT]),
    page(
        "secret move",
        "Running servers go on with the values that they have.",
        &[("mcpwrap secret move file", "from the keychain to the vault file")],
    )
    .files(&[CONFIG, VAULT]),
    page(
        "store",
        "Running servers keep their values. A change of a store needs a new grant of the policies that use it.",
        &[
            ("mcpwrap store add op --type op", "read from 1Password"),
            ("mcpwrap store list", "the stores of this machine"),
            ("mcpwrap store check op", "does it answer"),
        ],
    )
    .files(&[CONFIG]),
    page(
        "store add",
        "Running servers keep their values. Policies that use a store that was replaced do not start until they \
         are granted again.",
        &[
            ("mcpwrap store add op --type op --set account=acme.1password.com", "1Password"),
            ("mcpwrap store add bao --type vault --set address=https://bao.corp:8200", "OpenBao"),
        ],
    )
    .files(&[CONFIG]),
    page("store list", READS, &[("mcpwrap store list", "names, types, whether approved")]),
    page(
        "store check",
        "Reads only: it asks the store, and running servers notice nothing.",
        &[("mcpwrap store check op", "does it answer")],
    )
    .one("the store does not answer as it should"),
    page(
        "store login",
        "Running servers keep their values.",
        &[("mcpwrap store login op", "signs in with the store's own program")],
    )
    .one("the store still does not work"),
    page(
        "store rm",
        "Running servers keep their values until they end, and do not start again without the store.",
        &[("mcpwrap store rm op", "asks first")],
    )
    .files(&[CONFIG]),
    page(
        "unlock",
        "Servers can start again; sessions that waited since `mcpwrap lock --sessions` go on.",
        &[("mcpwrap unlock", "asks for the passphrase")],
    ),
    page(
        "lock",
        "Running servers keep what they have. With `--sessions` all are ended, and their sessions wait for \
         `mcpwrap unlock`.",
        &[
            ("mcpwrap lock", "forget the key"),
            ("mcpwrap lock --sessions", "before you leave the machine"),
        ],
    )
    .one("`--sessions` ended the servers, and could not keep them from starting again"),
];
