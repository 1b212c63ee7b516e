//! `type = "exec"`: a program of the user that prints one value, or JSON.
//!
//! Invariant: parts of a reference are whole arguments. None of them can be taken for an option, unless the
//! definition has `--` before it.

use std::ffi::OsString;

use super::answer;
use super::fault::{BATCH_MAX, ReadValue, VALUE_MAX};
use super::opened::OpenedStore;
use super::preset::{ExecCall, ExecPreset, ExecProbe, grouped, no_file};
use super::protocol::PROTOCOL;
use super::settings::{ExecSetting, ExecSettings, SettingKind};
use crate::config::StoreDefinition;
use crate::reference::StorePlace;

const PATH: &str = "{path}";
const FIELD: &str = "{field}";
const VERSION: &str = "{version}";

pub const EXEC: ExecPreset = ExecPreset {
    id: "exec",
    programs: &[],
    login: &[],
    login_options: &[],
    of_terminal: &[],
    about: "a program of your own",
    example: "PATH",
    needs: "`program`; `args` with `{path}`; `output`: `raw`, `json` or `mcpwrap-store-v1`; `not_found`: exit codes",
    tested: "programs of the tests",
    settings: &[
        ExecSetting {
            name: "args",
            kind: SettingKind::Other,
            is_required: false,
        },
        ExecSetting {
            name: "output",
            kind: SettingKind::Other,
            is_required: false,
        },
        ExecSetting {
            name: "not_found",
            kind: SettingKind::Other,
            is_required: false,
        },
    ],
    variables: &[],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[],
    sign_in: "sign in to the store as its program requires",
    check,
    check_place,
    before: no_file,
    plan,
    probe,
};

/// Whether a reference may begin with `-`: only behind `--`.
pub fn takes_any(definition: &StoreDefinition) -> bool {
    let settings = ExecSettings(&definition.settings);
    if definition.kind != EXEC.id {
        return false;
    }
    if speaks(settings) {
        return true;
    }
    let before = settings.texts("args").take_while(|word| !is_place(word));
    before.into_iter().any(|word| word == "--")
}

/// Whether the program is asked by the protocol.
pub fn speaks(settings: ExecSettings<'_>) -> bool {
    settings.text("output") == Some(PROTOCOL)
}

fn is_place(word: &str) -> bool {
    [PATH, FIELD, VERSION].contains(&word)
}

fn check(settings: ExecSettings<'_>) -> Result<(), String> {
    let output = settings.0.get("output").map(|output| output.as_str());
    if !matches!(output, None | Some(Some("raw" | "json" | PROTOCOL))) {
        return Err(format!(
            "expected `raw`, `json` or `{PROTOCOL}` for `output`"
        ));
    }
    let list = |name: &str| settings.0.get(name).map(|list| list.as_array());
    let args = match list("args") {
        Some(Some(list)) => list.as_slice(),
        None => &[],
        Some(None) => return Err("expected a list of texts for `args`".to_owned()),
    };
    for word in args {
        let word = word.as_str().ok_or("expected a list of texts for `args`")?;
        if word.contains('\0') {
            return Err("`args` has a text with a NUL byte".to_owned());
        }
        if word.starts_with("secret:") {
            return Err("`args` are visible to other programs: put secrets into `env`".to_owned());
        }
        let holds = [PATH, FIELD, VERSION]
            .iter()
            .find(|place| word.contains(**place));
        if let Some(place) = holds.filter(|_| !is_place(word)) {
            return Err(format!("`{place}` has to be a whole argument in `args`"));
        }
    }
    let mut places = settings.texts("args").filter(|word| is_place(word));
    if speaks(settings) {
        if let Some(place) = places.next() {
            return Err(format!(
                "`args` has `{place}`, which the protocol asks for on stdin"
            ));
        }
    } else if !places.any(|word| word == PATH) {
        return Err("`args` has no `{path}`".to_owned());
    }
    let codes = match list("not_found") {
        Some(Some(list)) => list.as_slice(),
        None => &[],
        Some(None) => return Err("expected a list of exit codes for `not_found`".to_owned()),
    };
    let is_code = |code: &toml::Value| matches!(code.as_integer(), Some(1..=255));
    if codes.iter().all(is_code) {
        return Ok(());
    }
    Err("expected exit codes from 1 to 255 for `not_found`".to_owned())
}

