//! What is wrong with the command line of `revoke` does not keep it from killing.

use super::{STUBBORN, refused};
use crate::harness::{Test, process};
use crate::renew::started;

/// It kills first: what is wrong with the command line is said afterwards.
#[test]
fn no_argument_keeps_it_from_killing() {
    let token = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";
    let long = "a".repeat(2000);
    let of = |reason: &str| {
        vec![
            "revoke".to_owned(),
            "fake".to_owned(),
            format!("--reason={reason}"),
        ]
    };
    for (args, code, said) in [
        (of(&format!("{token} leaked")), 0, "may be a secret"),
        (of(&long), 0, "revoked: fake"),
        (
            vec!["revoke".to_owned(), "fake".to_owned(), "a b".to_owned()],
            2,
            "is not a server name",
        ),
        (
            vec!["revoke".to_owned(), token.to_owned(), "fake".to_owned()],
            2,
            "a secret is on the command line",
        ),
    ] {
        let test = Test::new();
        let mut run = started(&test, STUBBORN, "");
        let server = run.server(1);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = test.cli(&args);
        assert_eq!(ended.code, code, "{ended}");
        let shown = ended.to_string();
        assert!(
            shown.contains(said) && !shown.contains("mV3kQ9zX"),
            "{shown}"
        );
        assert!(!process::alive(server));
        let text = refused(&mut run, "revoked");
        assert!(text.len() < 2000 && !text.contains("mV3kQ9zX"), "{text}");
        run.finish();
    }
}
