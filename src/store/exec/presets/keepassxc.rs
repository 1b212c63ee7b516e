//! A `KeePass` file by `keepassxc-cli`.
//!
//! One run for each attribute: several in one answer are not separated.

use std::path::Path;

use zeroize::Zeroizing;

use crate::reference::StorePlace;
use crate::store::exec::answer;
use crate::store::exec::fault::{Fault, VALUE_MAX};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, without_version, words,
};
use crate::store::exec::settings::{ExecSetting, SettingKind, path};

pub const KEEPASSXC: ExecPreset = ExecPreset {
    id: "keepassxc",
    programs: &["keepassxc-cli"],
    login: &[],
    login_options: &[],
    of_terminal: &[],
    about: "a KeePass file, by `keepassxc-cli`",
    example: "GROUP/ENTRY#Password",
    needs: "`keepassxc-cli`; `database`; `password` (`secret:NAME`), `key_file` or both",
    tested: "keepassxc-cli",
    settings: &[
        path("database", true),
        path("key_file", false),
        ExecSetting {
            name: "password",
            kind: SettingKind::Secret,
            is_required: false,
        },
    ],
    variables: &[("QT_QPA_PLATFORM", "offscreen")],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Says("could not find entry"), Fault::NotFound),
        (Sign::Says("unknown attribute"), Fault::NoField),
        (Sign::Says("is ambiguous"), Fault::Ambiguous),
        (Sign::Says("invalid credentials"), Fault::Locked),
        (Sign::Says("failed to load key file"), Fault::Locked),
        (
            Sign::Says("error while reading the database"),
            Fault::Locked,
        ),
    ],
    sign_in: "store the password of the database, and name it as `password` of the store",
    check: |settings| {
        if settings
            .text("password")
            .or(settings.text("key_file"))
            .is_some()
        {
            return Ok(());
        }
        Err("neither `password` nor `key_file` is set".to_owned())
    },
    check_place: |_, place| without_version(place),
    before: |store, _| {
        let database = store.settings().text("database").unwrap_or_default();
        if Path::new(database).is_file() {
            Ok(())
        } else {
            Err(Fault::Absent)
        }
    },
    plan,
    probe: |store| {
        let mut arguments = words(["ls"]);
        arguments.extend(unlocked(store));
        Some(ExecProbe {
            arguments,
            input: password(store),
            asks_store: true,
            read: |_| Ok(Vec::new()),
        })
    },
};

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let arguments = |place: &StorePlace| {
        let field = place.field.as_deref().unwrap_or("Password");
        let mut words = words(["show", "-s", "-a", field]);
        words.extend(unlocked(store));
        words.push((&place.path).into());
        words
    };
    let mut calls = grouped(wanted, VALUE_MAX + 2, arguments, |answer, _| {
        answer::raw(answer)
    });
    for call in &mut calls {
        call.input = password(store);
    }
    calls
}

/// The options that open the database, and the database.
fn unlocked(store: &OpenedStore) -> Vec<std::ffi::OsString> {
    let mut words = store.option("key_file", "-k");
    if store.settings().text("password").is_none() {
        words.push("--no-password".into());
    }
    words.extend(store.settings().text("database").map(Into::into));
    words
}

/// The line that it reads instead of a terminal.
fn password(store: &OpenedStore) -> Option<Zeroizing<Vec<u8>>> {
    let password = store.secret("password")?;
    let mut line = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
    line.extend_from_slice(password.expose());
    line.push(b'\n');
    Some(line)
}
