//! What the tests, benchmarks, fuzz targets and `cargo xtask` use of this crate. Not an interface for
//! anybody else: it only lets the compiler see which code nobody uses.

pub mod error {
    pub use crate::error::{Code, Error, Result};
}
pub mod secret {
    pub use crate::secret::{Keys, Secret, SecretName, ServerName, StoreName, hex};
}
pub mod dirs {
    pub use crate::dirs::Dirs;
}
pub mod files {
    pub use crate::files::{ensure_dir, replace};
}
pub mod config {
    pub use crate::config::{Config, StoreDefinition, StoreKind};
}
pub mod sys {
    pub use crate::sys::fds::enlarge_pipe;
    pub use crate::sys::tree::started;
    pub use crate::sys::wall::confine;
}
pub mod policy {
    pub use crate::policy::inherit::{base_names, network_names, never_groups, sealed_names};
    pub use crate::policy::load;
    pub use crate::policy::load::{check, path};
    pub use crate::policy::schema::json_schema;
}
pub mod package {
    pub use crate::package::{Transport, parse, transport};
}
pub mod store {
    pub use crate::store::source::{
        MintHandle, MintLife, MintRequest, Minted, Minter, SecretSource, SourceType, SourceValue,
        StoreNetwork, StoreSetup,
    };
    pub use crate::store::types::{all as source_types, of as source_type};
    pub use crate::store::waits::StoreWaits;
    pub use crate::store::{
        KeyStore, Prompt, SecretItem, SecretStore, Store, create_vault, credential_store, keys,
        keys_or_create, open, prepare_key_file,
    };
}
pub mod reference {
    pub use crate::reference::{Reference, StorePlace};
}
pub mod audit {
    pub use crate::audit::disk;
    pub use crate::audit::query::{Filter, scan};
    pub use crate::audit::record::{ChainKey, User};
    pub use crate::audit::verify::verify;
    pub use crate::audit::{
        CallLog, ClientIdentity, Destination, Detail, Event, Hash, Log, NewRecord, Outcome, Record,
        RunId, SecretUse,
    };
}
pub mod grant {
    pub use crate::grant::{By, grant, revoke};
    pub use crate::invocation::resolve;
}
pub mod mask {
    pub use crate::mask::{Masker, MessageMask, TextMask, spellings};
}
pub mod client {
    pub use crate::client::document::Document;
    pub use crate::client::edit::{Change, NewWord, Splice, apply, splices};
    pub use crate::client::entry::{Program, ServerEntry, entries};
    pub use crate::client::regions::regions;
    pub use crate::client::table::{CLIENTS, Os, client};
    pub use crate::client::tree::{FileFormat, Node, PathStep};
}
pub mod detect {
    pub use crate::detect::{
        Judged, SecretPart, ValueSite, Verdict, arguments, entry, known_tokens, value,
    };
}
pub mod check {
    pub use crate::check::{
        ConfigFile, Facts, Ignores, OTHER_RULES, RULES, insecure_transport, rule, run,
        unpinned_server,
    };
}
pub mod cli {
    pub use crate::cli::Cli;
}
pub mod oauth {
    pub use crate::oauth::exchange::{EXCHANGE, main as exchange};
    pub use crate::oauth::index::{OAuthIndex, TokenRow};
    pub use crate::oauth::place::TokenPlace;
    pub use crate::oauth::refresh::{REFRESH, main as refresh};
    pub use crate::oauth::revoke::{RevokedToken, revoke_all};
    pub use crate::oauth::step_up::remember;
    pub use crate::oauth::token::{OAuthToken, current, renew};
}
