//! The configs that get the entry: named, of a named client, or of clients chosen from those on this machine.

use super::Args;
use crate::adopt::add::{self, AddPlace, AddTarget};
use crate::cli::{Context, ask, print};
use crate::client::own_file;
use crate::client::table::{KnownClient, client};
use crate::error::{Code, Error, Result, printable};
use crate::scan::clients;

/// Plans the entry for each client.
///
/// # Errors
/// `usage` for an unknown client, or if `--yes` leaves it open which; `declined`; `entry-exists` and
/// `file-unusable` for a config that does not get it.
pub(super) fn choose(args: &Args, cx: &Context, program: &str) -> Result<Vec<AddTarget>> {
    let mut wanted: Vec<&'static KnownClient> = Vec::new();
    for id in &args.client {
        let one = client(id).ok_or_else(|| clients::unknown(id))?;
        if wanted.iter().all(|known| known.id != one.id) {
            wanted.push(one);
        }
    }
    if wanted.is_empty() && args.config.is_empty() {
        wanted = from_found(args, cx)?;
    }
    let own = wanted.into_iter().map(AddPlace::Own);
    let named = args.config.iter().map(|path| {
        let absolute = std::path::absolute(path);
        AddPlace::Named(absolute.unwrap_or_else(|_| path.clone()))
    });
    let target = |place: AddPlace| add::target(&cx.dirs, &place, &args.server, program);
    own.chain(named).map(target).collect()
}

fn from_found(args: &Args, cx: &Context) -> Result<Vec<&'static KnownClient>> {
    let found = own_file::found(&add::base(&cx.dirs));
    let ids: Vec<_> = found.iter().map(|client| client.id).collect();
    let what = format!("cannot add server `{}`", args.server);
    let hint = "use `--client ID` to name a client (repeatable)";
    match found.as_slice() {
        [] => Err(Error::new(Code::Usage, what)
            .cause("no client was found on this machine")
            .hint(hint)),
        [_] => Ok(found),
        _ if args.dry_run => Ok(found),
        _ if args.yes => Err(Error::new(Code::Usage, what)
            .cause(format!("several clients were found: {}", ids.join(", ")))
            .hint(hint)),
        _ => asked(&found),
    }
}

fn asked(found: &[&'static KnownClient]) -> Result<Vec<&'static KnownClient>> {
    let line = |(n, client): (usize, &&KnownClient)| {
        format!("  {}  {} ({})", n + 1, client.name, client.id)
    };
    let lines: Vec<_> = found.iter().enumerate().map(line).collect();
    let answer = ask::choice(&format!(
        "clients on this machine:\n{}\nadd it to which? [numbers or IDs, or `all`] ",
        lines.join("\n")
    ))?;
    if answer.eq_ignore_ascii_case("all") {
        return Ok(found.to_vec());
    }
    let mut chosen = Vec::new();
    for word in answer.split([',', ' ']).filter(|word| !word.is_empty()) {
        let number = word.parse::<usize>().ok();
        let by_number = number.and_then(|number| found.get(number.checked_sub(1)?));
        let one = by_number.or_else(|| found.iter().find(|client| client.id == word));
        let one = one.ok_or_else(|| {
            Error::new(Code::Declined, "nothing was changed: no such client")
                .cause(format!("`{}` is not in the list", printable(word)))
        })?;
        if chosen.iter().all(|known: &&KnownClient| known.id != one.id) {
            chosen.push(*one);
        }
    }
    if chosen.is_empty() {
        return Err(Error::new(
            Code::Declined,
            "nothing was changed: no client was chosen",
        ));
    }
    Ok(chosen)
}

/// The lines that a config gets.
pub(super) fn show(cx: &Context, out: &mut print::Lines, target: &AddTarget) {
    let path = printable(&cx.dirs.tilde(&target.path));
    let client = target.client.map(|client| format!(" ({})", client.name));
    let client = client.unwrap_or_default();
    let Some(change) = &target.change else {
        out.line(&format!("\n{path}{client}: has it already"));
        return;
    };
    out.line(&format!("\n{path}{client}"));
    if target.is_shared {
        out.line(
            "  git tracks it: whoever else uses it needs mcpwrap at the same path, and this policy",
        );
    }
    let inserted = &change.insertion;
    // With the indentation of the first line.
    let indent = inserted.lead.rsplit('\n').next().unwrap_or_default();
    for line in format!("{indent}{}", inserted.body).lines() {
        let line = line.trim_end().replace('\t', "  ");
        out.line(&format!("  + {}", printable(&line)));
    }
}
