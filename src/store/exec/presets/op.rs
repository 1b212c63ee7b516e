//! 1Password by its program `op`.
//!
//! Its daemon keeps what was read for a day, so it is asked not to: a rotated value has to be seen. One value is
//! one `op read`; several are one `op inject`, because reads are counted per hour.

use std::ffi::OsString;

use zeroize::Zeroizing;

use crate::files;
use crate::reference::StorePlace;
use crate::store::exec::answer::{self, at};
use crate::store::exec::fault::{BATCH_MAX, Fault, ReadValue};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, no_file, without_version, words,
};
use crate::store::exec::settings::{ExecSettings, text};

/// Variables that are a login of their own.
const TOKENS: &[&str] = &["OP_SERVICE_ACCOUNT_TOKEN", "OP_CONNECT_TOKEN"];

pub const OP: ExecPreset = ExecPreset {
    id: "op",
    programs: &["op"],
    // `op signin` may print a session, which nothing here uses.
    login: &[],
    login_options: &[],
    of_terminal: &[("account", &["OP_ACCOUNT"])],
    about: "1Password, by its program `op`",
    example: "VAULT/ITEM/FIELD",
    needs: "`op` 2; `account`, or a token of a service account or of Connect in `env`",
    tested: "a program that answers as documented",
    settings: &[text("account", false)],
    variables: &[("OP_CACHE", "false")],
    exported: &[],
    silent: &[
        ("OP_BIOMETRIC_UNLOCK_ENABLED", "false"),
        ("OP_LOAD_DESKTOP_APP_SETTINGS", "false"),
    ],
    refused: &["OP_SESSION"],
    signs: &[
        (Sign::Says("rate limit exceeded"), Fault::Throttled),
        (Sign::Says("too many requests"), Fault::Throttled),
        (
            Sign::Says("authorization prompt dismissed"),
            Fault::Dismissed,
        ),
        (Sign::Says("not currently signed in"), Fault::SignedOut),
        (Sign::Says("account is not signed in"), Fault::SignedOut),
        (Sign::Says("no active session"), Fault::SignedOut),
        (Sign::Says("session expired"), Fault::SignedOut),
        (Sign::Says("no accounts configured"), Fault::SignedOut),
        (Sign::Says("add an account"), Fault::SignedOut),
        (Sign::Says("more than one item"), Fault::Ambiguous),
        (Sign::Says("does not have a field"), Fault::NoField),
        (Sign::Says("isn't a vault in this account"), Fault::NotFound),
        (Sign::Says("isn't an item"), Fault::NotFound),
        (Sign::Says("forbidden"), Fault::Denied),
    ],
    sign_in: "set `interactive = true` for the store to use the sign-in of the 1Password app, or give \
              it `OP_SERVICE_ACCOUNT_TOKEN` in `env`",
    check,
    check_place,
    before: no_file,
    plan,
    probe,
};

fn check(settings: ExecSettings<'_>) -> Result<(), String> {
    match (settings.text("account"), settings.sets(TOKENS)) {
        (None, false) => Err(
            "`account` is missing: without it, the last login would decide (or give it \
             `OP_SERVICE_ACCOUNT_TOKEN` or `OP_CONNECT_TOKEN` in `env`)"
                .to_owned(),
        ),
        (Some(_), true) => Err("`account` is not used with a token in `env`".to_owned()),
        _ => Ok(()),
    }
}

fn check_place(_: ExecSettings<'_>, place: &StorePlace) -> Result<(), String> {
    without_version(place)?;
    let parts = reference(place);
    let parts = parts.trim_start_matches("op://").split('/').count();
    if (3..=4).contains(&parts) {
        return Ok(());
    }
    Err("expected `VAULT/ITEM/FIELD` or `VAULT/ITEM/SECTION/FIELD`".to_owned())
}

/// A reference as 1Password writes it.
fn reference(place: &StorePlace) -> String {
    let path = &place.path;
    let start = if path.starts_with("op://") {
        ""
    } else {
        "op://"
    };
    let field = place.field.as_ref();
    let field = field.map_or_else(String::new, |field| format!("/{field}"));
    format!("{start}{path}{field}")
}

