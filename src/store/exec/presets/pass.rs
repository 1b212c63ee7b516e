//! pass, the standard password manager of Unix.
//!
//! For a folder `pass show` prints its tree and succeeds, so the file of the entry has to exist. gpg may not ask:
//! it uses what its agent has, or fails.

use std::path::PathBuf;

use toml::Value;

use crate::reference::StorePlace;
use crate::store::exec::answer;
use crate::store::exec::fault::{Fault, ReadValue, VALUE_MAX};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, without_version, words,
};
use crate::store::exec::settings::{ExecSetting, ExecSettings, SettingKind};

pub const PASS: ExecPreset = ExecPreset {
    id: "pass",
    programs: &["pass"],
    login: &[],
    login_options: &[],
    of_terminal: &[
        ("env.PASSWORD_STORE_DIR", &["PASSWORD_STORE_DIR"]),
        ("env.GNUPGHOME", &["GNUPGHOME"]),
    ],
    about: "pass, the standard password manager of Unix",
    example: "FOLDER/ENTRY",
    needs: "`pass`; `line`: a number or \"all\" [default: 1]",
    tested: "pass with a key of gpg",
    settings: &[ExecSetting {
        name: "line",
        kind: SettingKind::Other,
        is_required: false,
    }],
    variables: &[],
    exported: &[],
    silent: &[("PASSWORD_STORE_GPG_OPTS", "--pinentry-mode=error")],
    refused: &[],
    signs: &[
        (Sign::Says("is not in the password store"), Fault::NotFound),
        (Sign::Says("decryption failed"), Fault::Locked),
        (Sign::Exit(2), Fault::Locked),
    ],
    sign_in: "unlock the key of gpg in a terminal, e.g. with `pass show` of any entry",
    check,
    check_place: |_, place| without_version(place),
    before,
    plan,
    probe,
};

fn check(settings: ExecSettings<'_>) -> Result<(), String> {
    match settings.0.get("line") {
        None | Some(Value::Integer(1..)) => Ok(()),
        Some(Value::String(text)) if text == "all" => Ok(()),
        _ => Err("expected a number from 1, or \"all\", for `line`".to_owned()),
    }
}

/// The directory of the entries.
fn directory(store: &OpenedStore) -> PathBuf {
    let set = store.variable("PASSWORD_STORE_DIR").map(PathBuf::from);
    set.unwrap_or_else(|| store.home.join(".password-store"))
}

fn before(store: &OpenedStore, place: Option<&StorePlace>) -> Result<(), Fault> {
    let directory = directory(store);
    if !directory.is_dir() {
        return Err(Fault::Absent);
    }
    let Some(place) = place else {
        return Ok(());
    };
    let file = directory.join(format!("{}.gpg", place.path.trim_start_matches('/')));
    if file.is_file() {
        Ok(())
    } else {
        Err(Fault::NotFound)
    }
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let settings = store.settings();
    let is_all = settings.text("line") == Some("all");
    let line = (!is_all).then(|| settings.count("line").unwrap_or(1));
    let arguments = |place: &StorePlace| words(["show", &place.path]);
    let read = move |answer: &[u8], place: &StorePlace| select(answer, place, line);
    grouped(wanted, 2 * VALUE_MAX, arguments, read)
}

/// The line of this number, the whole entry, or what follows `FIELD:` in a line after the first.
fn select(answer: &[u8], place: &StorePlace, line: Option<usize>) -> ReadValue {
    let lines = answer.split(|byte| *byte == b'\n');
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if let Some(field) = &place.field {
        let named = lines.skip(1).find_map(|line| {
            let rest = line.strip_prefix(field.as_bytes())?;
            Some(rest.strip_prefix(b":")?.trim_ascii())
        });
        return answer::plain(named.ok_or(Fault::NoField)?.to_vec());
    }
    match line {
        None => answer::raw(answer),
        Some(number) => {
            let found = lines.nth(number - 1).ok_or(Fault::NoField)?;
            answer::plain(found.to_vec())
        }
    }
}

/// Only the program: each entry may need its own key.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of presets")]
fn probe(_: &OpenedStore) -> Option<ExecProbe> {
    Some(ExecProbe {
        arguments: words(["version"]),
        input: None,
        asks_store: false,
        read: |answer| {
            let text = String::from_utf8_lossy(answer);
            let mut found = text.split_whitespace();
            let version = found.find(|word| word.starts_with('v') && word.contains('.'));
            Ok(version
                .map(|version| ("pass", version.to_owned()))
                .into_iter()
                .collect())
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_fields() {
        let entry = b"first\nuser: ana\nurl:https://x:1\r\n\nlast";
        let of = |place: &str, line| {
            let place = StorePlace::new(place).unwrap();
            select(entry, &place, line).map(|value| value.value.expose().to_vec())
        };
        assert_eq!(of("a", Some(1)), Ok(b"first".to_vec()));
        assert_eq!(of("a", Some(5)), Ok(b"last".to_vec()));
        assert_eq!(of("a", Some(6)), Err(Fault::NoField));
        assert_eq!(of("a", None), Ok(entry.to_vec()));
        assert_eq!(of("a#user", Some(1)), Ok(b"ana".to_vec()));
        assert_eq!(of("a#url", None), Ok(b"https://x:1".to_vec()));
        assert_eq!(of("a#use", Some(1)), Err(Fault::NoField));
        assert_eq!(of("a#first", Some(1)), Err(Fault::NoField));
    }
}
