//! What a failed run means, and the error that says so.
//!
//! Invariant: an error has nothing of what the program wrote: it may have written a value.

use super::fault::Fault;
use super::opened::OpenedStore;
use super::own;
use super::preset::{ExecPreset, OFFLINE, Sign};
use crate::config::stores::DIALOG_LIMIT;
use crate::error::{Code, Error};
use crate::reference::StorePlace;
use crate::sys::captured::{Captured, CapturedEnd};

/// How much of what the program wrote to stdout is looked at (bytes).
const LOOKED_AT: usize = 4096;

/// What a run that gave no value means.
pub fn classify(preset: &ExecPreset, store: &OpenedStore, run: &Captured, code: i32) -> Fault {
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let said = lower(&run.stderr);
    let start = run.stdout.get(..LOOKED_AT).unwrap_or(&run.stdout);
    let printed = lower(start);
    let is_sign = |sign: &Sign| match sign {
        Sign::Exit(expected) => *expected == code,
        Sign::Says(text) => said.contains(text),
        Sign::Prints(text) => printed.contains(text),
    };
    let own = store
        .settings()
        .numbers("not_found")
        .any(|number| number == i64::from(code));
    if own {
        return Fault::NotFound;
    }
    let known = preset.signs.iter().find(|(sign, _)| is_sign(sign));
    match known {
        Some((_, fault)) => *fault,
        None if OFFLINE.iter().any(|text| said.contains(text)) => Fault::Unavailable,
        None => Fault::Other,
    }
}

/// The error for a value, or for the store if there is no place.
pub fn error(
    preset: &ExecPreset,
    store: &OpenedStore,
    fault: Fault,
    place: Option<&StorePlace>,
) -> Error {
    let name = &store.name;
    let what = match place {
        // A reference of 1Password names no store.
        Some(place) if place.path.starts_with("op://") => format!("cannot read `{place}`"),
        Some(place) => format!("cannot read `{name}:{place}`"),
        None => format!("cannot use store `{name}`"),
    };
    let program = store.program.display();
    let (code, cause) = match fault {
        Fault::NotFound => (
            Code::SecretNotFound,
            "the store has no such value".to_owned(),
        ),
        Fault::NoField => (
            Code::SecretNotFound,
            "the item has no such field".to_owned(),
        ),
        Fault::Deleted => (Code::SecretDeleted, "the value was deleted".to_owned()),
        Fault::Ambiguous => (
            Code::SecretAmbiguous,
            "the store has several items of this name".to_owned(),
        ),
        Fault::SignedOut => (
            Code::StoreSignedOut,
            format!("`{program}` has no valid login"),
        ),
        Fault::Locked => (
            Code::StoreLocked,
            format!("`{program}` cannot decrypt it without being unlocked"),
        ),
        Fault::Denied => (Code::StoreDenied, "the store refused access".to_owned()),
        Fault::Dismissed => (Code::StoreDenied, "its dialog was dismissed".to_owned()),
        Fault::Throttled => (
            Code::StoreThrottled,
            "the store was asked too often".to_owned(),
        ),
        Fault::Unavailable => (
            Code::StoreUnavailable,
            format!("`{program}` does not reach its service"),
        ),
        Fault::Absent => (
            Code::StoreAbsent,
            match place_setting(store) {
                Some((_, path)) => format!("`{path}` does not exist"),
                None => "it was not set up here: its folder does not exist".to_owned(),
            },
        ),
        Fault::Mint => (
            Code::ReferenceIsMint,
            "the answer is a short-lived credential, of which each read makes a new one".to_owned(),
        ),
        Fault::MintRefused => (
            Code::MintRefused,
            "the store does not make such a credential".to_owned(),
        ),
        Fault::OtherProgram => (
            Code::StoreProgramRefused,
            format!("`{program}` is another program of that name"),
        ),
        Fault::Answer(why) => (Code::StoreAnswerInvalid, why.to_owned()),
        Fault::Other => (Code::StoreFailed, format!("`{program}` failed")),
    };
    Error::new(code, what)
        .of_store(name)
        .cause(cause)
        .hint(hint(preset, store, fault))
}

