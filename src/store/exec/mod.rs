//! Stores that are read by a program: 1Password, pass, AWS and others by presets, and programs of the user.
//!
//! Invariants: the program is absolute, and only root and this user can replace it. It runs without a shell, a
//! terminal or anything of the client, one at a time per store, until its deadline. What it writes to stderr
//! reaches no error.

mod answer;
mod fault;
mod credentials;
mod faults;
mod opened;
mod own;
mod preset;
mod presets;
mod protocol;
mod settings;
mod source;
mod spoken;
mod trust;
mod turn;

pub(super) use self::trust::check as check_program;

use std::path::PathBuf;
use std::sync::LazyLock;

use self::credentials::CredentialSource;
use self::opened::OpenedStore;
use self::preset::ExecPreset;
use self::settings::ExecSettings;
use self::source::ExecSource;
use self::spoken::SpokenSource;
use crate::config::StoreDefinition;
use crate::error::{Code, Error, Result};
use crate::reference::StorePlace;
use crate::store::source::{SecretSource, SourceType, StoreSetup};

/// All presets, in the order of the documentation.
const PRESETS: &[&ExecPreset] = &[
    &presets::OP,
    &presets::BWS,
    &presets::BW,
    &presets::PASS,
    &presets::GOPASS,
    &presets::SOPS,
    &presets::KEEPASSXC,
    &presets::AWS_SM,
    &presets::AWS_SSM,
    &presets::GCP,
    &presets::AZURE,
    &presets::DOPPLER,
    &presets::INFISICAL,
    &presets::VAULT_CLI,
    &presets::SECRETSPEC,
    &presets::FNOX,
    &credentials::AWS_STS,
    &credentials::CREDENTIAL_PROCESS,
    &own::EXEC,
];

/// The types of stores that are read by a program.
pub static TYPES: LazyLock<Vec<SourceType>> =
    LazyLock::new(|| PRESETS.iter().map(|preset| row(preset)).collect());

fn row(preset: &'static ExecPreset) -> SourceType {
    SourceType {
        id: preset.id,
        about: preset.about,
        example: preset.example,
        needs: preset.needs,
        tested: preset.tested,
        programs: preset.programs,
        variables: preset.of_terminal,
        sign_in,
        sign_in_hint: preset.sign_in,
        check,
        check_place,
        program,
        shown,
        open,
    }
}

fn preset_of(definition: &StoreDefinition) -> Result<&'static ExecPreset, String> {
    let found = PRESETS.iter().find(|preset| preset.id == definition.kind);
    let found = found.copied();
    found.ok_or_else(|| format!("no program has the type `{}`", definition.kind))
}

fn check(definition: &StoreDefinition) -> Result<(), String> {
    let preset = preset_of(definition)?;
    settings::check(preset.settings, preset.refused, definition)?;
    (preset.check)(ExecSettings(&definition.settings))
}

fn check_place(definition: &StoreDefinition, place: &StorePlace) -> Result<(), String> {
    let preset = preset_of(definition)?;
    for (part, text) in [
        ("the path", Some(&place.path)),
        ("the field", place.field.as_ref()),
        ("the version", place.version.as_ref()),
    ] {
        if text.is_some_and(|text| text.starts_with('-')) && !own::takes_any(definition) {
            return Err(format!(
                "{part} begins with `-`, which its program would take for an option"
            ));
        }
    }
    (preset.check_place)(ExecSettings(&definition.settings), place)
}

fn sign_in(definition: &StoreDefinition) -> Option<Vec<String>> {
    let preset = preset_of(definition).ok()?;
    let settings = ExecSettings(&definition.settings);
    let options = preset.login_options.iter();
    let options = options.filter_map(|(option, setting)| Some([*option, settings.text(setting)?]));
    let words = preset.login.iter().copied().chain(options.flatten());
    let words: Vec<String> = words.map(str::to_owned).collect();
    (!preset.login.is_empty()).then_some(words)
}

fn program(definition: &StoreDefinition) -> Option<PathBuf> {
    ExecSettings(&definition.settings).program()
}

fn shown(definition: &StoreDefinition) -> Vec<(&'static str, String)> {
    let Ok(preset) = preset_of(definition) else {
        return Vec::new();
    };
    let settings = ExecSettings(&definition.settings);
    let mut lines = Vec::new();
    for setting in preset.settings {
        if let Some(value) = settings.0.get(setting.name) {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            lines.push((setting.name, text));
        }
    }
    let mut variables: Vec<_> = settings
        .environment()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !variables.is_empty() {
        variables.sort();
        lines.push(("env", variables.join(" ")));
    }
    lines
}

fn open(setup: &StoreSetup<'_>) -> Result<Box<dyn SecretSource>> {
    let preset = preset_of(setup.definition).map_err(|why| {
        let what = format!("cannot use store `{}`", setup.name);
        Error::new(Code::StoreUnknown, what)
            .of_store(setup.name)
            .cause(why)
    })?;
    let source = ExecSource::new(preset, OpenedStore::new(preset.given(), setup)?);
    if own::speaks(source.store().settings()) {
        return Ok(Box::new(SpokenSource(source)));
    }
    if credentials::makes(preset) {
        return Ok(Box::new(CredentialSource(source)));
    }
    Ok(Box::new(source))
}
