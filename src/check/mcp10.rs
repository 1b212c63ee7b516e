//! Check 10: whether `revoke` would work.

use super::finding::{Finding, Mend, Place, Severity};
use super::{Scene, Sheet};
use crate::detect::Verdict;

/// A drill that is older (days) says little about today.
const DRILL_DAYS_MAX: i64 = 90;

pub(super) const ABOUT: &str = "\
**Looks at** whatever would keep `mcpwrap revoke` from ending a server: entries that start it without mcpwrap, remote entries
that hold their own credential, running supervisors that do not answer; and at the last `mcpwrap drill`, which proves the kill switch
on this machine. Only on a machine.

**Why:** a kill switch that was never tried is a hope. When a token leaks, the question is how many seconds until
nothing uses it any more.

**Mend:** `mcpwrap adopt` for the entries, `mcpwrap drill` for the proof. `mcpwrap revoke` itself overrules a supervisor that
does not answer.

**Known misses:** copies of a server that something else than a client's file starts; what a provider still accepts:
revoking here does not withdraw a token there.
";

const RULE: (&str, Severity) = ("mcp10", Severity::High);

pub(super) fn run(scene: &Scene, sheet: &mut Sheet) {
    let Some(machine) = &scene.machine else {
        sheet.skip("a machine's question: `mcpwrap check` without a path");
        return;
    };
    for file in &scene.files {
        sheet.looked(file.servers.len());
        for (n, server) in file.servers.iter().enumerate() {
            let entry = &server.entry;
            if entry.wrapped.is_some() {
                continue;
            }
            let own = file.values.iter().filter(|value| value.server == Some(n));
            let secret = own
                .into_iter()
                .any(|value| matches!(value.verdict, Verdict::Secret(_)));
            let place = file.place(server.start);
            let why = "`mcpwrap revoke --all` does not reach it";
            if !entry.words.is_empty() {
                let severity = if secret {
                    Severity::High
                } else {
                    Severity::Medium
                };
                let what = "it starts without mcpwrap, so revoking does not end it";
                let mend = Mend::Run(file.adopt_server(&entry.name));
                let found = Finding::new(("mcp10", severity), place, what, why, mend);
                sheet.add(found.of(&entry.name));
            } else if secret {
                let what = "the client holds its credential, so revoking does not take it away";
                let act =
                    "put a reference there, and withdraw the value at the provider if need be";
                let found = Finding::new(RULE, place, what, why, Mend::Act(act.to_owned()));
                sheet.add(found.of(&entry.name));
            }
        }
    }
    for supervisor in machine.supervisors.iter().filter(|one| one.holds.is_none()) {
        sheet.add(
            Finding::new(
                RULE,
                Place::whole(supervisor.socket.clone()),
                format!("the supervisor {} does not answer", supervisor.pid),
                "it will not end its server by itself; `revoke` has to kill it from outside",
                Mend::Run(format!("mcpwrap revoke {}", supervisor.server)),
            )
            .of(supervisor.server.as_str()),
        );
    }
    drill(scene, sheet);
}

fn drill(scene: &Scene, sheet: &mut Sheet) {
    let Some(machine) = &scene.machine else {
        return;
    };
    if machine.policies.is_empty() && machine.drill.is_none() {
        return;
    }
    let why = "a kill switch that was never tried is a hope";
    let (severity, what) = match &machine.drill {
        None => (
            Severity::Medium,
            "the kill switch was never tried here".to_owned(),
        ),
        Some(drill) if !drill.ok => (
            Severity::High,
            "the last drill failed: the kill switch did not work".to_owned(),
        ),
        Some(drill) => {
            let day = drill
                .time
                .to_zoned_datetime(jiff::tz::TimeZone::system())
                .date();
            let old = i64::from((scene.today - day).get_days()) > DRILL_DAYS_MAX;
            if !old {
                return;
            }
            (
                Severity::Low,
                format!("the kill switch was last tried on {day}"),
            )
        }
    };
    let place = Place::whole(machine.drill_shown.clone());
    let mend = Mend::Run("mcpwrap drill".to_owned());
    sheet.add(Finding::new(("mcp10", severity), place, what, why, mend));
}
