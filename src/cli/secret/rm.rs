//! `mcpwrap secret rm`: removes secrets from the store and from the index.

use super::{servers, with_nearest};
use crate::audit::Event;
use crate::audit::holders::who_has;
use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, EXIT_ERROR, Error, Result};
use crate::files::Problem;
use crate::ops::secrets;
use crate::secret::SecretName;
use crate::store::{self, Index, Prompt};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Secrets to remove
    #[arg(required = true)]
    name: Vec<SecretName>,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let wanted = args.name.iter().map(|name| (Event::SecretRm, name.clone()));
    let wanted: Vec<_> = wanted.collect();
    let flag = args.yes.then_some("--yes");
    let actor = secrets::actor(&cx.dirs, &config, "secret rm", flag, &wanted)?;
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let mut code = 0;
    for name in &args.name {
        let exists = secrets::must_exist(&cx.dirs, &*store, name);
        if let Err(error) = exists.map_err(|error| with_nearest(cx, name, error)) {
            // The others are removed all the same.
            print::error(&error);
            code = EXIT_ERROR;
            continue;
        }
        if !args.yes && !ask::confirm(&question(cx, name))? {
            return Err(Error::new(
                Code::Declined,
                format!("`{name}` was not removed"),
            ));
        }
        let kept = Kept::find(cx, name);
        secrets::remove(&cx.dirs, &config, &*store, actor, name)
            .map_err(|error| with_nearest(cx, name, error))?;
        print::line(&format!("removed: {name}"));
        kept.tell(cx, name);
    }
    Ok(code)
}

/// Where the value still is after its removal.
struct Kept {
    /// The running servers with it, each with its process.
    holders: std::result::Result<Vec<(String, Option<u32>)>, Problem>,
    /// Other secrets with the same value.
    twins: Vec<SecretName>,
}

impl Kept {
    fn find(cx: &Context, name: &SecretName) -> Self {
        let index = Index::load(&cx.dirs).unwrap_or_default();
        let print = index.secrets.get(name).map(|row| row.fingerprint.clone());
        let twins = index
            .secrets
            .iter()
            .filter(|(other, row)| *other != name && Some(&row.fingerprint) == print.as_ref());
        let twins = twins.map(|(other, _)| other.clone()).collect();
        let holders = who_has(&cx.dirs.audit(), &name.clone().into(), print).map(|(found, _)| {
            let now = found.now.into_iter();
            now.map(|holder| (holder.server, holder.pid)).collect()
        });
        Self { holders, twins }
    }

    fn tell(self, cx: &Context, name: &SecretName) {
        match self.holders {
            Ok(holders) => {
                for (server, pid) in holders {
                    let process = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
                    print::warning(&format!(
                        "server `{server}`{process} still has the value of `{name}` until it ends; run \
                         `mcpwrap revoke {server}` to end it now"
                    ));
                }
            }
            Err(problem) => print::warning(&format!(
                "the running servers that still have the value of `{name}` are not known: the audit log \
                 cannot be read ({})",
                problem
                    .explain(
                        Code::FileUnusable,
                        "cannot read the audit log",
                        &cx.dirs.tilde(&cx.dirs.audit())
                    )
                    .line()
            )),
        }
        for twin in self.twins {
            print::warning(&format!(
                "the same value is still stored as `{twin}`; run `mcpwrap secret rm {twin}` if it is not \
                 needed"
            ));
        }
    }
}

fn question(cx: &Context, name: &SecretName) -> String {
    let users = secrets::users(&cx.dirs, name);
    if users.is_empty() {
        return format!("remove `{name}` from the store?");
    }
    format!(
        "`{name}` is used by {}, which will not start without it.\nremove it from the store?",
        servers(&users)
    )
}