/// Whether a reference means itself in a template.
fn is_plain(reference: &str) -> bool {
    !reference.contains(['{', '}', '$', '"'])
}

fn account(store: &OpenedStore) -> Vec<OsString> {
    store.option("account", "--account")
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let references: Vec<_> = wanted.iter().map(reference).collect();
    let is_batch = wanted.len() > 1 && references.iter().all(|reference| is_plain(reference));
    match files::random_hex() {
        Ok(mark) if is_batch => vec![inject(store, &references, format!("<{mark}>"))],
        _ => reads(store, wanted),
    }
}

/// One `op read` for each value.
fn reads(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let read = |(n, place)| {
        let mut arguments = words(["read", "--no-newline"]);
        arguments.extend(account(store));
        arguments.push(OsString::from(reference(place)));
        ExecCall {
            // With `--no-newline` each line end is one of the value.
            read: Box::new(|answer, _| vec![answer::plain(answer.to_vec())]),
            ..ExecCall::raw(n, arguments)
        }
    };
    wanted.iter().enumerate().map(read).collect()
}

/// All values in a template, between marks that no value has.
fn inject(store: &OpenedStore, references: &[String], mark: String) -> ExecCall {
    let mut arguments = words(["inject"]);
    arguments.extend(account(store));
    let each = references.iter();
    let mut template = String::new();
    for reference in each {
        template.extend([&mark, "{{ ", reference, " }}"]);
    }
    template.extend([&mark, "\n"]);
    ExecCall {
        arguments,
        input: Some(Zeroizing::new(template.into_bytes())),
        answer_max: BATCH_MAX,
        wanted: (0..references.len()).collect(),
        read: Box::new(move |answer, places| between(answer, mark.as_bytes(), places.len())),
        apart: Some(reads),
    }
}

/// What is between the marks, if there are exactly as many parts as expected.
fn between(answer: &[u8], mark: &[u8], count: usize) -> Vec<ReadValue> {
    let finder = memchr::memmem::Finder::new(mark);
    let at: Vec<_> = finder.find_iter(answer).collect();
    let is_whole = at.len() == count + 1 && at.first() == Some(&0);
    if !is_whole {
        return vec![
            Err(Fault::Answer(
                "the answer has not one part for each reference"
            ));
            count
        ];
    }
    let starts = at.iter().map(|at| at + mark.len());
    let parts = starts.zip(at.iter().skip(1));
    parts
        .map(|(start, end)| answer::plain(answer.get(start..*end).unwrap_or_default().to_vec()))
        .collect()
}

/// `op whoami` is wrong where the app unlocks.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of presets")]
fn probe(store: &OpenedStore) -> Option<ExecProbe> {
    let mut arguments = words(["vault", "list", "--format", "json"]);
    arguments.extend(account(store));
    Some(ExecProbe {
        arguments,
        input: None,
        asks_store: true,
        read: |answer| {
            let vaults = answer::json(answer)?;
            let vaults = vaults
                .as_array()
                .ok_or(Fault::Answer("the answer is not a list"))?;
            let names = vaults
                .iter()
                .filter_map(|vault| at(vault, "/name").as_str());
            let names: Vec<_> = names.collect();
            Ok(vec![("vaults", names.join(", "))])
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_template() {
        let text = |answer: &str, count| -> Vec<_> {
            let found = between(answer.as_bytes(), b"<m>", count);
            let value = |found: ReadValue| found.map(|value| value.value.expose().to_vec());
            found.into_iter().map(value).collect()
        };
        assert_eq!(
            text("<m>a\n<m>b<m>\n", 2),
            [Ok(b"a\n".to_vec()), Ok(b"b".to_vec())]
        );
        assert_eq!(text("<m><m>\n", 1), [Ok(Vec::new())]);
        for answer in ["", "<m>a", "x<m>a<m>", "<m>a<m>b<m>"] {
            assert!(text(answer, 1)[0].is_err(), "{answer}");
        }
    }
}
