//! Azure Key Vault, by `az`.
//!
//! The subscription decides which of several logins is used, so it is always named.

use crate::reference::StorePlace;
use crate::store::exec::answer::{self, at};
use crate::store::exec::fault::{BATCH_MAX, Fault, ReadValue};
use crate::store::exec::opened::OpenedStore;
use crate::store::exec::preset::{
    ExecCall, ExecPreset, ExecProbe, Sign, grouped, no_file, no_rules, words,
};
use crate::store::exec::settings::{ExecSettings, text};

pub const AZURE: ExecPreset = ExecPreset {
    id: "azure",
    programs: &["az"],
    login: &["login"],
    login_options: &[],
    of_terminal: &[],
    about: "Azure Key Vault, by `az`",
    example: "VAULT/SECRET",
    needs: "`az`; `subscription`; `vault` for names without one",
    tested: "a program that answers as documented",
    settings: &[text("subscription", true), text("vault", false)],
    variables: &[
        ("AZURE_CORE_COLLECT_TELEMETRY", "false"),
        ("AZURE_CORE_NO_COLOR", "true"),
        ("AZURE_CORE_DISABLE_CONFIRM_PROMPT", "true"),
        ("AZURE_CORE_ONLY_SHOW_ERRORS", "true"),
    ],
    exported: &[],
    silent: &[],
    refused: &[],
    signs: &[
        (Sign::Says("az login"), Fault::SignedOut),
        (Sign::Says("aadsts"), Fault::SignedOut),
        (Sign::Says("objectisdeletedbutrecoverable"), Fault::Deleted),
        (Sign::Says("secretnotfound"), Fault::NotFound),
        (Sign::Says("secretdisabled"), Fault::Denied),
        (Sign::Says("forbidden"), Fault::Denied),
        (Sign::Says("toomanyrequests"), Fault::Throttled),
        (Sign::Says("throttled"), Fault::Throttled),
    ],
    sign_in: "run `az login`, in the tenant of the subscription",
    check: no_rules,
    check_place,
    before: no_file,
    plan,
    probe: |store| {
        let mut arguments = words(["account", "show", "-o", "json"]);
        arguments.extend(store.option("subscription", "--subscription"));
        Some(ExecProbe {
            arguments,
            input: None,
            asks_store: true,
            read: |answer| {
                let about = answer::json(answer)?;
                let fact = |text: Option<&str>| text.unwrap_or_default().to_owned();
                Ok(vec![
                    ("account", fact(at(&about, "/user/name").as_str())),
                    ("tenant", fact(at(&about, "/tenantId").as_str())),
                ])
            },
        })
    },
};

fn check_place(settings: ExecSettings<'_>, place: &StorePlace) -> Result<(), String> {
    let parts = place.path.split('/').count();
    let has_vault = settings.text("vault").is_some();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/');
    let fits = parts == 2 || (parts == 1 && has_vault);
    if fits && place.path.chars().all(is_name) && !place.path.contains("/-") {
        return Ok(());
    }
    Err("expected `VAULT/SECRET`, or `SECRET` if the store has `vault`".to_owned())
}

fn plan(store: &OpenedStore, wanted: &[StorePlace]) -> Vec<ExecCall> {
    let own = store.settings().text("vault").unwrap_or_default();
    let arguments = |place: &StorePlace| {
        let (vault, name) = place.path.split_once('/').unwrap_or((own, &place.path));
        let mut arguments = words([
            "keyvault",
            "secret",
            "show",
            "--vault-name",
            vault,
            "--name",
            name,
            "-o",
            "json",
        ]);
        arguments.extend(store.option("subscription", "--subscription"));
        let version = place.version.as_deref();
        arguments.extend(
            version
                .into_iter()
                .flat_map(|version| words(["--version", version])),
        );
        arguments
    };
    grouped(wanted, BATCH_MAX, arguments, read)
}

fn read(answer: &[u8], place: &StorePlace) -> ReadValue {
    let answer = answer::json(answer)?;
    let text = at(&answer, "/value").as_str();
    let text = text.ok_or(Fault::Answer("the answer has no `value`"))?;
    let mut value = answer::plain(text.as_bytes().to_vec())?;
    let expires = at(&answer, "/attributes/expires").as_str();
    value.expires = expires.map(answer::time).transpose()?;
    let id = at(&answer, "/id")
        .as_str()
        .and_then(|id| id.rsplit('/').next());
    value.version = id.map(str::to_owned);
    answer::with_field(value, place.field.as_deref())
}
