//! secretspec and fnox, which read many more stores behind one command.

use std::path::Path;

use crate::reference::StorePlace;
use crate::store::exec::answer;
use crate::store::exec::fault::{Fault, ReadValue, VALUE_MAX};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecPreset, ExecProbe, Sign, grouped, no_rules, path_only, words,
};
use crate::store::exec::settings::{path, text};

pub const SECRETSPEC: ExecPreset = ExecPreset {
    id: "secretspec",
    programs: &["secretspec"],
    login: &[],
    login_options: &[],
    of_terminal: &[],
    about: "secretspec, and the stores that it reads",
    example: "NAME",
    needs: "`secretspec`; `file`: a secretspec.toml; `profile`; `provider`",
    tested: "a program that answers as documented",
    settings: &[
        path("file", true),
        text("profile", false),
        text("provider", false),
    ],
    variables: &[],
    exported: &[
        ("file", "SECRETSPEC_FILE"),
        ("profile", "SECRETSPEC_PROFILE"),
        ("provider", "SECRETSPEC_PROVIDER"),
    ],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Says("provider backend"), Fault::Other),
        (Sign::Says("config file not found"), Fault::Absent),
        (Sign::Says("no secretspec.toml found"), Fault::Absent),
        (Sign::Says("is required but not set"), Fault::NotFound),
        (Sign::Says("not found"), Fault::NotFound),
        (Sign::Says("not signed in"), Fault::SignedOut),
        (Sign::Says("not logged in"), Fault::SignedOut),
        (Sign::Says("authentication required"), Fault::SignedOut),
        (Sign::Says("locked"), Fault::Locked),
    ],
    sign_in: "sign in to the store behind secretspec, e.g. with its own program",
    check: no_rules,
    check_place: path_only,
    before,
    plan: |_, wanted| {
        let arguments = |place: &StorePlace| words(["get", &place.path]);
        grouped(wanted, VALUE_MAX + 2, arguments, read)
    },
    probe: |_| Some(version()),
};

pub const FNOX: ExecPreset = ExecPreset {
    id: "fnox",
    programs: &["fnox"],
    login: &[],
    login_options: &[],
    of_terminal: &[],
    about: "fnox, and the stores that it reads",
    example: "NAME",
    needs: "`fnox`; `file`: a fnox.toml; `profile`",
    tested: "a program that answers as documented",
    settings: &[path("file", true), text("profile", false)],
    variables: &[("NO_COLOR", "1")],
    exported: &[("profile", "FNOX_PROFILE")],
    silent: &[("FNOX_NON_INTERACTIVE", "true")],
    refused: &[],
    signs: &[
        (Sign::Says("not signed in"), Fault::SignedOut),
        (Sign::Says("not logged in"), Fault::SignedOut),
        (Sign::Says("authentication failed"), Fault::SignedOut),
        (Sign::Says("access denied"), Fault::Denied),
        (Sign::Says("permission denied"), Fault::Denied),
        (Sign::Says("rate limit"), Fault::Throttled),
        (Sign::Says("locked"), Fault::Locked),
        (Sign::Says("not found"), Fault::NotFound),
    ],
    sign_in: "sign in to the store behind fnox, e.g. with its own program",
    check: no_rules,
    check_place: path_only,
    before,
    plan: |store, wanted| {
        let file = store.settings().text("file").unwrap_or_default();
        let arguments = |place: &StorePlace| words(["--config", file, "get", &place.path]);
        grouped(wanted, VALUE_MAX + 2, arguments, read)
    },
    probe: |_| Some(version()),
};

/// The file of both is named: they would look for it in the current folder.
fn before(store: &OpenedStore, _: Option<&StorePlace>) -> Result<(), Fault> {
    let file = store.settings().text("file").unwrap_or_default();
    if Path::new(file).is_file() {
        Ok(())
    } else {
        Err(Fault::Absent)
    }
}

/// Both print a line; nothing at all for a value that may be missing.
fn read(answer: &[u8], _: &StorePlace) -> ReadValue {
    if answer.is_empty() {
        return Err(Fault::NotFound);
    }
    answer::raw(answer)
}

fn version() -> ExecProbe {
    ExecProbe {
        arguments: words(["--version"]),
        input: None,
        asks_store: false,
        read: |answer| {
            let text = String::from_utf8_lossy(answer);
            Ok(vec![("version", text.trim().to_owned())])
        },
    }
}
