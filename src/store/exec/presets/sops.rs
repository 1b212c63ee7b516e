//! Files that SOPS encrypted.
//!
//! A file is decrypted once for all its values, as JSON, which keeps types and line ends.

use std::path::{Path, PathBuf};

use crate::reference::StorePlace;
use crate::store::exec::answer;
use crate::store::exec::fault::{BATCH_MAX, Fault, VALUE_MAX};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, without_version, words,
};
use crate::store::exec::settings::{ExecSettings, path};

pub const SOPS: ExecPreset = ExecPreset {
    id: "sops",
    programs: &["sops"],
    login: &[],
    login_options: &[],
    of_terminal: &[("env.SOPS_AGE_KEY_FILE", &["SOPS_AGE_KEY_FILE"])],
    about: "files encrypted by SOPS",
    example: "/home/ana/secrets.yaml#github.token",
    needs: "`sops`; a key, e.g. `SOPS_AGE_KEY_FILE` in `env`; `directory` for relative paths",
    tested: "sops with a key of age",
    settings: &[path("directory", false)],
    variables: &[("SOPS_DISABLE_VERSION_CHECK", "true")],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Exit(100), Fault::NotFound),
        (Sign::Exit(128), Fault::Locked),
        (Sign::Says("failed to get the data key"), Fault::Locked),
        (Sign::Says("error retrieving data key"), Fault::Locked),
        (
            Sign::Says("metadata not found"),
            Fault::Answer("SOPS did not encrypt the file"),
        ),
        (
            Sign::Exit(25),
            Fault::Answer("the file was changed after SOPS encrypted it"),
        ),
        (
            Sign::Exit(51),
            Fault::Answer("the file was changed after SOPS encrypted it"),
        ),
    ],
    sign_in: "give the store a key that can decrypt the file, e.g. `SOPS_AGE_KEY_FILE` in `env`",
    check: |_| Ok(()),
    check_place: |settings, place| {
        without_version(place)?;
        if place.path.starts_with('/') || settings.text("directory").is_some() {
            return Ok(());
        }
        Err("expected an absolute path, or set `directory` for the store".to_owned())
    },
    before,
    plan,
    probe: |_| {
        Some(ExecProbe {
            arguments: words(["--version"]),
            input: None,
            asks_store: false,
            read: |answer| {
                let text = String::from_utf8_lossy(answer);
                let version = text.split_whitespace().nth(1).unwrap_or_default();
                Ok(vec![("sops", version.to_owned())])
            },
        })
    },
};

fn before(store: &OpenedStore, place: Option<&StorePlace>) -> Result<(), Fault> {
    let settings = store.settings();
    if let Some(place) = place {
        let exists = file(settings, place).is_file();
        return exists.then_some(()).ok_or(Fault::NotFound);
    }
    let directory = settings.text("directory");
    if directory.is_some_and(|directory| !Path::new(directory).is_dir()) {
        return Err(Fault::Absent);
    }
    let key = store.variable("SOPS_AGE_KEY_FILE");
    if key.is_some_and(|key| !Path::new(key).is_file()) {
        return Err(Fault::Locked);
    }
    Ok(())
}

fn file(settings: ExecSettings<'_>, place: &StorePlace) -> PathBuf {
    Path::new(settings.text("directory").unwrap_or("/")).join(&place.path)
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let settings = store.settings();
    let arguments = |place: &StorePlace| {
        let file = file(settings, place).display().to_string();
        match place.field {
            Some(_) => words(["-d", "--output-type", "json", &file]),
            None => words(["-d", &file]),
        }
    };
    grouped(wanted, BATCH_MAX, arguments, |answer, place| {
        match &place.field {
            Some(field) => answer::scalar(answer::part(&answer::json(answer)?, field)?),
            None if answer.len() > VALUE_MAX => {
                Err(Fault::Answer("the file is longer than 64 KiB"))
            }
            // A whole file keeps its last line end.
            None => answer::plain(answer.to_vec()),
        }
    })
}
