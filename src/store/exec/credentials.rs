//! Programs that print a short-lived credential of AWS: `aws sts assume-role`, and those of a `credential_process`.
//!
//! Source: the AWS SDKs' reference, "Process credential provider" (version 1). Such a credential cannot be
//! extended or withdrawn: it ends by itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::{self, at};
use super::fault::{Fault, VALUE_MAX};
use super::preset::{ExecCall, ExecPreset, no_file, words};
use super::presets::AWS_SM;
use super::settings::{ExecSetting, ExecSettings, SettingKind, text};
use super::source::ExecSource;
use crate::error::{Code, Error, Result};
use crate::reference::StorePlace;
use crate::store::source::{
    MintHandle, MintIssuer, MintLife, MintRequest, Minted, Minter, SecretSource, SourceValue,
    StoreCheck,
};

pub const AWS_STS: ExecPreset = ExecPreset {
    id: "aws-sts",
    about: "roles of AWS, by `aws sts assume-role`",
    example: "arn:aws:iam::123456789012:role/mcp-reader",
    needs: "`aws`; `region`; `profile`, or keys in `env`; `policy`: JSON that narrows the role",
    tested: "a program that answers as documented",
    settings: &[
        text("region", false),
        text("profile", false),
        ExecSetting {
            name: "policy",
            kind: SettingKind::Other,
            is_required: false,
        },
    ],
    check: check_policy,
    check_place: keeps_no_values,
    plan: |_, _| Vec::new(),
    ..AWS_SM
};

pub const CREDENTIAL_PROCESS: ExecPreset = ExecPreset {
    id: "credential-process",
    programs: &[],
    login: &[],
    about: "a program in the form of AWS's `credential_process`",
    example: "default",
    needs: "`program`, `args`",
    tested: "programs of the tests",
    settings: &[ExecSetting {
        name: "args",
        kind: SettingKind::Other,
        is_required: false,
    }],
    variables: &[],
    exported: &[],
    signs: &[],
    sign_in: "sign in as its program requires",
    check: check_args,
    check_place: keeps_no_values,
    before: no_file,
    plan: |_, _| Vec::new(),
    probe: |_| None,
    ..AWS_SM
};

fn keeps_no_values(_: ExecSettings<'_>, _: &StorePlace) -> Result<(), String> {
    Err(
        "it only makes credentials: use `[mint.NAME]` in the policy, and `mint:NAME#FIELD`"
            .to_owned(),
    )
}

fn check_policy(settings: ExecSettings<'_>) -> Result<(), String> {
    match settings.0.get("policy").map(|policy| policy.as_str()) {
        None => Ok(()),
        Some(Some(text)) if serde_json::from_str::<BTreeMap<String, Value>>(text).is_ok() => Ok(()),
        Some(_) => Err("expected an IAM policy in JSON for `policy`".to_owned()),
    }
}

fn check_args(settings: ExecSettings<'_>) -> Result<(), String> {
    let Some(args) = settings.0.get("args") else {
        return Ok(());
    };
    let args = args
        .as_array()
        .ok_or("expected a list of texts for `args`")?;
    for word in args {
        let word = word.as_str().ok_or("expected a list of texts for `args`")?;
        if word.contains('\0') || word.starts_with("secret:") {
            return Err("`args` are visible to other programs: put secrets into `env`".to_owned());
        }
    }
    Ok(())
}

/// Whether a store of this type makes credentials of AWS.
pub fn makes(preset: &ExecPreset) -> bool {
    [AWS_STS.id, CREDENTIAL_PROCESS.id].contains(&preset.id)
}

/// A store that makes credentials and keeps no values.
#[derive(Debug)]
pub struct CredentialSource(pub ExecSource);

impl CredentialSource {
    fn arguments(&self, request: &MintRequest) -> Vec<OsString> {
        let store = self.0.store();
        if self.0.preset().id == CREDENTIAL_PROCESS.id {
            return store.settings().texts("args").map(Into::into).collect();
        }
        let mut arguments = words([
            "sts",
            "assume-role",
            "--output",
            "json",
            "--role-session-name",
            "mcpwrap",
            "--role-arn",
            &request.path,
        ]);
        if let Some(life) = request.life {
            arguments.extend(words(["--duration-seconds", &life.to_string()]));
        }
        arguments.extend(store.option("policy", "--policy"));
        arguments
    }

    fn read(&self, bytes: &[u8], sent: Timestamp) -> Result<Minted, Fault> {
        let document = answer::json(bytes)?;
        let is_process = self.0.preset().id == CREDENTIAL_PROCESS.id;
        let found = if is_process {
            if at(&document, "/Version").as_u64() != Some(1) {
                return Err(Fault::Answer("expected `Version` 1"));
            }
            &document
        } else {
            at(&document, "/Credentials")
        };
        let mut fields = BTreeMap::new();
        for name in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
            match found[name].as_str().filter(|text| !text.is_empty()) {
                Some(text) => {
                    let value = answer::plain(text.as_bytes().to_vec())?.value;
                    fields.insert(name.to_owned(), value);
                }
                // Keys without an end have no session.
                None if name == "SessionToken" && is_process => {}
                None => return Err(Fault::Answer("the answer has no keys")),
            }
        }
        let end = match at(found, "/Expiration").as_str() {
            Some(text) => Some(answer::time(text)?),
            None if is_process => None,
            None => return Err(Fault::Answer("the answer has no `Expiration`")),
        };
        let left = end.map(|end| end.duration_since(sent).as_secs());
        let seconds = left.map(|left| u64::try_from(left).unwrap_or(0));
        let user = at(&document, "/AssumedRoleUser/Arn").as_str();
        Ok(Minted {
            fields,
            life: MintLife {
                seconds,
                is_extendable: false,
            },
            handle: None,
            granted: user
                .map(|arn| ("role".to_owned(), arn.to_owned()))
                .into_iter()
                .collect(),
        })
    }
}

impl SecretSource for CredentialSource {
    fn get_many(&self, wanted: &[StorePlace], _: Instant) -> Vec<Result<SourceValue>> {
        let name = &self.0.store().name;
        let what = format!("store `{name}` keeps no values");
        let error = Error::new(Code::ReferenceIsMint, what)
            .of_store(name)
            .hint("use `[mint.NAME]` in the policy, and `from = \"mint:NAME#FIELD\"`");
        vec![Err(error); wanted.len()]
    }

    fn check(&self, deadline: Instant) -> Result<StoreCheck> {
        self.0.check(deadline)
    }

    fn diagnostics(&self) -> Option<String> {
        self.0.diagnostics()
    }

    fn minter(&self) -> Option<&dyn Minter> {
        Some(self)
    }
}

impl Minter for CredentialSource {
    fn mint(&self, request: &MintRequest, deadline: Instant) -> Result<Minted> {
        let (_turn, deadline) = self.0.begin(deadline)?;
        let sent = Timestamp::now();
        let call = ExecCall::raw(0, self.arguments(request));
        let answer = self.0.run(&call.arguments, None, VALUE_MAX, deadline)?;
        let minted = answer.and_then(|answer| self.read(&answer, sent));
        minted.map_err(|fault| self.0.error(fault, None))
    }
}

impl MintIssuer for CredentialSource {
    fn extend(&self, _: &MintHandle, _: Instant) -> Result<Option<MintLife>> {
        Ok(None)
    }

    fn revoke(&self, _: &MintHandle, _: Instant) -> Result<()> {
        Ok(())
    }
}
