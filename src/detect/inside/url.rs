//! The parts of URLs, and of what stands for one.

use std::ops::Range;

use super::{PartContext, ValuePart, pairs};

/// A shorter piece of a path is no secret without a name (bytes).
const SEGMENT_BYTES_MIN: usize = 22;

/// The user part, the path, the query and the fragment of each URL in a text.
pub(super) fn parts(text: &str, at: usize, found: &mut Vec<ValuePart>) {
    let mut from = 0;
    while let Some(colon) = text
        .get(from..)
        .and_then(|rest| rest.find("://"))
        .map(|n| n + from)
    {
        let start = colon + 3;
        let rest = text.get(start..).unwrap_or_default();
        let rest = rest.get(..before_next(rest)).unwrap_or_default();
        let end = start
            + rest
                .find([' ', '"', '\'', '\n', '<', '>'])
                .unwrap_or(rest.len());
        let whole = text.get(start..end).unwrap_or_default();
        let host_end = start + authority(whole);
        let authority = text.get(start..host_end).unwrap_or_default();
        if let Some(sign) = authority.rfind('@') {
            let user = authority.get(..sign).unwrap_or_default();
            let (name, range) = user
                .find(':')
                .map_or(("token", start..start + sign), |colon| {
                    ("password", start + colon + 1..start + sign)
                });
            let range = at + range.start..at + range.end;
            found.push(ValuePart {
                range,
                name: name.to_owned(),
                kind: PartContext::Userinfo,
            });
        }
        let tail = text.get(host_end..end).unwrap_or_default();
        let path = tail.find(['?', '#', ';']).unwrap_or(tail.len());
        pieces(authority, tail, path, at + host_end, found);
        pairs(
            text.get(..end).unwrap_or_default(),
            host_end + path,
            at,
            found,
        );
        from = end.max(start);
    }
}

/// The pieces of a URL's `tail`, which begins at `at` and whose path ends at `path`, that have no name.
fn pieces(host: &str, tail: &str, path: usize, at: usize, found: &mut Vec<ValuePart>) {
    // Documents of Google have long IDs, and need a login.
    let has_keys = !host.ends_with(".google.com");
    let mut add = |offset: usize, piece: &str, (name, kind): (&str, PartContext)| {
        found.push(ValuePart {
            range: at + offset..at + offset + piece.len(),
            name: name.to_owned(),
            kind,
        });
    };
    let is_long = |piece: &str| piece.len() >= SEGMENT_BYTES_MIN && has_keys;
    let mut after = key_after(host);
    let mut offset = 0;
    for piece in tail.get(..path).unwrap_or_default().split('/') {
        let is_key = after == Some("") && is_key(piece);
        if after == Some(piece) {
            after = Some("");
        }
        if is_key {
            add(offset, piece, ("token", PartContext::Named));
        } else if is_long(piece) {
            add(offset, piece, ("", PartContext::Segment));
        }
        offset += piece.len() + 1;
    }
    offset = path;
    let rest = tail.get(path..).unwrap_or_default();
    for parameter in rest.split(['?', '#', '&', ';']) {
        // A value with a name is a part of its own. Base64 ends with `=`.
        let has_name = parameter.trim_end_matches('=').contains('=');
        for piece in parameter.split('/') {
            if !has_name && is_long(piece) {
                add(offset, piece, ("", PartContext::Segment));
            }
            offset += piece.len() + 1;
        }
    }
}

/// Services whose credential is in the path: the end of the host, and the piece before, if there is one.
const KEYS_IN_PATH: &[(&str, &str)] = &[
    ("hooks.slack.com", "services"),
    ("discord.com", "webhooks"),
    ("open.feishu.cn", "hook"),
    ("open.larksuite.com", "hook"),
    (".webhook.office.com", "IncomingWebhook"),
    (".infura.io", "v3"),
    (".g.alchemy.com", "v2"),
    (".quiknode.pro", ""),
    ("mcp.api-inference.modelscope.net", ""),
];

/// The piece of the path after which the credential of this service follows: an empty one, if none.
fn key_after(host: &str) -> Option<&'static str> {
    let service = KEYS_IN_PATH.iter().find(|(end, _)| host.ends_with(end));
    service.map(|(_, piece)| *piece)
}

/// Whether a piece of such a path is the credential, and no number of a bot or name of a team.
fn is_key(piece: &str) -> bool {
    piece.len() >= 14 && !piece.bytes().all(|b| b.is_ascii_digit())
}

/// The end of a URL in a list of several: `postgres://a,postgres://b`.
fn before_next(rest: &str) -> usize {
    let mut signs = rest.match_indices("://");
    let end = signs.find_map(|(sign, _)| {
        let head = rest.get(..sign)?;
        let scheme = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let before = head.trim_end_matches(scheme);
        (before.len() < head.len() && before.ends_with([',', ';', '|'])).then(|| before.len() - 1)
    });
    end.unwrap_or(rest.len())
}

/// The length of the part before the path. A password may contain `/`, `?` or `#` against the
/// rules.
fn authority(whole: &str) -> usize {
    // `sqlserver://host;user=a`: what follows are pairs.
    let is_plain = !whole.contains('@');
    let ends = |c: char| matches!(c, '/' | '?' | '#') || is_plain && c == ';';
    let end = whole.find(ends).unwrap_or(whole.len());
    let head = whole.get(..end).unwrap_or_default();
    let port = head
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit() || b == b','));
    if head.contains('@') || !head.contains(':') || port {
        return end;
    }
    match whole.rfind('@') {
        Some(sign) => {
            let rest = whole.get(sign..).unwrap_or_default();
            sign + rest.find(['/', '?', '#']).unwrap_or(rest.len())
        }
        None => end,
    }
}

/// `jdbc:oracle:thin:USER/PASSWORD@//host:1521/service`, and the same without its first words. `owner/name@1.2`
/// of a package has no port.
pub(super) fn oracle(text: &str) -> Option<Range<usize>> {
    let start = text.strip_prefix("jdbc:oracle:thin:").map_or(0, |_| 17);
    let rest = text.get(start..)?;
    let slash = rest.find('/')?;
    let sign = rest.rfind('@')?;
    let (user, password) = (rest.get(..slash)?, rest.get(slash + 1..sign)?);
    let is_user = |b: u8| b.is_ascii_alphanumeric() || b"_$#".contains(&b);
    let place = rest.get(sign + 1..)?.trim_start_matches("//");
    let (host, service) = place.split_once(':')?;
    let port = service.bytes().take_while(u8::is_ascii_digit).count();
    let is_place = !host.is_empty()
        && !host.contains(char::is_whitespace)
        && (2..=5).contains(&port)
        && service.get(port..)?.starts_with(['/', ':']);
    (!user.is_empty() && user.bytes().all(is_user) && !password.is_empty() && is_place)
        .then(|| start + slash + 1..start + sign)
}
