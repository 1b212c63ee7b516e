//! Check 4: secrets in more than one place, their age, and servers that hold an old value.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::file::label;
use super::finding::{Finding, Mend, Place, Severity, quoted};
use super::scene::Machine;
use super::{Scene, Sheet};

/// After so many days without a new value a secret is old.
const AGE_DAYS_MAX: i32 = 180;

pub(super) const ABOUT: &str = "\
**Looks for** the same value in more than one place outside of the store; stored secrets whose value is older than 180
days; running servers that still hold a value that was rotated since.

**Why:** a secret that stands in five files is rotated in four of them. An old value that is still in use is the reason
why nobody dares to withdraw it.

**Mend:** `mcpwrap adopt` makes one secret of equal values. `mcpwrap secret rotate NAME` replaces a value everywhere at once,
in running servers too; `mcpwrap renew SERVER` brings the stored value to one server.

**Known misses:** equal values that are written in different ways; how old a value in a file is (a file does not say);
without `--verify` a stored secret that also stands in a file, because the store is not read.
";

pub(super) fn run(scene: &Scene, sheet: &mut Sheet) {
    copies(scene, sheet);
    let Some(machine) = &scene.machine else {
        return;
    };
    ages(scene, machine, sheet);
    for (place, name) in &scene.copies {
        sheet.add(Finding::new(
            ("mcp04", Severity::High),
            place.clone(),
            format!("the stored secret `{name}` stands here, too"),
            "when it is rotated, one of the places is forgotten",
            Mend::Run(format!("mcpwrap adopt --config {}", quoted(&place.file))),
        ));
    }
    for supervisor in &machine.supervisors {
        for (name, held) in supervisor.holds.iter().flatten() {
            let current = machine.fingerprint(name);
            if current.is_none_or(|current| current.to_string() == *held) {
                continue;
            }
            sheet.add(
                Finding::new(
                    ("mcp04", Severity::High),
                    Place::whole(supervisor.socket.clone()),
                    format!(
                        "the running server (supervisor {}) holds an old value of `{name}`",
                        supervisor.pid
                    ),
                    "the old value cannot be withdrawn while a server works with it",
                    Mend::Run(format!("mcpwrap renew {}", supervisor.server)),
                )
                .of(supervisor.server.as_str()),
            );
        }
    }
}

/// One place of a value.
struct Occurrence {
    place: Place,
    server: Option<String>,
    label: String,
    mend: Mend,
}

/// The same value, twice or more.
fn copies(scene: &Scene, sheet: &mut Sheet) {
    let mut places: BTreeMap<&str, Vec<Occurrence>> = BTreeMap::new();
    for file in &scene.files {
        for value in &file.values {
            let server = file.server_of(value);
            for part in value.verdict.secrets() {
                let secret = value.text.get(part.range.clone()).unwrap_or_default();
                places.entry(secret).or_default().push(Occurrence {
                    place: file.place_of(value, &part.range),
                    server: server.map(|server| server.entry.name.clone()),
                    label: label(value, &part.name),
                    mend: Mend::Run(file.adopt()),
                });
            }
        }
    }
    sheet.looked(places.len());
    for (secret, all) in places {
        let mut rest = all.into_iter();
        let Some(first) = rest.next() else { continue };
        for copy in rest {
            let what = format!(
                "{} has the same value as one in {}",
                copy.label, first.place.file
            );
            let why = "when it is rotated, one of the places is forgotten";
            let rule = ("mcp04", Severity::High);
            let mut found = Finding::new(rule, copy.place, what, why, copy.mend).shows(secret);
            found.server = copy.server;
            sheet.add(found);
        }
    }
}

fn ages(scene: &Scene, machine: &Machine, sheet: &mut Sheet) {
    let Ok(index) = &machine.index else {
        return;
    };
    sheet.looked(index.secrets.len());
    for (name, entry) in &index.secrets {
        let changed = entry.changed.to_zoned_datetime(TimeZone::system()).date();
        let days = (scene.today - changed).get_days();
        if days <= AGE_DAYS_MAX {
            continue;
        }
        sheet.add(Finding::new(
            ("mcp04", Severity::Medium),
            Place::whole(machine.index_shown.clone()),
            format!("`{name}` was last changed on {changed}, more than {AGE_DAYS_MAX} days ago"),
            "the longer a value lives, the more places have seen it",
            Mend::Run(format!("mcpwrap secret rotate {name}")),
        ));
    }
}
