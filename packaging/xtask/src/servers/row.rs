//! The table in the document: one line for each server.

use std::collections::BTreeMap;
use std::fmt;

use crate::shell::Done;

/// The table stands between these lines.
const BEGIN: &str = "<!-- servers: begin -->";
const END: &str = "<!-- servers: end -->";

/// Longer reasons are cut.
const REASON_MAX: usize = 160;

/// What `pin` installed.
pub struct Said {
    version: String,
    packages: String,
    mib: String,
}

impl Said {
    /// From the policy that `pin` wrote and from what it printed.
    pub fn read(policy: &str, said: &str) -> Self {
        let version = policy
            .lines()
            .skip_while(|line| *line != "[package]")
            .find_map(|line| line.strip_prefix("version = \""))
            .map_or("", |rest| rest.trim_end_matches('"'));
        let size = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("size "))
            .unwrap_or_default();
        let number = |word: &str| {
            let part = size.split(", ").find(|part| part.contains(word));
            let first = part.and_then(|part| part.split_whitespace().next());
            first.unwrap_or("?").to_owned()
        };
        Self {
            version: version.to_owned(),
            packages: number("package"),
            mib: number("MiB"),
        }
    }
}

/// What was measured for one server.
pub struct Row {
    name: String,
    registry: &'static str,
    pub pinned: Done<Said>,
    pub seconds: f64,
    pub launcher_version: Option<String>,
    pub tools: Done<Vec<String>>,
    pub launcher_tools: Done<Vec<String>>,
}

impl Row {
    pub fn new(name: &str, registry: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            registry,
            pinned: Err("not tried".to_owned()),
            seconds: 0.0,
            launcher_version: None,
            tools: Err("not tried".to_owned()),
            launcher_tools: Err("not tried".to_owned()),
        }
    }

    /// All that failed, in its own words.
    pub fn problems(&self) -> String {
        let pinned = self.pinned.as_ref().err().map(|said| ("pin", said));
        let tools = self.tools.as_ref().err().map(|said| ("mcpwrap", said));
        let launcher = self.launcher_tools.as_ref().err();
        let all = [pinned, tools, launcher.map(|said| ("launcher", said))];
        let line = |(who, said): (&str, &String)| format!("   {who}: {}\n", said.trim());
        all.into_iter().flatten().map(line).collect()
    }

    /// The comparison of the tools, or why there is none.
    fn result(&self) -> String {
        match (&self.pinned, &self.tools, &self.launcher_tools) {
            (Err(reason), _, Err(other)) => format!(
                "not pinned: {}; its launcher: {}",
                reason_of(reason),
                sentence(other)
            ),
            (Err(reason), _, Ok(tools)) => {
                let launcher = tools.len();
                format!(
                    "not pinned ({launcher} with its launcher): {}",
                    reason_of(reason)
                )
            }
            (Ok(_), Ok(ours), Ok(theirs)) if ours == theirs => format!("{}, the same", ours.len()),
            (Ok(_), Ok(ours), Ok(theirs)) => {
                let other: Vec<_> = ours
                    .iter()
                    .filter(|name| !theirs.contains(name))
                    .chain(theirs.iter().filter(|name| !ours.contains(name)))
                    .map(String::as_str)
                    .collect();
                let (ours, theirs) = (ours.len(), theirs.len());
                let names = sentence(&other.join(" "));
                format!("{ours}, launcher {theirs}; they differ in {names}")
            }
            // The launcher's own words, because they are of the server alone.
            (Ok(_), Err(_), Err(theirs)) => format!("neither starts it: {}", sentence(theirs)),
            (Ok(_), Ok(ours), Err(theirs)) => {
                format!(
                    "{}; its launcher does not: {}",
                    ours.len(),
                    sentence(theirs)
                )
            }
            (Ok(_), Err(ours), Ok(theirs)) => {
                format!(
                    "launcher {}, mcpwrap does not: {}",
                    theirs.len(),
                    sentence(ours)
                )
            }
        }
    }
}

/// The line of the table.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, registry) = (&self.name, self.registry);
        let launcher = self.launcher_version.as_deref().unwrap_or("–");
        write!(f, "| `{name}` | {registry} | ")?;
        match &self.pinned {
            Ok(Said {
                version,
                packages,
                mib,
            }) => {
                let seconds = self.seconds;
                write!(
                    f,
                    "{version} | {launcher} | {packages} | {mib} | {seconds:.0} | "
                )?;
            }
            Err(_) => write!(f, "– | {launcher} | – | – | – | ")?,
        }
        write!(f, "{} |", self.result())
    }
}

/// The install script that failed, from the log of npm.
pub fn failed_script(log: &str) -> Option<String> {
    let line = log
        .lines()
        .find(|line| line.contains(" info run ") && line.contains("{ code: 1,"))?;
    let package = line.split(" info run ").nth(1)?.split_whitespace().next()?;
    Some(format!("the install script of {package} fails here"))
}

