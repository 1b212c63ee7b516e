//! Makes the plan: for each file which entries change and how, which secrets and policies are
//! needed, and what cannot be adopted and why.
//!
//! Invariants: reads only; each change is proved before it is offered: the new text is parsed
//! again, all other entries keep their meaning, and undo gives the old bytes.

use super::comments;
use super::directory::EntryProjects;
use super::extract;
use super::extracted::Extracted;
use super::leftover;
use super::names::Names;
use super::plan::{AdoptPlan, EntryFilter, Left, LoginChoice};
use super::proof::{self, ChangedEntry};
use super::redact::{Cut, Cutter, RedactedPiece};
use super::references::References;
use super::store_values::{self, StoreSurroundings};
use super::wrappers::WrapperCall;
use super::{
    bridge_command, client_login, directory, known_variables, literals, remote, replace, rewrite,
};
use crate::client::document::Document;
use crate::client::entry::{ServerEntry, Spot, places};
use crate::client::regions::regions;
use crate::client::tree::Node;
use crate::detect;
use crate::dirs;
use crate::parallel;
use crate::scan::clients::ClientFile;
use crate::scan::history::SearchedSecret;
use crate::secret::ServerName;

/// Makes the plan. `program` is the absolute path of mcpwrap.
pub fn build(
    found: &[ClientFile],
    wanted: &EntryFilter,
    names: &mut Names,
    program: &str,
) -> AdoptPlan {
    let mut plan = AdoptPlan::default();
    let mut changed_files = Vec::new();
    for (n, file) in found.iter().enumerate() {
        let document = match &file.document {
            Ok(document) => document,
            Err(reason) => {
                plan.left.push(Left {
                    found: n,
                    entry: None,
                    reason: format!("skipped: {reason}"),
                    counts: true,
                });
                continue;
            }
        };
        let job = PlanBuilder {
            n,
            file,
            document,
            program,
            projects: EntryProjects::new(&file.path, names.home()),
        };
        let changed = job.changed(wanted, names, &mut plan);
        changed_files.push((n, document, changed));
    }
    let values = leftover::values(names);
    for (n, _, changed) in &mut changed_files {
        leftover::refuse(*n, changed, &values, names, &mut plan);
    }
    let proved = parallel::map(&changed_files, |(n, document, changed)| {
        proof::of_file(*n, document, changed)
    });
    for (file, left) in proved {
        plan.files.extend(file);
        plan.left.extend(left);
    }
    plan.left.sort_by_key(|left| left.found);
    plan
}

struct PlanBuilder<'a> {
    n: usize,
    file: &'a ClientFile,
    document: &'a Document,
    program: &'a str,
    projects: EntryProjects<'a>,
}

