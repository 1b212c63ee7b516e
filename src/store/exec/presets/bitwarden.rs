//! Bitwarden: Secrets Manager by `bws`, and the vault of a person by `bw`.
//!
//! Both are asked by id: `bws` has no search by name, and the search of `bw` takes parts of names.

use std::ffi::OsString;

use serde_json::Value;

use crate::reference::StorePlace;
use crate::store::exec::answer::{self, at};
use crate::store::exec::fault::{BATCH_MAX, Fault, ReadValue};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, without_version, words,
};
use crate::store::exec::settings::text;

pub const BWS: ExecPreset = ExecPreset {
    id: "bws",
    programs: &["bws"],
    login: &[],
    login_options: &[],
    of_terminal: &[],
    about: "Bitwarden Secrets Manager, by its program `bws`",
    example: "382580ab-1368-4e85-bfa3-b02e01400c9f",
    needs: "`bws`; `BWS_ACCESS_TOKEN` in `env`; `project`",
    tested: "a program that answers as documented",
    settings: &[text("project", false)],
    variables: &[],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Says("missing access token"), Fault::SignedOut),
        (Sign::Says("access token is not"), Fault::SignedOut),
        (Sign::Says("401 unauthorized"), Fault::SignedOut),
        (Sign::Says("invalid_client"), Fault::SignedOut),
        (Sign::Says("429 too many"), Fault::Throttled),
        (
            Sign::Says("not found or is not accessible"),
            Fault::NotFound,
        ),
        (Sign::Says("404 not found"), Fault::NotFound),
        (Sign::Says("403 forbidden"), Fault::Denied),
    ],
    sign_in: "store a valid access token, and name it as `BWS_ACCESS_TOKEN` in `env`",
    check: |settings| {
        if settings.sets(&["BWS_ACCESS_TOKEN"]) {
            return Ok(());
        }
        Err("`env` has no `BWS_ACCESS_TOKEN`".to_owned())
    },
    check_place: |_, place| {
        without_version(place)?;
        is_id(&place.path)
    },
    before: no_file,
    plan: plan_bws,
    probe: |_| {
        Some(ExecProbe {
            arguments: words(["--color", "no", "project", "list", "-o", "json"]),
            input: None,
            asks_store: true,
            read: |answer| {
                let projects = answer::json(answer)?;
                let projects = projects.as_array();
                let projects = projects.ok_or(Fault::Answer("the answer is not a list"))?;
                let names = projects
                    .iter()
                    .filter_map(|project| at(project, "/name").as_str());
                Ok(vec![("projects", names.collect::<Vec<_>>().join(", "))])
            },
        })
    },
};

pub const BW: ExecPreset = ExecPreset {
    id: "bw",
    programs: &["bw"],
    login: &["login"],
    login_options: &[],
    of_terminal: &[],
    about: "the vault of a person in Bitwarden, by its program `bw`",
    example: "9b6d3d1c-1f1e-4d2b-8f0a-b02e01400c9f#password",
    needs: "`bw`; `BW_SESSION` in `env`, from `bw unlock`",
    tested: "bw without a login; else a program that answers as documented",
    settings: &[],
    variables: &[],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Prints("you are not logged in"), Fault::SignedOut),
        (Sign::Prints("vault is locked"), Fault::Locked),
        (Sign::Prints("more than one result"), Fault::Ambiguous),
        (Sign::Prints("\"not found"), Fault::NotFound),
        (Sign::Prints("rate limit"), Fault::Throttled),
    ],
    sign_in: "run `bw login` and `bw unlock`, and store the session as the secret that `BW_SESSION` in `env` names",
    check: no_rules,
    check_place: |_, place| {
        without_version(place)?;
        is_id(&place.path)
    },
    before: no_file,
    plan: |_, wanted| {
        let arguments = |place: &StorePlace| {
            words(["--nointeraction", "--response", "get", "item", &place.path])
        };
        grouped(wanted, BATCH_MAX, arguments, read_item)
    },
    probe: |_| {
        Some(ExecProbe {
            arguments: words(["--nointeraction", "--response", "status"]),
            input: None,
            asks_store: true,
            read: |answer| {
                let answer = answer::json(answer)?;
                let about = at(&answer, "/data/template");
                match at(about, "/status").as_str() {
                    Some("unlocked") => {}
                    Some("locked") => return Err(Fault::Locked),
                    Some("unauthenticated") => return Err(Fault::SignedOut),
                    _ => return Err(Fault::Answer("the answer has no status")),
                }
                let account = at(about, "/userEmail").as_str().unwrap_or_default();
                Ok(vec![("account", account.to_owned())])
            },
        })
    },
};

