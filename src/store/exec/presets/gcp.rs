//! Google Cloud Secret Manager, by `gcloud`.
//!
//! The value is read in base64: as text, bytes that are not UTF-8 are lost.

use crate::reference::StorePlace;
use crate::store::exec::answer;
use crate::store::exec::fault::{Fault, ReadValue, VALUE_MAX};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, words,
};
use crate::store::exec::settings::{ExecSettings, text};

pub const GCP: ExecPreset = ExecPreset {
    id: "gcp",
    programs: &["gcloud"],
    login: &["auth", "login"],
    login_options: &[],
    of_terminal: &[(
        "project",
        &["CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT"],
    )],
    about: "Google Cloud Secret Manager, by `gcloud`",
    example: "SECRET",
    needs: "`gcloud`; `project`; `account`",
    tested: "a program that answers as documented",
    settings: &[text("project", true), text("account", false)],
    variables: &[
        ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1"),
        ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true"),
        ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true"),
    ],
    exported: &[
        ("project", "CLOUDSDK_CORE_PROJECT"),
        ("account", "CLOUDSDK_CORE_ACCOUNT"),
    ],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Says("destroyed state"), Fault::Deleted),
        (Sign::Says("unauthenticated"), Fault::SignedOut),
        (Sign::Says("reauthentication"), Fault::SignedOut),
        (Sign::Says("active account selected"), Fault::SignedOut),
        (Sign::Says("invalid_grant"), Fault::SignedOut),
        (Sign::Says("not_found"), Fault::NotFound),
        (Sign::Says("permission_denied"), Fault::Denied),
        (Sign::Says("disabled state"), Fault::Denied),
        (Sign::Says("resource_exhausted"), Fault::Throttled),
        (Sign::Says("unavailable:"), Fault::Unavailable),
    ],
    sign_in: "run `gcloud auth login`",
    check: no_rules,
    check_place,
    before: no_file,
    plan,
    probe: |_| {
        Some(ExecProbe {
            arguments: words([
                "auth",
                "list",
                "--filter=status:ACTIVE",
                "--format=value(account)",
            ]),
            input: None,
            asks_store: true,
            read: |answer| {
                let text = String::from_utf8_lossy(answer);
                match text.trim() {
                    "" => Err(Fault::SignedOut),
                    account => Ok(vec![("account", account.to_owned())]),
                }
            },
        })
    },
};

/// The project, name and version in a path such as `projects/P/secrets/S/versions/V`.
fn parts(path: &str) -> Option<(Option<&str>, &str, Option<&str>)> {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        [name] => Some((None, name, None)),
        ["projects", project, "secrets", name] => Some((Some(project), name, None)),
        ["projects", project, "secrets", name, "versions", version] => {
            Some((Some(project), name, Some(version)))
        }
        _ => None,
    }
}

fn check_place(_: ExecSettings<'_>, place: &StorePlace) -> Result<(), String> {
    match parts(&place.path) {
        Some((_, _, Some(_))) if place.version.is_some() => {
            Err("its version is in the path and after `?version=`".to_owned())
        }
        Some((project, ..)) if project.is_none_or(|project| !project.starts_with('-')) => Ok(()),
        _ => Err("expected `SECRET` or `projects/PROJECT/secrets/SECRET`".to_owned()),
    }
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let own = store.settings().text("project").unwrap_or_default();
    let arguments = |place: &StorePlace| {
        let (project, name, version) = parts(&place.path).unwrap_or((None, &place.path, None));
        let project = project.unwrap_or(own);
        let version = place.version.as_deref().or(version).unwrap_or("latest");
        words([
            "secrets",
            "versions",
            "access",
            version,
            &format!("--secret={name}"),
            &format!("--project={project}"),
            "--format=get(payload.data)",
        ])
    };
    grouped(wanted, 2 * VALUE_MAX, arguments, read)
}

fn read(answer: &[u8], place: &StorePlace) -> ReadValue {
    if answer.is_empty() {
        return Err(Fault::Answer("the answer is empty"));
    }
    let text = str::from_utf8(answer).map_err(|_| Fault::Answer("the answer is not base64"))?;
    let value = answer::plain(answer::base64(text.trim())?)?;
    answer::with_field(value, place.field.as_deref())
}
