//! The servers that are renewed because a stored value changed.

use crate::cli::{Context, print};
use crate::error::{Code, EXIT_NO, Error};
use crate::ops::secrets;
use crate::policy::{self, Renew};
use crate::reference::Reference;
use crate::secret::{Fingerprint, SecretName};
use crate::store::Index;
use crate::supervise::find;
use crate::supervise::running::Running;

/// The result for one running server.
enum Updated {
    /// It has the new value now.
    Yes,
    /// It had no value to replace: its session has no server.
    NoServer,
    /// It started without the value, which its policy makes optional.
    WithoutIt,
    /// It keeps the old value until it is renewed by hand, as its policy says.
    ByHand,
    /// It keeps the old value.
    No(String),
}

/// Waits until each running server of a secret has the new value, and reports each. Returns the exit
/// code: 1 if one failed to get it. A server that is renewed by hand only is no failure.
pub(super) fn wait(cx: &Context, name: &SecretName, print: &Fingerprint) -> u8 {
    let users = secrets::users(&cx.dirs, name);
    let running: Vec<Running> = find::by_socket(&cx.dirs, true)
        .into_iter()
        .filter(|one| users.contains(&one.server))
        .collect();
    if running.is_empty() {
        return 0;
    }
    let count = print::count(running.len(), "session");
    print::note(&format!(
        "renewing the servers of {count} (a call in progress gets 10 s)"
    ));
    let print = print.to_string();
    let results: Vec<_> = std::thread::scope(|scope| {
        let asked = running.into_iter().map(|one| {
            let print = &print;
            scope.spawn(move || (update(cx, &one, name, print), one))
        });
        let asked: Vec<_> = asked.collect();
        asked
            .into_iter()
            .filter_map(|one| one.join().ok())
            .collect()
    });
    let mut code = 0;
    for (result, one) in results {
        let (server, pid) = (&one.server, one.pid().unwrap_or_default());
        match result {
            Updated::Yes => print::line(&format!("renewed: {server} (supervisor {pid})")),
            Updated::NoServer => print::note(&format!(
                "no server runs in a session of `{server}` (supervisor {pid})"
            )),
            Updated::WithoutIt => print::warning(&format!(
                "`{server}` (supervisor {pid}) started without `{name}`, and gets it with `mcpwrap renew {server}`"
            )),
            Updated::ByHand => {
                print::warning(&format!(
                    "`{server}` (supervisor {pid}) keeps the old value until `mcpwrap renew {server}`, \
                     because its policy has `renew = \"manual\"`"
                ));
            }
            Updated::No(why) => {
                code = EXIT_NO;
                print::error(
                    &Error::new(
                        Code::RenewFailed,
                        format!(
                            "server `{server}` (supervisor {pid}) keeps the old value of `{name}`"
                        ),
                    )
                    .cause(why)
                    .hint(format!("run `mcpwrap renew {server}` to try again")),
                );
            }
        }
    }
    code
}

fn update(cx: &Context, one: &Running, name: &SecretName, new: &str) -> Updated {
    let before = one.fingerprint(name);
    let policy = policy::load(&cx.dirs, &one.server, None).ok();
    let is_optional = policy.as_ref().is_some_and(|policy| {
        let mut slots = policy.secrets.values();
        slots
            .any(|slot| slot.optional && matches!(&slot.from, Reference::Local(own) if own == name))
    });
    if before.as_ref().is_some_and(|before| before != new)
        && policy.is_some_and(|policy| policy.session.renew == Renew::Manual)
    {
        return Updated::ByHand;
    }
    let answer = one.update();
    // Another rotation may have been faster: then its value is the current one.
    let index = Index::load(&cx.dirs).unwrap_or_default();
    let listed = index
        .secrets
        .get(name)
        .map(|row| row.fingerprint.to_string());
    match (one.fingerprint(name), answer) {
        (Some(now), _) if now == new || Some(&now) == listed.as_ref() => Updated::Yes,
        (None, Err(why)) if before.is_some() => Updated::No(why),
        (None, Ok(())) if before.is_none() && is_optional && one.has_server() => Updated::WithoutIt,
        (None, _) => Updated::NoServer,
        (Some(_), Ok(())) => Updated::No("it did not read the new value".to_owned()),
        (Some(_), Err(why)) => Updated::No(why),
    }
}