fn hint(preset: &ExecPreset, store: &OpenedStore, fault: Fault) -> String {
    let name = &store.name;
    match fault {
        Fault::NotFound | Fault::NoField | Fault::Deleted => {
            format!("correct the reference, e.g. `{name}:{}`", preset.example)
        }
        Fault::Ambiguous => "refer to the item by its id".to_owned(),
        Fault::SignedOut | Fault::Locked => preset.sign_in.to_owned(),
        Fault::Denied => "give the login of the store access to this value".to_owned(),
        Fault::Dismissed => "try again, and confirm the dialog of the store".to_owned(),
        Fault::Throttled => "wait; names cost more requests than IDs in some stores".to_owned(),
        Fault::Unavailable => {
            "check the network; servers use only network settings that `mcpwrap config network` approved"
                .to_owned()
        }
        Fault::Absent => match (place_setting(store), preset.programs.first()) {
            (Some((setting, _)), _) => format!("correct `{setting}` of {}", store.place),
            (None, Some(program)) => {
                format!("run `{program} init KEY` to create it, or correct {}", store.place)
            }
            (None, None) => format!("correct {}", store.place),
        },
        Fault::OtherProgram => format!("correct {}", store.place),
        Fault::Mint => "use `[mint.NAME]` in the policy, and refer to it with `mint:NAME`".to_owned(),
        Fault::MintRefused | Fault::Answer(_) | Fault::Other => {
            let says = if is_checked(preset, store) { "its program says" } else { "it says" };
            format!("{} to see what {says}", asking(preset, store))
        }
    }
}

/// The setting that says where the store is, with its path.
fn place_setting(store: &OpenedStore) -> Option<(&'static str, &str)> {
    let mut settings = ["database", "file", "directory"].into_iter();
    settings.find_map(|name| Some((name, store.settings().text(name)?)))
}

/// Whether `store check` starts the program.
fn is_checked(preset: &ExecPreset, store: &OpenedStore) -> bool {
    (preset.probe)(store).is_some() || own::speaks(store.settings())
}

/// What the user runs to see what the program does.
fn asking(preset: &ExecPreset, store: &OpenedStore) -> String {
    if is_checked(preset, store) {
        format!("run `mcpwrap store check {}`", store.name)
    } else {
        format!("run `{}` yourself", store.program.display())
    }
}

/// The error of a run that was ended, or that ended by a signal.
pub fn broken(preset: &ExecPreset, store: &OpenedStore, end: CapturedEnd) -> Error {
    let name = &store.name;
    let asking = asking(preset, store);
    let program = store.program.display();
    let error = |code, cause: String| {
        Error::new(code, format!("cannot use store `{name}`"))
            .of_store(name)
            .cause(cause)
    };
    match end {
        CapturedEnd::Late if store.asks_user() => error(
            Code::StoreDenied,
            format!(
                "its dialog was not confirmed within {} s",
                DIALOG_LIMIT.as_secs()
            ),
        )
        .hint("try again, and confirm the dialog of the store"),
        CapturedEnd::Late => error(
            Code::StoreTimeout,
            format!("`{program}` did not end before the deadline"),
        )
        .hint(format!(
            "{asking} to see whether it waits for you; raise `deadline` if it is slow"
        )),
        CapturedEnd::TooLong => error(
            Code::StoreAnswerInvalid,
            format!("the answer of `{program}` is too long"),
        )
        .hint("a value has at most 64 KiB"),
        CapturedEnd::Signal(number) => error(
            Code::StoreFailed,
            format!("`{program}` was ended by signal {number}"),
        )
        .hint(format!("{asking} to see why")),
        CapturedEnd::Exit(number) => error(
            Code::StoreFailed,
            format!("`{program}` ended with exit code {number}"),
        )
        .hint(format!("{asking} to see why")),
    }
}
