//! Validates the fields of a policy file against each other.
//!
//! Every profile is checked, not only the one in use, so that mistakes show early. Each error points
//! to the field.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{FieldPart, Overridable, PolicyDocument, join, strs};
use super::package::Package;
use super::schema::{EnvTable, PolicyFile, ProfileTable, SecretTable};
use super::{MintRules, SecretBinding, argument, bounds, inherit, template};
use crate::error::{Error, Result};
use crate::reference::Reference;
use crate::secret::{MintName, ProfileName, SecretName};

/// The checked environment and secrets, without a profile and with each.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) base: Overridable,
    pub(super) profiles: BTreeMap<ProfileName, Overridable>,
    pub(super) mints: BTreeMap<MintName, MintRules>,
}

impl Checked {
    /// Where values come from, with and without each profile.
    pub(super) fn references(&self) -> BTreeSet<Reference> {
        let all = self.profiles.values().chain([&self.base]);
        let slots = all.flat_map(|parts| parts.secrets.values());
        slots.map(|slot| slot.from.clone()).collect()
    }
}

impl PolicyDocument<'_> {
    /// Checks the whole file.
    pub(super) fn check(&self, file: &PolicyFile) -> Result<Checked> {
        self.check_head(file)?;
        let base = self.add(&Overridable::default(), &file.env, &file.secrets, &[])?;
        self.check_parts(&base, file, &[])?;
        let mut profiles = BTreeMap::new();
        for (name, ProfileTable { env, secrets }) in &file.profile {
            let path = ["profile", name.as_str()];
            let profile = ProfileName::new(name).map_err(|error| {
                let fault = self.fault("invalid profile name", &path, FieldPart::Key);
                fault.because(error)
            })?;
            let parts = self.add(&base, env, secrets, &path)?;
            self.check_parts(&parts, file, &path)?;
            profiles.insert(profile, parts);
        }
        let mints = self.check_mints(file)?;
        for parts in profiles.values().chain([&base]) {
            self.check_mint_references(parts, &mints)?;
        }
        Ok(Checked {
            base,
            profiles,
            mints,
        })
    }

    fn check_head(&self, file: &PolicyFile) -> Result<()> {
        if file.version != 1 {
            return Err(self
                .fault("unknown `version`", &["version"], FieldPart::Value)
                .hint("write `version = 1`, or install a newer mcpwrap"));
        }
        self.check_kind(file)?;
        if file.url.is_none() && file.command.first().is_none_or(String::is_empty) {
            return Err(self
                .fault("no program in `command`", &["command"], FieldPart::Value)
                .hint("write the program and its arguments: `command = [\"npx\", \"-y\", …]`"));
        }
        if file.command.iter().any(|arg| arg.contains('\0')) {
            return Err(self.fault(
                "a NUL character in `command`",
                &["command"],
                FieldPart::Value,
            ));
        }
        let cwd = file.cwd.as_deref().unwrap_or("client");
        if !(cwd == "client" || cwd.starts_with('/') || cwd.starts_with("~/") || cwd == "~")
            || cwd.contains('\0')
        {
            return Err(self
                .fault("`cwd` is relative", &["cwd"], FieldPart::Value)
                .hint("write an absolute path, one that starts with `~/`, or `client`"));
        }
        if let Some(bounds::TooLong { path, limit }) = bounds::find(file) {
            let what = format!("`{}` too long", path.join("."));
            let limit = format!("at most {limit}, so that you see all of it before you approve it");
            return Err(self
                .fault_at(&what, &path, FieldPart::Value)
                .cause(limit)
                .hint("shorten it; a long text belongs in a file that the server reads"));
        }
        if let Some((field, why)) = file.package.as_ref().and_then(Package::fault) {
            let what = format!("invalid value for `package.{field}`");
            return Err(self
                .fault(&what, &["package", field], FieldPart::Value)
                .cause(why)
                .hint("run `mcpwrap pin SERVER` to write this table again, or remove it"));
        }
        Ok(())
    }

    /// Adds one pair of `env` and `secrets` tables to `base`.
    fn add(
        &self,
        base: &Overridable,
        env: &EnvTable,
        secrets: &BTreeMap<String, SecretTable>,
        prefix: &[&str],
    ) -> Result<Overridable> {
        let mut parts = base.clone();
        for (n, name) in env.pass.iter().enumerate() {
            let path = join(prefix, &["env", "pass", &n.to_string()]);
            let at = |what: &str| self.fault_at(what, &path, FieldPart::Value);
            if !template::is_variable_name(name) {
                return Err(at("invalid variable name in `env.pass`")
                    .hint("write variable names in `env.pass`, and values in `env.set`"));
            }
            if let Some(why) = inherit::never(name) {
                return Err(at(&format!("`{name}` not allowed in `env.pass`"))
                    .cause(format!("never inherited: {why}"))
                    .hint("if the server needs it, set it by value in `env.set`"));
            }
            if inherit::is_network(name) {
                return Err(at(&format!("`{name}` not allowed in `env.pass`"))
                    .cause("the client would choose whom the server talks to")
                    .hint("run `mcpwrap config network` to approve network settings for all servers, or set it by value in `env.set`"));
            }
            if inherit::is_sealed(name) {
                return Err(at(&format!("`{name}` not allowed in `env.pass`"))
                    .cause("its value is that of the terminal in which the policy is granted")
                    .hint("remove it, or set it by value in `env.set`"));
            }
            if !parts.env.pass.contains(name) {
                parts.env.pass.push(name.clone());
            }
        }
        for (name, value) in &env.set {
            let path = join(prefix, &["env", "set", name]);
            self.check_variable(name, "env.set", &path)?;
            if value.contains('\0') {
                let what = format!("a NUL character in `env.set.{name}`");
                return Err(self.fault_at(&what, &path, FieldPart::Value));
            }
            parts.env.set.insert(name.clone(), value.clone());
        }
        for (name, table) in secrets {
            let path = join(prefix, &["secrets", name]);
            self.check_variable(name, "secrets", &path)?;
            parts
                .secrets
                .insert(name.clone(), self.slot(name, table, &path)?);
        }
        Ok(parts)
    }

    fn slot(&self, name: &str, table: &SecretTable, path: &[String]) -> Result<SecretBinding> {
        let path = join(&strs(path), &["from"]);
        let from = Reference::new(&table.from).map_err(|error| {
            let what = format!("`from` of `{name}` is not a secret reference");
            let fault = self.fault_at(&what, &path, FieldPart::Value).because(error);
            fault.hint("write `secret:NAME`, and store the value with `mcpwrap secret set NAME`; or `STORE:PATH#FIELD` for another store")
        })?;
        if from.local().is_some_and(SecretName::is_internal) {
            let what = format!("`from` of `{name}` names a value of mcpwrap itself");
            return Err(self
                .fault_at(&what, &path, FieldPart::Value)
                .cause("`oauth/`, `oauth-client/` and `withdraw/` hold what mcpwrap gets by itself")
                .hint("choose another name, and store the value with `mcpwrap secret set NAME`"));
        }
        let line = self.line(&strs(&path));
        Ok(SecretBinding {
            from,
            to: table.to,
            optional: table.optional,
            line,
        })
    }

    fn check_variable(&self, name: &str, table: &str, path: &[String]) -> Result<()> {
        if template::is_variable_name(name) {
            return Ok(());
        }
        let what = format!("invalid variable name in `{table}`");
        Err(self
            .fault_at(&what, path, FieldPart::Key)
            .cause("expected letters, digits and `_`, not starting with a digit"))
    }

    /// Checks the tables against each other, for the base or for one profile.
    fn check_parts(&self, parts: &Overridable, file: &PolicyFile, prefix: &[&str]) -> Result<()> {
        for name in parts.secrets.keys() {
            let path = self.where_set(prefix, &["secrets", name]);
            let twice = |other: &str| {
                self.fault_at(
                    &format!("`{name}` in `{other}` and in `secrets`"),
                    &path,
                    FieldPart::Key,
                )
                .hint("a variable has one source: remove the other")
            };
            if parts.env.set.contains_key(name) {
                return Err(twice("env.set"));
            }
            if parts.env.pass.contains(name) {
                return Err(twice("env.pass"));
            }
        }
        for (name, value) in &parts.env.set {
            let path = self.where_set(prefix, &["env", "set", name]);
            if parts.env.pass.contains(name) {
                return Err(self
                    .fault_at(
                        &format!("`{name}` in `env.pass` and in `env.set`"),
                        &path,
                        FieldPart::Key,
                    )
                    .hint("a variable has one source: remove the other"));
            }
            self.check_template(value, parts, &path)?;
            if value.contains(argument::WORKSPACE) {
                return Err(self.misplaced_workspace("env.set", &path));
            }
        }
        for (n, arg) in file.command.iter().enumerate() {
            let path = join(&["command"], &[&n.to_string()]);
            self.check_template(arg, parts, &path)?;
            let is_workspace = arg.contains(argument::WORKSPACE);
            if is_workspace && (n == 0 || argument::workspace(arg).is_none()) {
                return Err(self.misplaced_workspace("command", &path));
            }
            if template::secrets(arg).next().is_none() {
                continue;
            }
            if n == 0 {
                return Err(self.fault_at("a secret used as the program", &path, FieldPart::Value));
            }
            if argument::is_shell_text(&file.command, n) {
                let what = "a secret in the script of a shell";
                return Err(self
                    .fault_at(what, &path, FieldPart::Value)
                    .cause("a value with quotes, spaces or `$` would be run as code")
                    .hint("write the name of its variable there, as in `\"$TOKEN\"`: the script gets each `[secrets.NAME]` as a variable"));
            }
            if !file.argv_secrets {
                return Err(self
                    .fault_at(
                        "a secret in `command` without `argv_secrets = true`",
                        &path,
                        FieldPart::Value,
                    )
                    .cause(
                        "every user of this machine can see arguments with `ps`",
                    )
                    .hint("pass it in a variable if the server can read one; otherwise set `argv_secrets = true`"));
            }
        }
        self.check_remote(parts, file, prefix)
    }

    fn misplaced_workspace(&self, field: &str, path: &[String]) -> Error {
        let what = format!("`{}` not allowed here in `{field}`", argument::WORKSPACE);
        self.fault_at(&what, path, FieldPart::Value)
            .cause("it stands for a whole argument of the server, or for what follows a fixed `--name=`")
            .hint("write it as an argument of `command`, after the program")
    }
}