/// The first cause of an error of mcpwrap, and else its last line.
fn reason_of(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let cause = lines()
        .skip_while(|line| !line.contains("error["))
        .nth(1)
        .or_else(|| lines().next_back())
        .map(|line| {
            line.trim_start_matches("mcpwrap: ")
                .trim_start_matches("cause: ")
        });
    sentence(cause.unwrap_or_default())
}

/// A text that fits into a cell.
fn sentence(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ").replace('|', "/");
    match line.char_indices().nth(REASON_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The line above the table.
pub fn measured_with(versions: &[String]) -> String {
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    format!("Measured on {day} with {}.", versions.join(", "))
}

/// The document with this row in its table, in place of the server's former one. A table that was not
/// measured like this row is begun anew if it may be, and otherwise kept: none.
pub fn with_row(
    document: &str,
    heading: &str,
    row: &Row,
    order: &[&str],
    may_begin: bool,
) -> Done<Option<String>> {
    let (before, rest) = document
        .split_once(BEGIN)
        .ok_or(format!("the document has no `{BEGIN}`"))?;
    let (table, after) = rest
        .split_once(END)
        .ok_or(format!("the document has no `{END}`"))?;
    let is_alike = table.contains(heading);
    if !is_alike && !may_begin {
        return Ok(None);
    }
    let mut lines: BTreeMap<usize, String> = BTreeMap::new();
    let place = |line: &str| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        order.iter().position(|known| *known == name)
    };
    let known = table.lines().filter(|_| is_alike).map(str::to_owned);
    for line in known.chain([row.to_string()]) {
        if let Some(place) = place(&line) {
            lines.insert(place, line);
        }
    }
    let head = "| Server | Registry | Pinned | Launcher takes | Packages | MiB | Seconds | Tools |\n\
                |---|---|---|---|---|---|---|---|";
    let lines: Vec<_> = lines.into_values().collect();
    Ok(Some(format!(
        "{before}{BEGIN}\n{heading}\n\n{head}\n{}\n{END}{after}",
        lines.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, version: &str) -> Row {
        let policy = format!("version = 1\n[package]\nversion = \"{version}\"\n");
        let said = "  size       12 packages, 34 files, 5 MiB\n";
        Row {
            pinned: Ok(Said::read(&policy, said)),
            tools: Ok(vec!["a".to_owned()]),
            launcher_tools: Ok(vec!["a".to_owned()]),
            launcher_version: Some(version.to_owned()),
            ..Row::new(name, "npm")
        }
    }

    #[test]
    fn a_row_has_what_pin_said() {
        let line = row("one", "1.2.3").to_string();
        assert_eq!(
            line,
            "| `one` | npm | 1.2.3 | 1.2.3 | 12 | 5 | 0 | 1, the same |"
        );
        let failed = Row {
            pinned: Err(
                "mcpwrap: error[package-failed]: cannot pin\nmcpwrap: cause: no hash\nmcpwrap: hint: X".to_owned(),
            ),
            ..row("one", "1.2.3")
        };
        let line = failed.to_string();
        assert!(
            line.ends_with("| not pinned (1 with its launcher): no hash |"),
            "{line}"
        );
    }

    #[test]
    fn a_failed_script_is_found() {
        let log = "7 info run a@1.0.0 install { code: 0, signal: null }\n\
                   8 info run b@2.0.0 install node_modules/b make\n\
                   9 info run b@2.0.0 install { code: 1, signal: null }\n";
        let said = failed_script(log);
        assert_eq!(
            said.as_deref(),
            Some("the install script of b@2.0.0 fails here")
        );
    }

    #[test]
    fn rows_of_the_same_day_replace_those_of_their_server() {
        let (order, day) = (["one", "two"], "Measured on a day.");
        let empty = format!("a\n{BEGIN}\n{END}\nz\n");
        let put =
            |text: &str, day, row: &Row, begin| with_row(text, day, row, &order, begin).unwrap();
        let first = put(&empty, day, &row("two", "1.0.0"), true).unwrap();
        let both = put(&first, day, &row("one", "1.0.0"), false).unwrap();
        assert!(both.find("`one`") < both.find("`two`"), "{both}");
        assert!(both.starts_with("a\n") && both.ends_with("\nz\n"), "{both}");
        let again = put(&both, day, &row("two", "2.0.0"), true).unwrap();
        assert_eq!(again.matches("`two`").count(), 1, "{again}");
        assert!(again.contains("| 2.0.0 | 2.0.0 |"), "{again}");

        let later = "Measured later.";
        assert!(put(&again, later, &row("two", "3.0.0"), false).is_none());
        let new = put(&again, later, &row("two", "3.0.0"), true).unwrap();
        assert!(new.contains("3.0.0") && !new.contains("`one`"), "{new}");
        assert!(with_row("a", day, &row("one", "1.0.0"), &order, true).is_err());
    }
}
