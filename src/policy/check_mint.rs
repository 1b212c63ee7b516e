//! Validates `[mint.NAME]`, and the references to it.

use std::collections::BTreeMap;

use super::document::{FieldPart, Overridable, PolicyDocument};
use super::mint::MintRules;
use super::mint_oauth::OAuthMint;
use super::schema::{PolicyFile, Renew};
use crate::error::Result;
use crate::reference::Reference;
use crate::secret::MintName;

impl PolicyDocument<'_> {
    /// Checks each `[mint.NAME]`.
    pub(super) fn check_mints(&self, file: &PolicyFile) -> Result<BTreeMap<MintName, MintRules>> {
        let mut mints = BTreeMap::new();
        for (name, table) in &file.mint {
            let path = ["mint", name.as_str()];
            let mint = MintName::new(name).map_err(|error| {
                let fault = self.fault("invalid name of a mint", &path, FieldPart::Key);
                fault.because(error)
            })?;
            let line = self.line(&path);
            let rules = MintRules::new(table, line).map_err(|(field, why)| {
                let path = ["mint", name.as_str(), field];
                let what = format!("invalid `{field}` in `[mint.{name}]`");
                self.fault(&what, &path, FieldPart::Value)
                    .cause(why)
                    .hint("docs/stores.md has an example of each type")
            })?;
            mints.insert(mint, rules);
        }
        if !mints.is_empty() && file.session.renew == Renew::Manual {
            return Err(self
                .fault(
                    "`renew = \"manual\"` with a `[mint.NAME]`",
                    &["session", "renew"],
                    FieldPart::Value,
                )
                .cause("the server would keep a credential that has ended")
                .hint("use `overlap`, or `stop-first` for a server that holds a port or a lock"));
        }
        Ok(mints)
    }

    /// Each `mint:NAME` has its table, and each table its use.
    pub(super) fn check_mint_references(
        &self,
        parts: &Overridable,
        mints: &BTreeMap<MintName, MintRules>,
    ) -> Result<()> {
        for (variable, slot) in &parts.secrets {
            let Reference::Mint(reference) = &slot.from else {
                continue;
            };
            let name = &reference.mint;
            let path = self.where_set(&[], &["secrets", variable, "from"]);
            if let Some(rules) = mints.get(name) {
                let field = reference.field.as_deref().unwrap_or(OAuthMint::FIELD);
                if rules.oauth().is_some() && field != OAuthMint::FIELD {
                    let what = format!("`{reference}` is kept from servers");
                    return Err(self
                        .fault_at(&what, &path, FieldPart::Value)
                        .hint(format!("write `mint:{name}`, which is its access token")));
                }
                continue;
            }
            return Err(self
                .fault_at(
                    &format!("`mint:{name}` without `[mint.{name}]`"),
                    &path,
                    FieldPart::Value,
                )
                .hint(format!(
                    "add `[mint.{name}]` with its `type`; docs/stores.md has an example of each"
                )));
        }
        Ok(())
    }
}