fn is_id(text: &str) -> Result<(), String> {
    let is_part = |part: &str, count| {
        part.len() == count && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let parts: Vec<_> = text.split('-').collect();
    let lengths = [8, 4, 4, 4, 12];
    let fits = parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, count)| is_part(part, count));
    if fits {
        return Ok(());
    }
    Err(
        "expected an id such as `382580ab-1368-4e85-bfa3-b02e01400c9f`: names can be ambiguous"
            .to_owned(),
    )
}

fn plan_bws(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let start = ["--color", "no", "secret"].map(OsString::from);
    if wanted.len() < 2 {
        let arguments = |place: &StorePlace| {
            let rest = words(["get", &place.path, "-o", "json"]);
            start.iter().cloned().chain(rest).collect()
        };
        return grouped(wanted, BATCH_MAX, arguments, |answer, place| {
            read_secret(&answer::json(answer)?, place)
        });
    }
    let mut arguments = start.to_vec();
    arguments.push("list".into());
    arguments.extend(store.settings().text("project").map(OsString::from));
    arguments.extend(words(["-o", "json"]));
    let mut call = ExecCall::raw(0, arguments);
    call.wanted = (0..wanted.len()).collect();
    call.answer_max = BATCH_MAX;
    call.read = Box::new(|answer, places| {
        let list = answer::json(answer);
        let find = |place: &&StorePlace| {
            let list = list.as_ref().map_err(|fault| *fault)?;
            let list = list
                .as_array()
                .ok_or(Fault::Answer("the answer is not a list"))?;
            let same = |secret: &&Value| {
                let id = at(secret, "/id").as_str();
                id.is_some_and(|id| id.eq_ignore_ascii_case(&place.path))
            };
            read_secret(list.iter().find(same).ok_or(Fault::NotFound)?, place)
        };
        places.iter().map(find).collect()
    });
    vec![call]
}

fn read_secret(secret: &Value, place: &StorePlace) -> ReadValue {
    let value = at(secret, "/value").as_str();
    let value = value.ok_or(Fault::Answer("the answer has no `value`"))?;
    let mut found = answer::plain(value.as_bytes().to_vec())?;
    found.version = at(secret, "/revisionDate").as_str().map(str::to_owned);
    answer::with_field(found, place.field.as_deref())
}

/// The password of an item, one of its own fields, or another part by its keys.
fn read_item(answer: &[u8], place: &StorePlace) -> ReadValue {
    let answer = answer::json(answer)?;
    let item = at(&answer, "/data");
    if at(&answer, "/success") != &Value::Bool(true) || !item.is_object() {
        return Err(Fault::Answer("the answer is not an item"));
    }
    let field = place.field.as_deref().unwrap_or("password");
    let own = || {
        let fields = at(item, "/fields").as_array().into_iter().flatten();
        let mut named = fields.filter(|one| at(one, "/name").as_str() == Some(field));
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => Err(Fault::Ambiguous),
            (Some(one), None) => Ok(at(one, "/value")),
            (None, _) => answer::part(item, field),
        }
    };
    let found = match field {
        "password" | "username" => at(at(item, "/login"), &format!("/{field}")),
        "notes" => at(item, "/notes"),
        _ => own()?,
    };
    let mut value = answer::scalar(found)?;
    value.version = at(item, "/revisionDate").as_str().map(str::to_owned);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items() {
        let item = br#"{"success":true,"data":{"object":"item","notes":"n","login":{"username":"ana","password":"p"},
            "fields":[{"name":"api","value":"k"},{"name":"two","value":"a"},{"name":"two","value":"b"}],
            "sshKey":{"privateKey":"ssh"}}}"#;
        let of = |field: &str| {
            let place = StorePlace::new(&format!("x{field}")).unwrap();
            read_item(item, &place).map(|value| value.value.expose().to_vec())
        };
        for (field, expected) in [
            ("", "p"),
            ("#username", "ana"),
            ("#notes", "n"),
            ("#api", "k"),
            ("#sshKey.privateKey", "ssh"),
        ] {
            assert_eq!(of(field), Ok(expected.into()), "{field}");
        }
        assert_eq!(of("#two"), Err(Fault::Ambiguous));
        assert_eq!(of("#none"), Err(Fault::NoField));
        let place = StorePlace::new("x").unwrap();
        assert!(read_item(br#"{"success":false,"message":"?"}"#, &place).is_err());
        assert!(is_id("382580ab-1368-4e85-bfa3-b02e01400c9f").is_ok());
        assert!(is_id("github").is_err());
    }
}
