//! gopass, a password manager for teams.
//!
//! Debian has another program of this name, which is recognised by its answers.

use std::ffi::OsString;

use crate::reference::StorePlace;
use crate::store::exec::answer;
use crate::store::exec::fault::{Fault, VALUE_MAX};
use crate::store::exec::preset::{
    ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, without_version, words,
};

pub const GOPASS: ExecPreset = ExecPreset {
    id: "gopass",
    programs: &["gopass"],
    login: &[],
    login_options: &[],
    of_terminal: &[],
    about: "gopass, a password manager for teams",
    example: "FOLDER/ENTRY",
    needs: "`gopass` 1.12 or newer of gopass.pw",
    tested: "a program that answers as documented",
    settings: &[],
    variables: &[
        ("GOPASS_NO_NOTIFY", "true"),
        ("GOPASS_NO_AUTOSYNC", "true"),
        ("GOPASS_NO_REMINDER", "true"),
        ("NO_COLOR", "true"),
    ],
    exported: &[],
    silent: &[("GOPASS_GPG_OPTS", "--pinentry-mode=error")],
    refused: &[],
    signs: &[
        (Sign::Prints("usage: gopass"), Fault::OtherProgram),
        (
            Sign::Says("flag provided but not defined"),
            Fault::OtherProgram,
        ),
        (Sign::Exit(6), Fault::Absent),
        (Sign::Exit(10), Fault::NotFound),
        (Sign::Exit(11), Fault::Locked),
        (Sign::Exit(19), Fault::Locked),
    ],
    sign_in: "unlock the key of gopass in a terminal, e.g. with `gopass show` of any entry",
    check: no_rules,
    check_place: |_, place| without_version(place),
    before: no_file,
    plan: |_, wanted| {
        let arguments = |place: &StorePlace| {
            let mut words = words(["show", "-n", "-o", &place.path]);
            words.extend(place.field.as_ref().map(OsString::from));
            words
        };
        grouped(wanted, VALUE_MAX + 2, arguments, |answer, _| {
            answer::raw(answer)
        })
    },
    probe: |_| {
        Some(ExecProbe {
            arguments: words(["version"]),
            input: None,
            asks_store: false,
            read: |answer| {
                let text = String::from_utf8_lossy(answer);
                // The other program says `gopass v1.5.0`.
                let version = text.strip_prefix("gopass ").ok_or(Fault::OtherProgram)?;
                if version.starts_with('v') {
                    return Err(Fault::OtherProgram);
                }
                let version = version.split_whitespace().next().unwrap_or_default();
                Ok(vec![("gopass", version.to_owned())])
            },
        })
    },
};