impl PlanBuilder<'_> {
    /// The changes of the file's entries; what cannot be changed goes into the plan.
    fn changed(
        &self,
        wanted: &EntryFilter,
        names: &mut Names,
        plan: &mut AdoptPlan,
    ) -> Vec<ChangedEntry> {
        let mut changed = Vec::new();
        let spots = places(self.document).into_iter();
        for (spot, needs_full_scan) in spots.zip(&self.file.needs_full_scan) {
            if !wanted.takes(&spot.name) {
                continue;
            }
            // Most entries do not change.
            if !needs_full_scan && wanted.servers.is_empty() && !spot.may_log_in() {
                plan.without += 1;
                continue;
            }
            let name = spot.name.clone();
            match self.entry(spot, wanted, names, plan) {
                Ok(one) => changed.extend(one),
                Err(reason) => plan.left.push(Left {
                    found: self.n,
                    entry: Some(name),
                    reason,
                    counts: true,
                }),
            }
        }
        changed
    }

    /// The change of one entry; none if it has nothing to move.
    ///
    /// # Errors
    /// Why it cannot be adopted.
    fn entry(
        &self,
        spot: Spot<'_>,
        wanted: &EntryFilter,
        names: &mut Names,
        plan: &mut AdoptPlan,
    ) -> Result<Option<ChangedEntry>, String> {
        let node = spot.node;
        let entry = spot.read();
        if entry.wrapped.is_some() {
            plan.adopted += 1;
            return Ok(None);
        }
        if let Some(why) = entry.unknown {
            return Err(format!("not understood: {why}"));
        }
        let judged = detect::entry(&entry);
        let secret = extract::holds_secret(&judged);
        let call = store_values::call(&entry);
        let has_store = !matches!(call, Ok(None));
        let is_asked = !wanted.servers.is_empty();
        let may_change = !entry.words.is_empty() || remote::refers(&entry, node, &judged);
        let mut login = if secret {
            None
        } else {
            let references = self.references(&entry, names);
            client_login::extract(self.document, (&entry, node), &judged, &references)
        };
        let is_of_client =
            wanted.logins == LoginChoice::OfClient && login.take().is_some_and(|it| it.is_ok());
        if !(secret || has_store || login.is_some() || is_asked && may_change) {
            plan.without += 1;
            plan.of_client
                .extend(is_of_client.then(|| entry.name.clone()));
            return Ok(None);
        }
        if self.file.tracked {
            let values = values(&entry, &judged).into_iter();
            plan.tracked.extend(values.map(|one| (self.n, one)));
            return Err(format!(
                "tracked by git, teammates may lack mcpwrap; pass `--config {}` to adopt it anyway",
                self.file.path.display()
            ));
        }
        replace::writable(&self.file.target).map_err(|failed| failed.reason())?;
        if let Some(reason) = remote::reason(&entry, &judged) {
            return Err(reason);
        }
        if has_store && login.is_none() {
            let why = match self.of_store(&entry, &judged, call, names) {
                Ok(one) => return Ok(Some(one)),
                Err(why) => why,
            };
            if !(secret || is_asked) {
                plan.left.push(Left {
                    found: self.n,
                    entry: Some(entry.name),
                    reason: why,
                    // It has no secret in plaintext.
                    counts: false,
                });
                return Ok(None);
            }
            let mut extracted = self.extract(&entry, node, &judged, names)?;
            let text = format!("its values in another store stay as they are: {why}");
            extracted.notes.push(text);
            return self.change(&entry, &judged, extracted, names).map(Some);
        }
        let extracted = match login {
            Some(extracted) => extracted?,
            None => self.extract(&entry, node, &judged, names)?,
        };
        let one = self.change(&entry, &judged, extracted, names)?;
        wanted.logins.allows(&one.server, names)?;
        Ok(Some(one))
    }

    fn references<'a>(&self, entry: &ServerEntry, names: &'a Names) -> References<'a> {
        References {
            fills_in: self.file.client.is_none_or(|client| client.fills_in),
            home: names.home(),
            project: self.projects.of(entry),
            variable: &|name| dirs::server_variable(name)?.into_string().ok(),
        }
    }

    /// The change of an entry whose values are in another store.
    fn of_store(
        &self,
        entry: &ServerEntry,
        judged: &[detect::Judged<'_>],
        call: Result<Option<WrapperCall>, String>,
        names: &mut Names,
    ) -> Result<ChangedEntry, String> {
        let call = call?.unwrap_or_default();
        let around = StoreSurroundings {
            references: &self.references(entry, names),
            known: &|words| known_variables::of(names.dirs(), words),
        };
        let extracted = store_values::extract(entry, &call, &around)?;
        self.change(entry, judged, extracted, names)
    }

    fn extract(
        &self,
        entry: &ServerEntry,
        node: &Node,
        judged: &[detect::Judged<'_>],
        names: &Names,
    ) -> Result<Extracted, String> {
        let references = self.references(entry, names);
        if remote::is_remote(entry) {
            return remote::extract(node, judged, &references);
        }
        match bridge_command::extract(entry, judged, &references) {
            Ok(extracted) => Ok(extracted),
            Err(why) => {
                let mut extracted = extract::extract(entry, judged, &references)?;
                extracted.notes.extend(why);
                Ok(extracted)
            }
        }
    }

    fn change(
        &self,
        entry: &ServerEntry,
        judged: &[detect::Judged<'_>],
        mut extracted: Extracted,
        names: &mut Names,
    ) -> Result<ChangedEntry, String> {
        if extracted.remote.is_none() {
            extracted.cwd =
                directory::choose(self.file, &self.projects, entry, &extracted.command)?;
            for (name, text) in literals::variables(self.document, entry)? {
                extracted.set.entry(name).or_insert(text);
            }
        }
        let mut of_store = Vec::new();
        if let Some(wish) = &extracted.wish {
            (extracted.references, of_store) = names.references(wish)?;
        }
        let planned = names.policy(&entry.name, &extracted)?;
        let mut splices = rewrite::splices(
            self.document,
            self.program,
            entry,
            &extracted,
            &planned.server,
        )?;
        let mut cuts = planned.cuts;
        cuts.extend(of_store);
        self.as_written(entry, judged, &planned.server, &mut cuts, names);
        splices.extend(comments::named(self.document, entry, &splices, &cuts));
        Ok(ChangedEntry {
            entry: entry.clone(),
            server: planned.server,
            splices,
            cuts,
            notes: extracted.notes,
        })
    }

    /// Secret text of the entry that is not one of the values: a value with unusual escapes, a
    /// token in a comment. Undo needs it, and the journal must not contain it.
    fn as_written(
        &self,
        entry: &ServerEntry,
        judged: &[detect::Judged<'_>],
        server: &ServerName,
        cuts: &mut Vec<Cut>,
        names: &mut Names,
    ) {
        let mut extra = Vec::new();
        let cutter = Cutter::new(cuts);
        for value in judged
            .iter()
            .filter(|value| !value.verdict.secrets().is_empty())
        {
            let raw = self.document.at(&value.word.span);
            let cut_out = cutter
                .cut(raw)
                .iter()
                .any(|piece| !matches!(piece, RedactedPiece::Text(_)));
            if !cut_out {
                extra.push(raw.trim_matches(['"', '\'']).to_owned());
            }
        }
        for region in regions(self.document, &entry.path) {
            for piece in cutter.cut(self.document.at(&region)) {
                let RedactedPiece::Text(text) = piece else {
                    continue;
                };
                extra.extend(detect::known_tokens(&text).into_iter().map(str::to_owned));
            }
        }
        for text in extra {
            if !cuts.iter().any(|cut| cut.text == text) {
                cuts.push(names.as_written(server, &text));
            }
        }
    }
}

/// The secret values of an entry, by its name.
fn values(entry: &ServerEntry, judged: &[detect::Judged<'_>]) -> Vec<SearchedSecret> {
    let parts = judged.iter().flat_map(|value| {
        let parts = value.verdict.secrets().iter();
        parts.filter_map(|part| value.word.text.get(part.range.clone()))
    });
    let searched = parts.map(|text| SearchedSecret {
        name: format!("a secret of `{}`", entry.name),
        text: text.to_owned(),
    });
    searched.collect()
}
