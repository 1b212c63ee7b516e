//! AWS Secrets Manager and the Parameter Store of AWS Systems Manager, by `aws`.
//!
//! Only JSON is read: as text, a binary value is the word `None`. Missing parameters are a list in a successful
//! answer. One attempt: offline, three would take longer than the deadline.

use std::ffi::OsString;

use serde_json::Value;

use crate::reference::StorePlace;
use crate::store::exec::answer::{self, at};
use crate::store::exec::fault::{BATCH_MAX, Fault, ReadValue};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, words,
};
use crate::store::exec::settings::{ExecSetting, text};

/// How many values one request may have.
const SECRETS_MAX: usize = 20;
const PARAMETERS_MAX: usize = 10;
const SETTINGS: &[ExecSetting] = &[text("region", true), text("profile", false)];
const VARIABLES: &[(&str, &str)] = &[
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_MAX_ATTEMPTS", "1"),
    ("AWS_PAGER", ""),
    ("AWS_CLI_AUTO_PROMPT", "off"),
];
const EXPORTED: &[(&str, &str)] = &[
    ("region", "AWS_REGION"),
    ("region", "AWS_DEFAULT_REGION"),
    ("profile", "AWS_PROFILE"),
];
const SIGNS: &[(Sign, Fault)] = &[
    (Sign::Says("marked for deletion"), Fault::Deleted),
    (Sign::Says("marked deleted"), Fault::Deleted),
    (Sign::Says("(resourcenotfoundexception)"), Fault::NotFound),
    (Sign::Says("(parameternotfound)"), Fault::NotFound),
    (Sign::Says("(parameterversionnotfound)"), Fault::NotFound),
    (Sign::Says("(accessdenied"), Fault::Denied),
    (Sign::Says("(expiredtoken"), Fault::SignedOut),
    (
        Sign::Says("(unrecognizedclientexception)"),
        Fault::SignedOut,
    ),
    (Sign::Says("(invalidclienttokenid)"), Fault::SignedOut),
    (Sign::Says("(invalidsignatureexception)"), Fault::SignedOut),
    (Sign::Says("(signaturedoesnotmatch)"), Fault::SignedOut),
    (Sign::Says("unable to locate credentials"), Fault::SignedOut),
    (Sign::Says("partial credentials found"), Fault::SignedOut),
    (Sign::Says("config profile"), Fault::SignedOut),
    (Sign::Says("sso session"), Fault::SignedOut),
    (Sign::Says("token has expired"), Fault::SignedOut),
    (Sign::Says("error when retrieving token"), Fault::SignedOut),
    (Sign::Says("(throttl"), Fault::Throttled),
    (Sign::Says("(toomanyrequests"), Fault::Throttled),
    (Sign::Says("rate exceeded"), Fault::Throttled),
];
const SIGN_IN: &str =
    "run `aws sso login` or `aws configure` for the profile of the store, or give it keys in `env`";

pub const AWS_SM: ExecPreset = ExecPreset {
    id: "aws-sm",
    programs: &["aws"],
    login: &["sso", "login"],
    login_options: &[("--profile", "profile")],
    of_terminal: &[
        ("profile", &["AWS_PROFILE"]),
        ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ],
    about: "AWS Secrets Manager, by `aws`",
    example: "prod/github#token",
    needs: "`aws`; `region`; `profile`, or keys in `env`",
    tested: "aws with moto",
    settings: SETTINGS,
    variables: VARIABLES,
    exported: EXPORTED,
    silent: &[],
    refused: &[],
    signs: SIGNS,
    sign_in: SIGN_IN,
    check: no_rules,
    check_place: |_, _| Ok(()),
    before: no_file,
    plan: plan_secrets,
    probe,
};

pub const AWS_SSM: ExecPreset = ExecPreset {
    id: "aws-ssm",
    about: "the Parameter Store of AWS Systems Manager, by `aws`",
    example: "/prod/github/token",
    plan: plan_parameters,
    ..AWS_SM
};

