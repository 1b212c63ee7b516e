//! Doppler and Infisical, by their programs.
//!
//! Doppler gives all values in one answer. Infisical prints nothing for a missing one, and succeeds.

use crate::reference::StorePlace;
use crate::store::exec::answer::{self, at};
use crate::store::exec::fault::{BATCH_MAX, Fault, ReadValue, VALUE_MAX};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, path_only, without_field,
    without_version, words,
};
use crate::store::exec::settings::{ExecSettings, text};

pub const DOPPLER: ExecPreset = ExecPreset {
    id: "doppler",
    programs: &["doppler"],
    login: &["login"],
    login_options: &[],
    of_terminal: &[
        ("project", &["DOPPLER_PROJECT"]),
        ("config", &["DOPPLER_CONFIG"]),
    ],
    about: "Doppler, by its program `doppler`",
    example: "NAME",
    needs: "`doppler`; `DOPPLER_TOKEN` in `env`, or `project` and `config`",
    tested: "a program that answers as documented",
    settings: &[text("project", false), text("config", false)],
    variables: &[("DOPPLER_ENABLE_VERSION_CHECK", "false")],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[
        (
            Sign::Says("could not find requested secret"),
            Fault::NotFound,
        ),
        (Sign::Says("you must provide a token"), Fault::SignedOut),
        (Sign::Says("invalid service token"), Fault::SignedOut),
        (Sign::Says("invalid auth token"), Fault::SignedOut),
        (Sign::Says("token is expired"), Fault::SignedOut),
        (Sign::Says("does not have access"), Fault::Denied),
        (Sign::Says("rate limit"), Fault::Throttled),
    ],
    sign_in: "run `doppler login`, or store a service token and name it as `DOPPLER_TOKEN` in `env`",
    check: |settings| {
        let is_named = settings
            .text("project")
            .and(settings.text("config"))
            .is_some();
        if is_named || settings.sets(&["DOPPLER_TOKEN"]) {
            return Ok(());
        }
        Err("neither `DOPPLER_TOKEN` in `env` nor `project` and `config` are set".to_owned())
    },
    check_place: |_, place| {
        path_only(ExecSettings(&toml::Table::new()), place)?;
        is_name(&place.path)
    },
    before: no_file,
    plan: |store, wanted| {
        let mut call = doppler(store, wanted, 0);
        call.wanted = (0..wanted.len()).collect();
        call.apart = Some(|store, wanted| {
            let each = wanted.iter().enumerate();
            each.map(|(n, place)| doppler(store, std::slice::from_ref(place), n))
                .collect()
        });
        vec![call]
    },
    probe: |store| {
        let mut arguments = words(["secrets", "--only-names", "--json"]);
        arguments.extend(store.option("project", "-p"));
        arguments.extend(store.option("config", "-c"));
        Some(ExecProbe {
            arguments,
            input: None,
            asks_store: true,
            read: |answer| answer::json(answer).map(|_| Vec::new()),
        })
    },
};

pub const INFISICAL: ExecPreset = ExecPreset {
    id: "infisical",
    programs: &["infisical"],
    login: &["login"],
    login_options: &[("--domain", "domain")],
    of_terminal: &[],
    about: "Infisical, by its program `infisical`",
    example: "/FOLDER/NAME",
    needs: "`infisical`; `project`; `environment`; `INFISICAL_TOKEN` in `env`; `domain`",
    tested: "a program that answers as documented",
    settings: &[
        text("project", true),
        text("environment", true),
        text("domain", false),
    ],
    variables: &[("INFISICAL_DISABLE_UPDATE_CHECK", "true")],
    exported: &[("domain", "INFISICAL_API_URL")],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Says("not logged in"), Fault::SignedOut),
        (Sign::Says("must be logged in"), Fault::SignedOut),
        (Sign::Says("session has expired"), Fault::SignedOut),
        (Sign::Says("unauthorized"), Fault::SignedOut),
        (Sign::Says("status-code=401"), Fault::SignedOut),
        (Sign::Says("status-code=403"), Fault::Denied),
        (Sign::Says("forbidden"), Fault::Denied),
        (Sign::Says("status-code=404"), Fault::NotFound),
        (Sign::Says("status-code=429"), Fault::Throttled),
        (Sign::Says("rate limit"), Fault::Throttled),
    ],
    sign_in: "run `infisical login`, or store a token and name it as `INFISICAL_TOKEN` in `env`",
    check: no_rules,
    check_place: |_, place| {
        without_field(place)?;
        without_version(place)?;
        is_name(place.path.rsplit('/').next().unwrap_or_default())
    },
    before: no_file,
    plan: plan_infisical,
    probe: |_| {
        Some(ExecProbe {
            arguments: words(["--version"]),
            input: None,
            asks_store: false,
            read: |answer| {
                let text = String::from_utf8_lossy(answer);
                let version = text.split_whitespace().last().unwrap_or_default();
                Ok(vec![("infisical", version.to_owned())])
            },
        })
    },
};

fn is_name(name: &str) -> Result<(), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(is_part) {
        return Ok(());
    }
    Err("expected a name of letters, digits and `_`".to_owned())
}

fn doppler(store: &OpenedStore, places: &[StorePlace], position: usize) -> ExecCall {
    let mut arguments = words(["secrets", "get"]);
    arguments.extend(places.iter().map(|place| (&place.path).into()));
    arguments.push("--json".into());
    arguments.extend(store.option("project", "-p"));
    arguments.extend(store.option("config", "-c"));
    let mut call = ExecCall::raw(position, arguments);
    call.answer_max = BATCH_MAX;
    call.read = Box::new(|answer, places| {
        let all = answer::json(answer);
        let find = |place: &&StorePlace| {
            let all = all.as_ref().map_err(|fault| *fault)?;
            let found = all.get(&place.path).ok_or(Fault::NotFound)?;
            match at(found, "/computed").as_str() {
                Some(text) => answer::plain(text.as_bytes().to_vec()),
                // Restricted: it can be written, but not read.
                None => Err(Fault::Denied),
            }
        };
        places.iter().map(find).collect()
    });
    call
}

fn plan_infisical(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let set = |name| store.settings().text(name).unwrap_or_default();
    let arguments = |place: &StorePlace| {
        let (folder, name) = place.path.rsplit_once('/').unwrap_or(("", &place.path));
        let folder = folder.trim_start_matches('/');
        words([
            "secrets",
            "get",
            name,
            "--plain",
            "--silent",
            &format!("--projectId={}", set("project")),
            &format!("--env={}", set("environment")),
            &format!("--path=/{folder}"),
        ])
    };
    grouped(wanted, VALUE_MAX + 2, arguments, read_infisical)
}

fn read_infisical(answer: &[u8], _: &StorePlace) -> ReadValue {
    match answer::without_line_end(answer) {
        // An empty value is an empty line.
        b"" if answer.is_empty() => Err(Fault::NotFound),
        b"*not found*" => Err(Fault::NotFound),
        value => answer::plain(value.to_vec()),
    }
}
