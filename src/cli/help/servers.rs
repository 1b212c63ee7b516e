//! The pages of the commands for servers, for control, and of the others.

use super::page::{AUDIT, POLICIES, Page, READS, page};

const GRANTS: (&str, &str) = (
    "~/.local/state/mcpwrap/grants/",
    "sealed grants and revocations",
);
const PACKAGES: (&str, &str) = ("~/.local/share/mcpwrap/packages/", "pinned servers");
const SOCKETS: (&str, &str) = (
    "$XDG_RUNTIME_DIR/mcpwrap/",
    "one control socket per running session",
);
const MANAGED: (&str, &str) = (
    "/etc/mcpwrap/policies/",
    "policies of the administrator, which win",
);

const UNDO: (&str, &str) = (
    "~/.local/state/mcpwrap/undo.jsonl",
    "which entries mcpwrap wrote, sealed",
);

pub(super) const PAGES: &[Page] = &[
    page(
        "add",
        "Running servers go on. The new one is started once, to test it, before a client's config is written.",
        &[
            ("mcpwrap add github", "of the catalog: asks for the token"),
            ("mcpwrap add notion --client cursor", "only for this client"),
            ("mcpwrap add github --config .mcp.json", "in a file of a project"),
            ("mcpwrap add mine -- npx -y my-server@1.2.3", "any command"),
            ("mcpwrap add wiki --url https://mcp.example.com", "a remote server"),
        ],
    )
    .one("the server did not work, or was not added to every client; the same command continues")
    .files(&[POLICIES, GRANTS, UNDO, AUDIT]),
    page(
        "remove",
        "Its running servers end, as after `mcpwrap revoke`.",
        &[
            ("mcpwrap remove github --dry-run", "show what would be removed"),
            ("mcpwrap remove github", "asks before it changes anything"),
            ("mcpwrap remove github --keep-secrets", "without the secrets that only it used"),
        ],
    )
    .one("an entry was left because it was changed since")
    .files(&[POLICIES, GRANTS, UNDO, AUDIT]),
    page(
        "policy",
        "A policy that is changed by hand or by `policy edit` suspends its running sessions until it is granted \
         again.",
        &[
            ("mcpwrap policy new github", "a known server"),
            ("mcpwrap policy list", "with the state of each grant"),
            ("mcpwrap policy edit github", "in your editor"),
        ],
    )
    .files(&[POLICIES, MANAGED]),
    page(
        "policy new",
        "Nothing runs yet: the new policy starts no server before `mcpwrap grant`.",
        &[
            ("mcpwrap policy new github", "a known server"),
            ("mcpwrap policy new x --secret KEY=secret:x/key -- npx -y x-mcp@1.2.3", "any other"),
            ("mcpwrap policy new notion --remote", "a remote server"),
        ],
    )
    .files(&[POLICIES]),
    page(
        "policy list",
        READS,
        &[
            ("mcpwrap policy list", "with the state of each grant"),
            ("mcpwrap policy list --json", "for scripts"),
        ],
    )
    .files(&[POLICIES, GRANTS]),
    page(
        "policy show",
        READS,
        &[
            ("mcpwrap policy show github", "with every default"),
            ("mcpwrap policy show github --profile prod", "as with a profile"),
        ],
    )
    .files(&[POLICIES]),
    page(
        "policy edit",
        "Running sessions are suspended until the changed policy is granted.",
        &[("mcpwrap policy edit github", "checks it before it is saved")],
    )
    .files(&[POLICIES]),
    page(
        "policy lint",
        READS,
        &[
            ("mcpwrap policy lint", "all policies"),
            ("mcpwrap policy lint github", "one"),
        ],
    )
    .one("a policy is not valid, or no start can use it")
    .files(&[POLICIES]),
    page(
        "policy rm",
        "Its running servers are ended, as by `mcpwrap revoke`.",
        &[
            ("mcpwrap policy rm github --dry-run", "what would be removed"),
            ("mcpwrap policy rm github", "asks first"),
        ],
    )
    .one("it was declined, or something is still valid; it is named")
    .files(&[POLICIES, GRANTS]),
    page(
        "policy schema",
        READS,
        &[("mcpwrap policy schema > policy.schema.json", "for editors")],
    ),
    page(
        "grant",
        "Sessions that were suspended, e.g. by `revoke`, get a server again. Running servers go on.",
        &[
            ("mcpwrap grant github", "shows everything, and asks for the name"),
            ("mcpwrap grant --changed", "after an upgrade of Node.js, for example"),
            ("mcpwrap grant --again", "what `revoke --all` took away"),
        ],
    )
    .one("a policy was not granted; it is named")
    .files(&[POLICIES, GRANTS, AUDIT]),
    page(
        "pin",
        "Running servers go on; the pinned version starts from the next launch or `mcpwrap renew` on.",
        &[
            ("mcpwrap pin github", "lock and install what it starts"),
            ("mcpwrap pin --outdated", "is there a newer version"),
            ("mcpwrap pin github --to latest --dry-run --diff", "what an update would change"),
            ("mcpwrap pin --prune", "remove what no policy uses"),
        ],
    )
    .one("`--outdated` found a newer version")
    .files(&[POLICIES, PACKAGES]),
    page(
        "login",
        "Sessions that waited for a token go on. Running servers get the new token.",
        &[
            ("mcpwrap login notion", "in your browser"),
            ("mcpwrap login notion --no-browser", "on a machine without one"),
        ],
    )
    .files(&[AUDIT]),
    page(
        "logout",
        "Its sessions are suspended: requests get an error that says to log in.",
        &[("mcpwrap logout notion", "revokes the token at its issuer")],
    )
    .one("the token is removed here and may still be valid at its issuer")
    .files(&[AUDIT]),
    page(
        "run",
        "Starts one more server, for one session of a client. Others notice nothing.",
        &[
            ("mcpwrap run github", "what a client's config has"),
            ("mcpwrap run github --profile prod", "with the secrets of a profile"),
            ("mcpwrap run github -- npx -y x-mcp@1.2.3", "must equal the policy's command"),
        ],
    )
    .files(&[POLICIES, GRANTS, AUDIT, SOCKETS]),
    page(
        "test",
        "Starts a server of its own and ends it. Those of clients notice nothing.",
        &[
            ("mcpwrap test github", "its tools, and the time to the first answer"),
            ("mcpwrap test github --json", "for scripts"),
        ],
    )
    .one("the server did not start or answer")
    .files(&[POLICIES, GRANTS, AUDIT]),
    page(
        "ps",
        READS,
        &[
            ("mcpwrap ps", "servers, clients, secrets by fingerprint"),
            ("mcpwrap ps --json", "for scripts"),
        ],
    )
    .files(&[SOCKETS]),
    page(
        "renew",
        "A new server takes over each of its sessions, and the old one ends. Calls in progress get 10 s.",
        &[("mcpwrap renew github", "use a value that another program changed")],
    )
    .one("a session keeps its old server")
    .files(&[SOCKETS]),
    page(
        "revoke",
        "Ends the whole process tree of each server in under a second. Sessions stay, and answer each request \
         with the reason. Credentials are withdrawn at their source where that is possible.",
        &[
            ("mcpwrap revoke github --reason leaked", "one server"),
            ("mcpwrap revoke --all", "every server"),
            ("mcpwrap revoke --all --dry-run", "what that would end"),
            ("mcpwrap revoke", "list running servers"),
        ],
    )
    .one("the servers are dead, and a grant or credential is still valid; it is named")
    .files(&[GRANTS, AUDIT]),
    page(
        "drill",
        "Starts a server of its own with dummy secrets, and revokes it. Those of clients notice nothing.",
        &[
            ("mcpwrap drill", "with a server of its own"),
            ("mcpwrap drill github", "with the command of a policy"),
        ],
    )
    .one("a process survived, or the client was not told"),
    page(
        "log",
        READS,
        &[
            ("mcpwrap log --since 24h", "the last day"),
            ("mcpwrap log --server github --event refuse", "what was refused"),
            ("mcpwrap log who-has github/token", "who has a value now"),
            ("mcpwrap log verify", "was a record changed"),
        ],
    )
    .files(&[AUDIT]),
    page(
        "log secrets",
        READS,
        &[("mcpwrap log secrets --since 24h", "which secrets were used")],
    )
    .files(&[AUDIT]),
    page(
        "log who-has",
        READS,
        &[("mcpwrap log who-has github/token", "servers, with its current or an old value")],
    )
    .one("no server ever got it")
    .files(&[AUDIT]),
    page(
        "log calls",
        READS,
        &[
            ("mcpwrap log calls --since 1h", "tool calls, without their arguments"),
            ("mcpwrap log calls --at 14:03", "which server made the call"),
        ],
    )
    .files(&[AUDIT]),
    page(
        "log export",
        READS,
        &[
            ("mcpwrap log export --format csv > log.csv", "for a spreadsheet"),
            ("mcpwrap log export --format ocsf", "for a SIEM"),
        ],
    )
    .files(&[AUDIT]),
    page(
        "log verify",
        READS,
        &[
            ("mcpwrap log verify", "against the store and the journal"),
            ("mcpwrap log verify --json", "for scripts"),
        ],
    )
    .one("a record was changed or removed, or no anchor outside the log vouches for its end")
    .files(&[AUDIT]),
    page(
        "log head",
        READS,
        &[("mcpwrap log head", "keep it elsewhere, for `log verify --head`")],
    )
    .files(&[AUDIT]),
    page(
        "completions",
        READS,
        &[
            ("mcpwrap completions bash > ~/.local/share/bash-completion/completions/mcpwrap", "bash"),
        ],
    ),
    page(
        "man",
        READS,
        &[("mcpwrap man ~/.local/share/man/man1", "then `man mcpwrap`")],
    ),
    page(
        "uninstall",
        "Running servers are ended, and client configs get their secrets back first.",
        &[
            ("mcpwrap uninstall --dry-run", "what would be restored and removed"),
            ("mcpwrap uninstall", "asks first"),
        ],
    )
    .one("it was declined, or something could not be restored or removed; it is named"),
];
