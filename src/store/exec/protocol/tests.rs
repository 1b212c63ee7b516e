//! What is sent, and which answers count.

use super::*;
use crate::store::source::SourceValue;

fn places(texts: &[&str]) -> Vec<StorePlace> {
    let place = |text: &&str| StorePlace::new(text).unwrap();
    texts.iter().map(place).collect()
}

fn line(request: &SpokenRequest<'_>) -> String {
    String::from_utf8(request.line().unwrap().to_vec()).unwrap()
}

fn read(answer: &str) -> Result<SpokenAnswer, Fault> {
    SpokenAnswer::read(answer.as_bytes())
}

/// The values as text, or the faults.
fn values(answer: &str, count: usize) -> Vec<Result<String, Fault>> {
    let values = match read(answer) {
        Ok(answer) => answer.values(count),
        Err(fault) => vec![Err(fault); count],
    };
    let text = |value: SourceValue| String::from_utf8(value.value.expose().to_vec()).unwrap();
    let each = values.into_iter();
    each.map(|value| value.map(text)).collect()
}

#[test]
fn requests_are_one_line() {
    assert_eq!(
        line(&SpokenRequest::get(
            &places(&["a/b#c?version=7", "d"]),
            5000
        )),
        "{\"v\":1,\"op\":\"get\",\"refs\":[{\"id\":0,\"path\":\"a/b\",\"field\":\"c\",\"version\":\"7\"},\
         {\"id\":1,\"path\":\"d\"}],\"deadline_ms\":5000}\n"
    );
    assert_eq!(
        line(&SpokenRequest::mint("role", Some(900), 1)),
        "{\"v\":1,\"op\":\"mint\",\"path\":\"role\",\"life\":900,\"deadline_ms\":1}\n"
    );
    let handle = MintHandle(Secret::new(b"lease/1".to_vec()));
    let request = SpokenRequest::of_lease("revoke", &handle, 1).unwrap();
    assert_eq!(
        line(&request),
        "{\"v\":1,\"op\":\"revoke\",\"lease\":\"lease/1\",\"deadline_ms\":1}\n"
    );
    assert!(!format!("{request:?}").contains("lease/1"));
}

#[test]
fn values_are_matched_by_id() {
    let answer = "{\"v\":1,\"new\":{},\"results\":[{\"id\":1,\"value_base64\":\"AGI=\"},\
                  {\"id\":0,\"value\":\"a\\n\",\"version\":\"7\",\"expires\":\"2027-01-01T00:00:00Z\",\"more\":1}]}\n";
    assert_eq!(values(answer, 2), [Ok("a\n".into()), Ok("\0b".into())]);
    let found = read(answer).unwrap().values(2).remove(0).unwrap();
    assert_eq!(found.version.as_deref(), Some("7"));
    assert_eq!(found.expires, Some("2027-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(
        values(
            "{\"v\":1,\"results\":[{\"id\":0,\"error\":{\"kind\":\"deleted\"}},{\"id\":1,\"value\":\"\"}]}",
            2
        ),
        [Err(Fault::Deleted), Ok(String::new())]
    );
    let mint = "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"x\",\"lease\":\"l\"}]}";
    assert_eq!(values(mint, 1), [Err(Fault::Mint)]);
}

#[test]
fn other_answers_are_refused() {
    for answer in [
        "",
        "x",
        "[]",
        "{\"results\":[{\"id\":0,\"value\":\"x\"}]}",
        "{\"v\":2,\"results\":[{\"id\":0,\"value\":\"x\"}]}",
        "{\"v\":1}",
        "{\"v\":1,\"results\":[]}",
        "{\"v\":1,\"results\":[{\"id\":1,\"value\":\"x\"}]}",
        "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"x\"},{\"id\":0,\"value\":\"x\"}]}",
        "{\"v\":1,\"results\":[{\"id\":0}]}",
        "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"x\",\"value_base64\":\"eA==\"}]}",
        "{\"v\":1,\"results\":[{\"id\":0,\"value_base64\":\"?\"}]}",
        "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"x\",\"expires\":\"tomorrow\"}]}",
        "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"x\"}]}\n{}\n",
        "{\"v\":1,\n\"results\":[{\"id\":0,\"value\":\"x\"}]}",
    ] {
        let found = values(answer, 1);
        assert!(
            matches!(found.as_slice(), [Err(Fault::Answer(_))]),
            "{answer}"
        );
    }
    let failed = "{\"v\":1,\"error\":{\"kind\":\"locked\",\"message\":\"m\"}}";
    assert_eq!(values(failed, 2), [Err(Fault::Locked), Err(Fault::Locked)]);
    assert_eq!(read(failed).unwrap().messages(), "m");
    let unknown = "{\"v\":1,\"error\":{\"kind\":\"on-fire\"}}";
    assert_eq!(values(unknown, 1), [Err(Fault::Other)]);
}

#[test]
fn credentials() {
    let sent: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let minted = |answer: &str| read(answer).and_then(|answer| answer.minted(sent));
    let made = minted(
        "{\"v\":1,\"fields\":{\"user\":\"u\"},\"fields_base64\":{\"key\":\"AQ==\"},\"lease\":\"l\",\
         \"expires\":\"2027-01-01T00:15:00Z\",\"extendable\":true,\"granted\":{\"role\":\"ro\"}}",
    )
    .unwrap();
    assert_eq!(made.fields["key"], Secret::new(vec![1]));
    assert_eq!(
        (made.life.seconds, made.life.is_extendable),
        (Some(900), true)
    );
    assert_eq!(made.granted, [("role".to_owned(), "ro".to_owned())]);
    let plain = minted("{\"v\":1,\"fields\":{\"value\":\"x\"},\"life\":60}").unwrap();
    assert_eq!((plain.life.seconds, plain.handle), (Some(60), None));
    for answer in [
        "{\"v\":1,\"fields\":{}}",
        "{\"v\":1,\"fields\":{\"a\":\"x\"},\"fields_base64\":{\"a\":\"eA==\"}}",
        "{\"v\":1,\"fields\":{\"a\":\"x\"},\"expires\":\"2026-01-01T00:00:00Z\"}",
    ] {
        assert!(matches!(minted(answer), Err(Fault::Answer(_))), "{answer}");
    }
    let failed = |kind: &str| format!("{{\"v\":1,\"error\":{{\"kind\":\"{kind}\"}}}}");
    let extended = |answer: &str| read(answer).and_then(|answer| answer.extended(sent));
    assert_eq!(extended(&failed("not-extendable")), Ok(None));
    assert_eq!(extended(&failed("not-found")), Ok(None));
    assert_eq!(extended(&failed("denied")), Err(Fault::Denied));
    let life = extended("{\"v\":1,\"life\":30}").unwrap().unwrap();
    assert_eq!((life.seconds, life.is_extendable), (Some(30), false));
    let revoked = |answer: &str| read(answer).and_then(|answer| answer.revoked());
    assert_eq!(revoked("{\"v\":1}"), Ok(()));
    assert_eq!(revoked(&failed("not-found")), Ok(()));
    assert_eq!(revoked(&failed("unavailable")), Err(Fault::Unavailable));
}
