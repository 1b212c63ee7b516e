//! A remote server as the text of a policy file. Fields with their default value are left out.

use super::Remote;
use super::remote::{OAuthTable, RemoteTransport};

/// The lines of a remote server, and its tables.
pub(super) fn remote_lines(remote: &Remote) -> Vec<String> {
    let Remote {
        url,
        transport,
        headers,
        oauth,
    } = remote;
    let mut lines = vec![format!("url = {}", string(url))];
    if let Ok(word) = toml::Value::try_from(transport)
        && *transport != RemoteTransport::default()
    {
        lines.push(format!("transport = {word}"));
    }
    if !headers.is_empty() {
        lines.push("\n[headers]".to_owned());
        let header =
            |(name, value): (&String, &String)| format!("{} = {}", name_of(name), string(value));
        lines.extend(headers.iter().map(header));
    }
    let Some(oauth) = oauth else {
        return lines;
    };
    lines.push("\n[oauth]".to_owned());
    let table = |oauth: &OAuthTable| toml::Table::try_from(oauth).unwrap_or_default();
    let usual = table(&OAuthTable::default());
    let own = table(oauth).into_iter();
    let own = own.filter(|(field, value)| usual.get(field) != Some(value));
    lines.extend(own.map(|(field, value)| format!("{field} = {value}")));
    lines
}

/// A key, in quotes if it needs them.
fn name_of(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        string(name)
    }
}

/// A text in quotes.
pub(super) fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::load::parse_text;

    #[test]
    fn a_remote_server_is_read_again() {
        for oauth in [
            None,
            Some(OAuthTable::default()),
            Some(OAuthTable {
                scopes: vec!["read".to_owned()],
                client_id: Some("a \"b\"".to_owned()),
                client_secret: Some("{secret.TOKEN}".to_owned()),
                ..OAuthTable::default()
            }),
        ] {
            let remote = Remote {
                // With OAuth, the address cannot contain a secret.
                url: match &oauth {
                    None => "https://mcp.example.com/{secret.TOKEN}/mcp?a='b'".to_owned(),
                    Some(_) => "https://mcp.example.com/mcp?a='b'".to_owned(),
                },
                transport: RemoteTransport::Sse,
                headers: BTreeMap::from([
                    ("X-Key".to_owned(), "Key \"{secret.TOKEN}\"".to_owned()),
                    ("x.y".to_owned(), "z".to_owned()),
                ]),
                oauth,
            };
            let lines = remote_lines(&remote).join("\n");
            let secret = "[secrets.TOKEN]\nfrom = \"secret:issues/token\"\n";
            let read = parse_text(&format!("version = 1\n{lines}\n{secret}")).unwrap();
            assert_eq!(read.remote, Some(remote));
        }
    }
}