fn plan_secrets(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let mut ids: Vec<&str> = wanted.iter().map(|place| place.path.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let has_version = wanted.iter().any(|place| place.version.is_some());
    if ids.len() < 2 || ids.len() > SECRETS_MAX || has_version {
        return secrets_apart(store, wanted);
    }
    let mut arguments = words([
        "secretsmanager",
        "batch-get-secret-value",
        "--secret-id-list",
    ]);
    arguments.extend(ids.into_iter().map(OsString::from));
    arguments.extend(words(["--output", "json"]));
    let mut call = ExecCall::raw(0, arguments);
    call.wanted = (0..wanted.len()).collect();
    call.answer_max = BATCH_MAX;
    // A login may be allowed to read each value, but not several at once.
    call.apart = Some(secrets_apart);
    call.read = Box::new(|answer, places| {
        let answer = answer::json(answer);
        let find = |place: &&StorePlace| {
            let answer = answer.as_ref().map_err(|fault| *fault)?;
            let list = at(answer, "/SecretValues").as_array();
            let mut list = list
                .ok_or(Fault::Answer("the answer has no list of values"))?
                .iter();
            let is_it = |secret: &&Value| is_named(secret, &place.path);
            match list.find(is_it) {
                Some(secret) => read_secret(secret, place),
                None => Err(refusal(answer, &place.path)),
            }
        };
        places.iter().map(find).collect()
    });
    vec![call]
}

fn is_named(item: &Value, name: &str) -> bool {
    let arn = at(item, "/ARN").as_str();
    // The random end of an ARN may be left out.
    at(item, "/Name").as_str() == Some(name)
        || arn.is_some_and(|arn| {
            arn == name || arn.rsplit_once('-').is_some_and(|(start, _)| start == name)
        })
}

/// Why a value is not in the answer for several.
fn refusal(answer: &Value, name: &str) -> Fault {
    let errors = at(answer, "/Errors").as_array().into_iter().flatten();
    let mut own = errors.filter(|error| at(error, "/SecretId").as_str() == Some(name));
    match own
        .next()
        .and_then(|error| at(error, "/ErrorCode").as_str())
    {
        None | Some("ResourceNotFoundException") => Fault::NotFound,
        Some(code) if code.starts_with("AccessDenied") => Fault::Denied,
        Some("InvalidRequestException") => Fault::Deleted,
        Some(_) => Fault::Other,
    }
}

fn secrets_apart(_: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let arguments = |place: &StorePlace| {
        let mut arguments = words([
            "secretsmanager",
            "get-secret-value",
            "--output",
            "json",
            "--secret-id",
            &place.path,
        ]);
        let version = place.version.as_deref();
        arguments.extend(version.into_iter().flat_map(|version| {
            // The names of stages are words; versions are UUIDs.
            let is_stage = version.starts_with("AWS") || version.len() < 32;
            let option = if is_stage {
                "--version-stage"
            } else {
                "--version-id"
            };
            words([option, version])
        }));
        arguments
    };
    grouped(wanted, BATCH_MAX, arguments, |answer, place| {
        read_secret(&answer::json(answer)?, place)
    })
}

fn read_secret(secret: &Value, place: &StorePlace) -> ReadValue {
    let bytes = match (at(secret, "/SecretString"), at(secret, "/SecretBinary")) {
        (Value::String(text), _) => text.clone().into_bytes(),
        (_, Value::String(text)) => answer::base64(text)?,
        _ => return Err(Fault::Answer("the answer has no value")),
    };
    let mut found = answer::plain(bytes)?;
    found.version = at(secret, "/VersionId").as_str().map(str::to_owned);
    answer::with_field(found, place.field.as_deref())
}

fn plan_parameters(_: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let mut names: Vec<String> = wanted.iter().map(selector).collect();
    names.sort_unstable();
    names.dedup();
    let each = names.chunks(PARAMETERS_MAX);
    each.map(|names| parameters(names, wanted)).collect()
}

/// The name of a parameter, with its version.
fn selector(place: &StorePlace) -> String {
    match &place.version {
        Some(version) => format!("{}:{version}", place.path),
        None => place.path.clone(),
    }
}

fn parameters(names: &[String], wanted: &[StorePlace]) -> ExecCall {
    let mut arguments = words([
        "ssm",
        "get-parameters",
        "--with-decryption",
        "--output",
        "json",
        "--names",
    ]);
    arguments.extend(names.iter().map(OsString::from));
    let places = wanted.iter().enumerate();
    let own = places.filter(|(_, place)| names.contains(&selector(place)));
    let mut call = ExecCall::raw(0, arguments);
    call.wanted = own.map(|(n, _)| n).collect();
    call.answer_max = BATCH_MAX;
    call.read = Box::new(|answer, places| {
        let answer = answer::json(answer);
        let find = |place: &&StorePlace| {
            let answer = answer.as_ref().map_err(|fault| *fault)?;
            let list = at(answer, "/Parameters").as_array();
            let list = list.ok_or(Fault::Answer("the answer has no list of parameters"))?;
            read_parameter(list, place)
        };
        places.iter().map(find).collect()
    });
    call
}

fn read_parameter(list: &[Value], place: &StorePlace) -> ReadValue {
    let is_it = |one: &&Value| {
        let is_named = [at(one, "/Name"), at(one, "/ARN")]
            .iter()
            .any(|name| name.as_str() == Some(&place.path));
        let version = at(one, "/Version")
            .as_u64()
            .map(|version| version.to_string());
        let selected = at(one, "/Selector")
            .as_str()
            .map(|text| text.trim_start_matches(':'));
        is_named
            && match &place.version {
                Some(wanted) => version.as_ref() == Some(wanted) || selected == Some(wanted),
                None => selected.is_none_or(str::is_empty),
            }
    };
    let found = list.iter().find(is_it).ok_or(Fault::NotFound)?;
    let text = at(found, "/Value").as_str();
    let text = text.ok_or(Fault::Answer("the answer has a parameter without a value"))?;
    let mut value = answer::plain(text.as_bytes().to_vec())?;
    value.version = at(found, "/Version")
        .as_u64()
        .map(|version| version.to_string());
    answer::with_field(value, place.field.as_deref())
}

#[expect(clippy::unnecessary_wraps, reason = "a row of the table of presets")]
fn probe(_: &OpenedStore) -> Option<ExecProbe> {
    Some(ExecProbe {
        arguments: words(["sts", "get-caller-identity", "--output", "json"]),
        input: None,
        asks_store: true,
        read: |answer| {
            let about = answer::json(answer)?;
            let fact = |name: &str| at(&about, name).as_str().unwrap_or_default().to_owned();
            Ok(vec![("account", fact("/Account")), ("as", fact("/Arn"))])
        },
    })
}