fn check_place(settings: ExecSettings<'_>, place: &StorePlace) -> Result<(), String> {
    if speaks(settings) {
        return Ok(());
    }
    let takes = |part: &str| settings.texts("args").any(|word| word == part);
    let is_json = settings.text("output") == Some("json");
    match (&place.field, takes(FIELD)) {
        (Some(_), false) if !is_json => {
            return Err("its program takes no `#FIELD`: `args` has no `{field}`".to_owned());
        }
        (None, true) => return Err("its program needs a `#FIELD`".to_owned()),
        _ => {}
    }
    match (&place.version, takes(VERSION)) {
        (Some(_), false) => {
            Err("its program takes no `?version=`: `args` has no `{version}`".to_owned())
        }
        (None, true) => Err("its program needs a `?version=`".to_owned()),
        _ => Ok(()),
    }
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let settings = store.settings();
    let arguments = |place: &StorePlace| arguments(settings, place);
    if settings.text("output") == Some("json") {
        return grouped(wanted, BATCH_MAX, arguments, read_json);
    }
    grouped(wanted, VALUE_MAX + 2, arguments, |answer, _| {
        answer::raw(answer)
    })
}

fn arguments(settings: ExecSettings<'_>, place: &StorePlace) -> Vec<OsString> {
    let fill = |word: &str| match word {
        PATH => place.path.clone(),
        FIELD => place.field.clone().unwrap_or_default(),
        VERSION => place.version.clone().unwrap_or_default(),
        word => word.to_owned(),
    };
    settings
        .texts("args")
        .map(fill)
        .map(OsString::from)
        .collect()
}

fn read_json(answer: &[u8], place: &StorePlace) -> ReadValue {
    let document = answer::json(answer)?;
    match &place.field {
        Some(field) => answer::scalar(answer::part(&document, field)?),
        None => answer::scalar(&document),
    }
}

/// Nothing can be asked without a path: only the program itself is checked.
fn probe(_: &OpenedStore) -> Option<ExecProbe> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let table = format!("program = \"/bin/x\"\n{text}").parse().unwrap();
        super::super::check(&StoreDefinition::new("exec", table))
    }

    #[test]
    fn settings() {
        checked("args = [\"{path}\"]\nenv = { A_TOKEN = \"secret:a\", B = \"c\" }").unwrap();
        for (text, expected) in [
            ("", "no `{path}`"),
            ("args = \"{path}\"", "list of texts"),
            ("args = [\"--name={path}\"]", "whole argument"),
            ("args = [\"{path}\", \"secret:a\"]", "visible"),
            ("args = [\"{path}\"]\noutput = \"xml\"", "`raw`, `json` or"),
            (
                "args = [\"{path}\"]\noutput = \"mcpwrap-store-v1\"",
                "on stdin",
            ),
            ("args = [\"{path}\"]\nnot_found = [0]", "1 to 255"),
            (
                "args = [\"{path}\"]\nenv = { A_TOKEN = \"hunter2\" }",
                "`env.A_TOKEN`",
            ),
            (
                "args = [\"{path}\"]\nenv = { A = \"secret:a//b\" }",
                "`env.A`",
            ),
            (
                "args = [\"{path}\"]\nenv = { \"A=\" = \"x\" }",
                "no variable",
            ),
            (
                "args = [\"{path}\"]\nacount = \"x\"",
                "unknown setting `acount`",
            ),
        ] {
            let error = checked(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"));
        }
        let table = "program = \"bin/x\"\nargs = [\"{path}\"]".parse().unwrap();
        let relative = StoreDefinition::new("exec", table);
        let error = super::super::check(&relative).unwrap_err();
        assert!(error.contains("absolute"), "{error}");
    }

    #[test]
    fn places() {
        let place = |args: &str, place: &str| {
            let table = format!("program = \"/bin/x\"\n{args}").parse().unwrap();
            let definition = StoreDefinition::new("exec", table);
            super::super::check_place(&definition, &StorePlace::new(place).unwrap())
        };
        let plain = "args = [\"{path}\"]";
        place(plain, "a/b").unwrap();
        place("args = [\"x\", \"--\", \"{path}\"]", "-a").unwrap();
        place("args = [\"{path}\"]\noutput = \"json\"", "a#b").unwrap();
        place("args = [\"{path}\", \"{version}\"]", "a?version=3").unwrap();
        for (args, wanted, expected) in [
            (plain, "-a", "begins with `-`"),
            ("args = [\"{path}\", \"--\"]", "-a", "begins with `-`"),
            (plain, "a#b", "`#FIELD`"),
            (plain, "a?version=1", "`?version=`"),
            ("args = [\"{path}\", \"{field}\"]", "a", "needs a `#FIELD`"),
            (
                "args = [\"{path}\", \"{field}\"]",
                "a#-b",
                "the field begins",
            ),
        ] {
            let error = place(args, wanted).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
