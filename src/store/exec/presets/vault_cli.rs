//! KV secrets of Vault or OpenBao by their program, e.g. for a login that only the program has.
//!
//! `type = "vault"` needs no program and tells failures apart more exactly.

use crate::reference::StorePlace;
use crate::store::exec::answer::{self, at};
use crate::store::exec::fault::{BATCH_MAX, Fault, ReadValue};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, words,
};
use crate::store::exec::settings::{ExecSettings, path, text};

pub const VAULT_CLI: ExecPreset = ExecPreset {
    id: "vault-cli",
    programs: &["vault", "bao"],
    login: &["login"],
    login_options: &[],
    of_terminal: &[
        ("address", &["BAO_ADDR", "VAULT_ADDR"]),
        ("namespace", &["BAO_NAMESPACE", "VAULT_NAMESPACE"]),
        ("ca_file", &["BAO_CACERT", "VAULT_CACERT"]),
    ],
    about: "KV secrets of Vault or OpenBao, by their program",
    example: "MOUNT/PATH#FIELD",
    needs: "`vault` or `bao`; `address`; `mount`; `namespace`; `ca_file`; `VAULT_TOKEN` in `env`",
    tested: "a program that answers as documented",
    settings: &[
        text("address", true),
        text("mount", false),
        text("namespace", false),
        path("ca_file", false),
    ],
    variables: &[("VAULT_MAX_RETRIES", "0")],
    exported: &[
        ("address", "VAULT_ADDR"),
        ("namespace", "VAULT_NAMESPACE"),
        ("ca_file", "VAULT_CACERT"),
    ],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Prints("deletion_time"), Fault::Deleted),
        (Sign::Says("no value found"), Fault::NotFound),
        (Sign::Says("missing client token"), Fault::SignedOut),
        (Sign::Says("invalid token"), Fault::SignedOut),
        (Sign::Says("bad token"), Fault::SignedOut),
        (Sign::Says("permission denied"), Fault::Denied),
        (Sign::Says("is sealed"), Fault::Unavailable),
        (Sign::Says("quota exceeded"), Fault::Throttled),
        (Sign::Says("code: 429"), Fault::Throttled),
    ],
    sign_in: "run `vault login`, or store a token and name it as `VAULT_TOKEN` in `env`",
    check: no_rules,
    check_place: |settings, place| {
        if place.field.is_none() {
            return Err("expected `#FIELD` after the path".to_owned());
        }
        if split(settings, place).is_none() {
            return Err("expected `MOUNT/PATH`, or set `mount` for the store".to_owned());
        }
        Ok(())
    },
    before: no_file,
    plan,
    probe: |_| {
        Some(ExecProbe {
            arguments: words(["token", "lookup", "-format=json"]),
            input: None,
            asks_store: true,
            read: |answer| {
                let about = answer::json(answer)?;
                let about = at(&about, "/data");
                let name = about["display_name"].as_str().unwrap_or_default();
                let seconds = at(about, "/ttl").as_u64().unwrap_or_default();
                Ok(vec![
                    ("login", name.to_owned()),
                    ("seconds left", seconds.to_string()),
                ])
            },
        })
    },
};

/// The mount and the path in it.
fn split<'a>(settings: ExecSettings<'a>, place: &'a StorePlace) -> Option<(&'a str, &'a str)> {
    let path = place.path.trim_start_matches('/');
    match settings.text("mount") {
        Some(mount) => Some((mount, path)),
        None => path
            .split_once('/')
            .filter(|(_, rest)| !rest.starts_with('-')),
    }
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let settings = store.settings();
    let arguments = |place: &StorePlace| {
        let (mount, path) = split(settings, place).unwrap_or_default();
        let version = place.version.as_ref();
        let mut arguments = words(["kv", "get", "-format=json", &format!("-mount={mount}")]);
        arguments.extend(version.map(|version| format!("-version={version}").into()));
        arguments.push(path.into());
        arguments
    };
    grouped(wanted, BATCH_MAX, arguments, read)
}

fn read(answer: &[u8], place: &StorePlace) -> ReadValue {
    let answer = answer::json(answer)?;
    let data = at(&answer, "/data");
    if !data.is_object() {
        return Err(Fault::Answer("the answer has no `data`"));
    }
    let field = place.field.as_deref().unwrap_or_default();
    // Of version 1 the fields are in `data` itself.
    let metadata = data
        .get("metadata")
        .filter(|metadata| at(metadata, "/version").is_u64());
    let fields = if metadata.is_some() {
        at(data, "/data")
    } else {
        data
    };
    if fields.is_null() {
        return Err(Fault::Deleted);
    }
    let mut value = answer::scalar(answer::part(fields, field)?)?;
    let version = metadata.and_then(|metadata| at(metadata, "/version").as_u64());
    value.version = version.map(|version| version.to_string());
    Ok(value)
}
